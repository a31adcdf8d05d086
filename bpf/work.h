/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What a CPU knows of the packet at hand. It lies in a map, as the stack of a BPF
 * program is small; packets do not interrupt each other. */
#pragma once

#include "packet.h"

/* A question to the routing table, and its answer. */
struct route {
	union addr src, dst;
	union addr gateway;
	__u32 ifindex;
	__u32 index;	/* + 1 of the next hop to remember, 0 none: not resolved */
	__u8 family;	/* of src and dst */
	__u8 gw_family; /* of gateway */
	bool by_packet; /* the kernel is to ask again, by the packet's own addresses */
};

/* What an encapsulation is given to write its header from. */
struct wrapping {
	union addr source, dest; /* of the outer header */
	__u32 flow;	   /* of the packet inside, for who spreads load by ports */
	__u32 sum;	   /* of the bytes inside, where there is to be a checksum */
	__u16 len;	   /* of what follows the outer IP header */
	__u16 port;	   /* of the tunnel, network order */
	__u8 inner, outer; /* families of the packet inside and of the outer header */
	bool check;	   /* there is to be a checksum */
};

struct work {
	struct pkt pkt;
	struct route route;
	struct bpf_fib_lookup fib;
	__u32 error; /* type and code of the ICMP error that becomes of the packet */
	struct wrapping wrapping;
	int verdict; /* of a packet that was sent */
	__u32 reset; /* enum reset: what becomes of a segment */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} works SEC(".maps");

static __always_inline struct work *work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&works, &zero);
}
