/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the data path and Go both know: every struct, enum and limit. The Go
 * types are generated from the BTF of this file; nothing is mirrored by hand.
 *
 * Who writes what:
 *   user space (under the table's lock): service, version, entry, dst identity,
 *     settings, filter;
 *   the data path: conn, counts and next hop of a dst, sched_state, stats;
 *   the timer: estimator, sweep, and whether automatic settings are at work.
 *
 * Words that are read without a lock while they change are naturally aligned
 * and written by one store, so a reader sees the old value or the new one.
 */
#pragma once

#include "abi_conn.h"
#include "abi_generation.h"
#include "abi_sched.h"
#include "abi_sysctl.h"

enum abi { ABI_VERSION = 6 }; /* a table made by another is not opened */

#define FILTER_SIZE 8192      /* bytes of the address filter */

/* Ceilings; the sizes in force are those of the maps. */
#define MAX_SERVICES 16384
#define MAX_DSTS 131072
#define UNITS_PER_DST 4 /* room to write a version beside the one in force */
#define MAX_UNITS (MAX_DSTS * UNITS_PER_DST)
#define MAX_NEXTHOPS 16384

enum family { FAMILY_V4 = 4, FAMILY_V6 = 6 };

#include "abi_mark.h"
#include "abi_sync.h"

/* The identity of a virtual service, and the key it is found by. A
 * firewall-mark service has only mark and family. */
struct svc_key {
	union addr addr;
	__u32 fwmark;
	__u16 port; /* network order */
	__u8 family;
	__u8 proto;
};

enum svc_state { SVC_FREE, SVC_LIVE };

/*
 * One service slot. `version` names the configuration in force: where its
 * units begin, how many they are, and a serial number. Storing that word is
 * what commits an edit; a packet that read units while the word changed reads
 * again (service_pick).
 */
struct service {
	struct svc_key key;
	__u32 state; /* enum svc_state; storing it commits the birth or death */
	__u16 incarnation; /* grows when the slot is given another key */
	__u16 pad;
	__u64 version;
	__u64 sched_state; /* the scheduler's memory, one word, by compare-and-swap */
	__u64 born;	   /* order of creation */
	/* what destinations that are gone had counted */
	__u64 gone[5];
	__u64 spare[4];
};

/* version word: serial << 48 | count << 24 | first unit */
#define VERSION_UNIT_BITS 24
#define VERSION_COUNT_BITS 24

enum svc_flags {
	SVC_PERSISTENT = 1,
	SVC_ONEPACKET = 2,
};

/* First unit of a version: the configuration of the service. */
struct version {
	__u8 sched; /* enum scheduler */
	__u8 sched_flags;
	__u8 flags; /* enum svc_flags */
	__u8 prefix_len;
	__u32 timeout;	   /* of persistence, seconds */
	__u32 weight_max;  /* wrr: the level the turn begins at */
	__u32 weight_step; /* wrr: greatest common divisor of the weights */
	__u32 mask;	   /* of persistence, IPv4, network order */
	char sched_name[8];
	char engine[4]; /* of persistence, "" none */
};

enum method { METHOD_MASQ, METHOD_LOCAL, METHOD_TUNNEL, METHOD_ROUTE };

enum tunnel { TUNNEL_IPIP, TUNNEL_GUE, TUNNEL_GRE };

enum tunnel_flags { TUNNEL_CSUM = 1, TUNNEL_REMCSUM = 2 };

/* A further unit of a version: one destination, the newest first. */
struct entry {
	__u32 dst;
	__u32 weight;
	__u32 upper, lower;
	__u8 method; /* enum method */
	__u8 tunnel; /* enum tunnel */
	__u8 tunnel_flags;
	__u8 pad;
	__u16 tunnel_port; /* network order */
	__u16 pad2;
	__u32 last_weight; /* the weight, or if that is 0, what it was before */
	__u32 spare;
};

/* Behind the entries of a scheduler that hashes stands its table, PLACES_PER_UNIT
 * places to a unit, of one that looks at all of them SHARES_PER_UNIT shares to a unit. */
union unit {
	struct version version;
	struct entry entry;
	__u16 place[PLACES_PER_UNIT];
	struct share share[SHARES_PER_UNIT];
};

enum dst_flags {
	DST_AVAILABLE = 1,
	DST_LOCAL = 2,	   /* an address of the director itself */
	DST_QUIESCENT = 4, /* of weight 0 */
	DST_LIMITED = 8,   /* has a threshold of connections */
	DST_BYPASS = 16,   /* stands for all there is: see bypass.h */
};

/* The first slots are no server's: see bypass.h. */
enum dst_slots { BYPASS_DST4, BYPASS_DST6, FIRST_DST };

/*
 * One destination slot. Its identity stays as long as a version or a connection
 * names it, so a connection needs only the index. A destination that is removed and
 * added again finds its slot, and with it its connections.
 */
struct dst {
	union addr addr;
	__u16 port; /* network order; 0: that of the packet */
	__u8 family;
	__u8 flags; /* enum dst_flags */
	__u16 svc;
	__u16 incarnation; /* of the service slot */
	__u8 tunnel;	   /* enum tunnel */
	__u8 tunnel_flags; /* enum tunnel_flags */
	__u16 tunnel_port; /* network order */
	__u32 active;
	__u32 inactive;
	__u32 persistent;
	__u16 nexthop;	     /* index + 1, 0 unknown */
	__u16 mtu;	     /* of the way there, 0 unknown */
	__u32 nexthop_stamp; /* jiffies of the last look-up */
	union addr source;   /* of tunnels: the director's address */
};

/* An Ethernet next hop. Immutable once ifindex is published. */
struct nexthop {
	__u32 ifindex; /* 0 free, NEXTHOP_BUSY being filled in */
	__u8 dmac[6]; /* the two as they lie in a frame */
	__u8 smac[6];
};
#define NEXTHOP_BUSY 0xffffffff

/* One CPU's counters of one destination: a cache line, so that no two CPUs
 * share one. */
struct stats {
	__u64 conns;
	__u64 in_packets;
	__u64 out_packets;
	__u64 in_bytes;
	__u64 out_bytes;
	/* signals.h */
	__u64 answered;
	__u64 retried;
	__u64 refused;
};

/* The rates of one destination: 2^10 times events per second, in the order of
 * struct stats. */
struct estimator {
	__u64 last[5];
	__u64 rate[5];
	__u64 zero[5]; /* written by user space: what the counters were when zeroed */
	__u32 stamp;   /* jiffies of the last estimate, 0 none yet */
	__u32 pad;
};

/* Which addresses can matter at all; a byte per hash value. */
enum filter_bits { FILTER_VIP = 1, FILTER_RIP = 2, FILTER_ANSWER = 4 };

struct filter {
	/* there are firewall-mark services, of IPv4, of IPv6: every address can be a VIP */
	__u8 any[2];
	__u8 pad[6];
	__u8 bits[FILTER_SIZE];
};

/* One value for the whole table, written by user space. */
struct settings {
	__u32 abi;
	__u32 dirty;	/* an edit is under way: reconcile if its writer died */
	__u32 dst_used; /* destination slots ever used: the timer looks no further */
	__u32 mode;	/* of attachment, for the whole namespace */
	__u64 serial;	/* of versions and births */
	__u32 clock;	 /* jiffies that the table is ahead of the kernel: for tests */
	__u32 retired;	 /* others follow: see retire.h */
	__u32 unit_next; /* where the search for free units goes on */
	__u32 dst_next;	 /* and for a free destination slot */
	__u32 timeout[STATE_MASK + 1]; /* seconds, by enum conn_state */
	__u64 gone[5]; /* counted by services that are gone */
	struct sync_daemon daemon[SYNC_ROLES];
	__u32 sysctl[SYSCTL_SLOTS]; /* by enum sysctl; some are signed */
	__u64 marks; /* generation << 32 | rules: see abi_mark.h */
	/* The pair of interfaces that cuts what is to be wrapped with a checksum
	 * (segment.h), 0 none: packets go out of the first and come in by the second. */
	__u32 cut_out, cut_in;
};

/* The sweep's own memory, written by the timer alone, but for the first. */
struct sweep {
	__u64 expired;	   /* connections ended since the table was made */
	__u64 passes;	   /* times the whole table was swept */
	__u32 bucket;	   /* where the next tick begins, IPv4 */
	__u32 bucket6;
	__u32 dst;
	__u32 dst_stamp;   /* jiffies when the present estimation round began */
	__u32 tick_stamp;  /* jiffies of the last tick: tells that it is alive */
	__u32 locality_stamp; /* jiffies when localities were last looked over */
	__u32 localities;  /* how many there were */
	__u32 locality_sets;
};

/*
 * What became of a packet that concerned EVS. A row here and the call that
 * counts it are all there is to add; names in listings and metrics follow.
 */
enum reason {
	REASON_NEW_CONNECTION,
	REASON_REOPENED,	    /* its client opened it anew: the old one ended */
	REASON_EXPIRED,		    /* its destination is gone or quiescent: it ended */
	REASON_SLOW_PATH,	    /* XDP left it to tc: next hop to be resolved */
	REASON_TABLE_FULL,	    /* no slot for a new connection */
	REASON_NO_DESTINATION,	    /* service without a destination to take it */
	REASON_NO_CONNECTION,	    /* a server's packet, and nat_icmp_send refuses it */
	REASON_DESTINATION_GONE,    /* connection to a removed destination */
	REASON_NOT_A_START,	    /* no connection, and not a packet that makes one */
	REASON_METHOD_UNSUPPORTED,  /* forwarding method not in this data path */
	REASON_SCHEDULER_UNSUPPORTED,
	REASON_TTL_EXCEEDED,
	REASON_TOO_BIG,		    /* for the way it would take, and not to be cut */
	REASON_NO_ROUTE,
	REASON_FORWARDING_DISABLED, /* ip_forward or the interface's forwarding is off */
	REASON_MALFORMED,	    /* not as long as it says */
	REASON_FRAGMENT,	    /* came before the first of its packet: kept */
	REASON_FRAGMENT_LOST,	    /* likewise, and the first did not come in time, or newer ones did */
	REASON_FRAGMENT_DROPPED,    /* a first without its whole header, or one that could not be kept */
	REASON_REWRITE_FAILED,
	REASON_NEW_TEMPLATE,	    /* of persistence */
	REASON_ONE_PACKET,	    /* scheduled by itself, no connection made */
	REASON_NO_CALL_ID,	    /* of SIP, for the persistence engine */
	REASON_UNCUT,		    /* several in one, for a tunnel with a checksum, and not cut */
	REASON_DROPPED_PACKET,	    /* by drop_packet: it would have begun a connection */
	REASON_DROPPED_ENTRY,	    /* by drop_entry: a connection ended */
	REASON_BYPASSED,	    /* no destination: the connection goes on to where it was sent */
	REASON_HALF_OPEN_EVICTED,   /* a half-open connection gave way to a newer one */
	REASON_RESET,		    /* a segment of a connection that is reset: became one, or two */
	REASON_COUNT,
};

#define REASON_MASK 31 /* an index under it is in bounds without a branch */

struct counters {
	__u64 count[REASON_MASK + 1];
};

/* How an interface is attached where that differs from the namespace's mode. */
struct ifname {
	char name[16];
};
enum attach_mode { MODE_AUTO, MODE_XDP, MODE_TC, MODE_OFF };

/* Answer of the clock program: both clocks at one moment. */
struct clock {
	__u64 jiffies;
	__u64 nanoseconds;
};

_Static_assert(REASON_COUNT <= REASON_MASK, "counters");
_Static_assert(sizeof(struct svc_key) == 24, "svc_key");
_Static_assert(sizeof(struct service) == 128, "service");
_Static_assert(sizeof(union unit) == 32, "unit");
_Static_assert(sizeof(struct version) == 32, "version");
_Static_assert(sizeof(struct entry) == 32, "entry");
_Static_assert(sizeof(struct dst) == 64, "dst");
_Static_assert(sizeof(struct nexthop) == 16, "nexthop");
_Static_assert(sizeof(struct stats) == 64, "stats");
