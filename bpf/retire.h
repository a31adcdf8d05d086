/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Programs that retire, as others follow them, with a table of their own. From the
 * moment that settings.retired says so they serve the connections they know and make
 * none; who belongs to none of them is handed over to the program that follows, by a
 * tail call before anything of the packet has been changed. So their table stands
 * still but for steps and ends, and can be carried over (carry.h) while every packet
 * finds its connection, in the one table or the other. Their timer ends too.
 *
 * A connection that a packet shall not meet any more ends here as it would, lest the
 * next packet meet it.
 */
#pragma once

#include "leave.h"
#include "outlived.h"

#define HANDED_OVER -101 /* no verdict has its number */

enum follower { FOLLOWER_IN, FOLLOWER_OUT, FOLLOWER_COUNT };

/* The programs that follow; programs of the two kinds cannot be in one map. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, FOLLOWER_COUNT);
	__type(key, __u32);
	__type(value, __u32);
#if CTX_IS_XDP
} followers_xdp SEC(".maps");
#define FOLLOWERS followers_xdp
#else
} followers_tc SEC(".maps");
#define FOLLOWERS followers_tc
#endif

/* What becomes of a packet that has no connection here. */
static __always_inline int packet_retired(const struct pkt *p, enum outlived outlived, __u32 now,
					  const __u8 family)
{
	struct making *m = making_get();

	if (m && outlived) {
		m->outlived = outlived;
		m->left.word = 0;
		outlived_end(m, p, now, family);
		outlived_uncount(m, family);
	}
	return HAND_OVER;
}

/* Hands the packet over if that is its verdict. */
static __always_inline int verdict_follow(CTX *ctx, int verdict, enum follower which)
{
	if (verdict != HANDED_OVER)
		return verdict;
	bpf_tail_call(ctx, &FOLLOWERS, which);
	return CTX_PASS; /* nobody follows */
}
