/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The connection table, as the data path and Go both know it; see abi.h. */
#pragma once

#define SLOTS_PER_BUCKET 4
#define OVERFLOW_RUN 16	    /* overflow buckets a client's bucket may use */
#define OVERFLOW_HINTS 4096 /* groups of buckets with a count of overflows */

enum conn_flags {
	CONN_BUSY = 1, /* claimed, key readable, not yet in force */
	CONN_LIVE = 2,
	CONN_INACTIVE = 4,   /* counted in dst.inactive, not in dst.active */
	CONN_OVERFLOW = 8,   /* sits in the overflow region */
	CONN_TEMPLATE = 16,  /* persistence */
	CONN_METHOD = 32,    /* times the enum method, two bits */
};

enum conn_state {
	STATE_NONE,
	STATE_ESTABLISHED,
	STATE_SYN_SENT,
	STATE_SYN_RECV,
	STATE_FIN_WAIT,
	STATE_TIME_WAIT,
	STATE_CLOSE,
	STATE_CLOSE_WAIT,
	STATE_LAST_ACK,
	STATE_LISTEN,
	STATE_SYNACK,
	STATE_UDP,
	STATE_COUNT,
};
#define STATE_MASK 15 /* tables by state have this many rows and one */

/*
 * An IPv4 connection, 32 bytes, two to a cache line. It is hashed by the
 * client alone, so that packets of both directions find the same slot; the
 * server's address is that of the dst.
 */
struct conn4 {
	/* the life word, changed only by 64-bit compare-and-swap */
	__u32 expires; /* jiffies */
	__u8 state;    /* enum conn_state */
	__u8 flags;    /* enum conn_flags */
	__u16 gen;     /* grows with each connection in this slot */
	/* the key */
	__u32 caddr;
	__u16 cport;
	__u16 vport;
	__u32 vaddr;
	__u32 dst;
	__u8 proto;
	__u8 pad;
	__u16 nexthop;	     /* of replies: index + 1, 0 unknown */
	__u32 nexthop_stamp; /* jiffies of the last look-up */
};

struct bucket4 {
	struct conn4 slot[SLOTS_PER_BUCKET];
};

_Static_assert(sizeof(struct conn4) == 32, "conn4");
