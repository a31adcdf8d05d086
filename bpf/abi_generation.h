/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which programs serve a table; see abi.h. */
#pragma once

/* For people to see, written when the programs are put to work. Ends of text are zero. */
struct generation {
	char version[64]; /* of the evs that they came with */
	char programs[16]; /* a digest of what they were compiled to */
};
