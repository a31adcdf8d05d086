/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* How functions of the data path end: 0 if the packet goes on, a negative enum
 * reason if it is dropped, or this. */
#pragma once

/* Not an error of ours and not ours to forward: the host's. No reason has its number. */
#define LEAVE 0x100

/* Not an error either: the programs that follow these are to see the packet (retire.h). */
#define HAND_OVER 0x500
