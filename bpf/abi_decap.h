/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the real server's decapsulator and Go both know. It has maps of its own:
 * a real server need not be a director. User space writes decap_conf_map and
 * decap_addr_map, the programs the counters.
 */
#pragma once

#include <linux/types.h>

enum decap_abi { DECAP_ABI_VERSION = 2 };

enum decap_kind { DECAP_IPIP = 1, DECAP_GUE = 2, DECAP_GRE = 4 };

/* One value, for the whole network namespace. */
struct decap_conf {
	__u32 abi;
	__u16 port; /* of GUE, network order */
	__u8 kinds; /* enum decap_kind */
	__u8 mode;  /* of attachment, enum attach_mode */
	/* The largest segments that clients of a VIP over IPv4 and IPv6 are told to
	 * send, 0 as large as the host says. */
	__u16 mss4, mss6;
};

enum decap_role {
	DECAP_VIP = 1,	 /* packets inside may be for it */
	DECAP_LOCAL = 2, /* an address of the host: outer packets may be for it */
};

/* An address by its family, 4 or 6; of IPv4 the other words are zero. */
struct decap_key {
	__u32 addr[4];
	__u32 family;
};

#define MAX_DECAP_ADDRS 4096

/*
 * What became of a packet in a tunnel. A row here and the call that returns it
 * are all there is to add in C; from DECAP_FIRST_DROP on they are drops.
 */
enum decap_reason {
	DECAP_REASON_IPIP,	/* taken out of IP in IP */
	DECAP_REASON_GUE,	/* out of GUE */
	DECAP_REASON_GRE,	/* out of GRE */
	DECAP_REASON_FOREIGN,	/* not for a VIP: left to the kernel */
	DECAP_REASON_FRAGMENT,	/* outer packet in pieces: left to the kernel */
	DECAP_REASON_CHECKSUM,	/* that of the outer header is wrong */
	DECAP_REASON_MALFORMED, /* not as long as it says, or not what it says */
	DECAP_REASON_GRE_KEY,	/* has a key or sequence number */
	DECAP_REASON_GUE_VERSION,
	DECAP_REASON_GUE_CONTROL,
	DECAP_REASON_GUE_FLAGS,
	DECAP_REASON_GUE_PROTOCOL,
	DECAP_REASON_GUE_REMCSUM,
	DECAP_REASON_CONGESTION, /* marked so outside, where inside cannot be */
	DECAP_REASON_FAILED,	 /* could not be taken out */
	DECAP_REASON_COUNT,
};

#define DECAP_FIRST_DROP DECAP_REASON_CHECKSUM
#define DECAP_REASON_MASK 15 /* an index under it is in bounds without a branch */

struct decap_counters {
	__u64 count[DECAP_REASON_MASK + 1];
};

_Static_assert(DECAP_REASON_COUNT <= DECAP_REASON_MASK + 1, "decap_counters");
_Static_assert(sizeof(struct decap_conf) == 12, "decap_conf");
_Static_assert(sizeof(struct decap_key) == 20, "decap_key");
