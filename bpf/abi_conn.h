/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The connection table, as the data path and Go both know it; see abi.h. */
#pragma once

/* An IPv4 address is in the first word, the others are zero. */
union addr {
	__u8 b[16];
	__u32 w[4];
	__u64 q[2];
};

#define SLOTS_PER_BUCKET 4
#define OVERFLOW_RUN 16	    /* overflow buckets a client's bucket may use */
#define OVERFLOW_HINTS 4096 /* groups of buckets with a count of overflows */

enum conn_flags {
	CONN_BUSY = 1, /* claimed, key readable, not yet in force */
	CONN_LIVE = 2,
	CONN_INACTIVE = 4,   /* counted in dst.inactive, not in dst.active */
	CONN_OVERFLOW = 8,   /* sits in the overflow region */
	CONN_SAME_PORT = 16, /* keeps the packet's port, whatever that of the dst */
	CONN_METHOD = 32,    /* times the enum method, two bits */
	CONN_ASSURED = 128,  /* has been answered: so its template knows */
	/* a template that leads nowhere any more */
	CONN_RETIRED = CONN_BUSY | CONN_LIVE,
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
	STATE_SCTP_INIT1,
	STATE_SCTP_INIT,
	STATE_SCTP_COOKIE_SENT,
	STATE_SCTP_COOKIE_REPLIED,
	STATE_SCTP_COOKIE_WAIT,
	STATE_SCTP_COOKIE,
	STATE_SCTP_COOKIE_ECHOED,
	STATE_SCTP_ESTABLISHED,
	STATE_SCTP_SHUTDOWN_SENT,
	STATE_SCTP_SHUTDOWN_RECEIVED,
	STATE_SCTP_SHUTDOWN_ACK_SENT,
	STATE_SCTP_REJECTED,
	STATE_SCTP_CLOSED,
	/* of TCP, ended by an operator: its segments become resets (reset.h) */
	STATE_RESET,	  /* the client is told */
	STATE_RESET_BOTH, /* and the server */
	STATE_COUNT,
};
#define NEXTHOP_HOME 0xffff /* of replies to the director itself, no index */
#define NEXTHOP_ANSWERS 0xfffe /* of other methods: its answers come by here */
#define NEXTHOP_HOME_ANSWERS 0xfffd /* both */

/* Marks of probes: PROBE_MARK and the slot of the destination. */
enum probe {
	PROBE_MARK = 0x45000000,
	PROBE_SLOT = 0x00ffffff,
	NEXTHOP_PROBE = 0xfffc, /* both answers and replies, of a probe (probe.h) */
};

#define CONTROL_NOTED 255   /* its template stands in leash_notes */

#define STATE_MASK 31 /* tables by state have this many rows and one */

/* Above the state of a connection: how many packets of its client came, if they were
 * counted from the first. The next after seven counts no more, and leaves nothing. */
enum conn_packets { PACKET_ONE = 32, PACKETS_MASK = 224 };

/* A slot with this bit in proto, which none of TCP, UDP and SCTP has, is a persistence
 * template. */
#define TEMPLATE 0x40

/* Its state, bits of an enum of its own. */
enum template_state {
	TEMPLATE_ASSURED = 1, /* a server has answered one of its connections */
	TEMPLATE_DUE = 2,     /* has run out, and waits for those it holds */
};

/* How long a connection stays when its segments become resets: until one has, that is
 * the timeout of its state; then so long, for those that are still on their way. */
enum reset_time { RESET_LINGER_SECONDS = 1 };

/* How long a template that has run out stays for those it holds. */
enum template_time { HELD_SECONDS = 60 };

/*
 * A connection, 32 bytes, two to a cache line: all of one over IPv4, the head of
 * one over IPv6. It is hashed by the client alone, so that packets of both
 * directions find the same slot; the server's address is that of the dst.
 */
struct conn {
	/* the life word, changed only by 64-bit compare-and-swap */
	__u32 expires; /* jiffies */
	__u8 state;    /* enum conn_state, enum conn_packets */
	__u8 flags;    /* enum conn_flags */
	__u16 gen;     /* grows with each connection in this slot */
	/* the key; of IPv6 addresses digests, the addresses are in conn_ends */
	__u32 caddr;
	__u16 cport;
	__u16 vport;
	__u32 vaddr;
	__u32 dst;
	__u8 proto;
	/* the bits of the client's address that its template goes by, and one; 0: it
	 * holds none; or CONTROL_NOTED. Of a template: the high bits of the next */
	__u8 control;
	/* of replies: index + 1, 0 unknown, or one of NEXTHOP_*; of a template: seconds */
	__u16 nexthop;
	__u32 nexthop_stamp; /* jiffies of the last look-up; of a template: whom it holds */
};

/* Whether the sweep need look at the table of a family (expire.h). */
enum sleep { AWAKE, DOZING, ASLEEP };

/* How many connections of a family are half-open, and where their ring is (flood.h);
 * a cache line. */
struct flood {
	__s32 half_open;
	__u32 turn; /* counts the places taken */
	__u32 sleep; /* enum sleep */
	__u32 pad;
	__u64 spare[6];
};

/* The addresses of a connection over IPv6. */
struct conn_ends {
	union addr caddr, vaddr;
};

struct bucket4 {
	struct conn slot[SLOTS_PER_BUCKET];
};

/* Begins like the other, so that both are searched alike; only a connection that
 * seems to be the one has its addresses looked at. */
struct bucket6 {
	struct conn slot[SLOTS_PER_BUCKET];
	struct conn_ends ends[SLOTS_PER_BUCKET];
};

/*
 * What of a destination's configuration is asked for where only its slot is known:
 * at the death of connections, by templates, and by sets of lblcr. Written by user space with each
 * version, but for the last, which says that an upper threshold was reached.
 */
struct dst_conf {
	__u32 upper, lower;
	__u32 weight;
	__u8 method; /* enum method */
	__u8 pad2[2];
	__u8 overloaded;
};

/* Which Call-ID a template of the engine sip is for, by what its slot has; of the
 * client's port that is a digest of the Call-ID. */
struct call_key {
	__u64 client; /* caddr, cport, vport */
	__u32 vaddr;
	__u8 proto;
	__u8 family;
	__u16 pad;
	__u32 dst;
	__u32 pad2;
};

#define CALL_ID_MAX 255 /* as in IPVS */

struct call_id {
	__u8 len;
	__u8 text[CALL_ID_MAX];
};

_Static_assert(sizeof(struct conn) == 32, "conn");
_Static_assert(sizeof(struct dst_conf) == 16, "dst_conf");
_Static_assert(sizeof(struct flood) == 64, "flood");
_Static_assert(sizeof(struct bucket6) == 2 * sizeof(struct bucket4), "bucket6");
