/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Source hashing: the address of the client decides, with sh-port its port too, by
 * a table that internal/sched/sh.go makes. Who finds its server unusable is
 * refused, or with sh-fallback hashed again.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 */
#pragma once

static __always_inline __u32 sh_hash(__u32 client, __u32 offset)
{
	return (offset + golden_hash(client, 8)) % SH_PLACES;
}

CLIENT_HASH_PICK(sh, sh_hash, SH_PLACES)
