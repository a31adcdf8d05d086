/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Generic UDP encapsulation, variant 0 (draft-ietf-intarea-gue-09): UDP, so
 * that the network spreads connections by the source port, and a base header
 * that names what is inside.
 */
#pragma once

struct gue_base {
	__u8 control; /* version, type and length of options: all 0 */
	__u8 proto;   /* of the packet inside */
	__u16 flags;
};

/* Source ports of one connection are one, those of many spread over the range
 * Linux gives its own sockets. */
#define GUE_PORT_FIRST 32768
#define GUE_PORTS (61000 - 32768)

static __always_inline void gue_write(void *at, const struct wrapping *w)
{
	struct udphdr *udp = at;
	struct gue_base *gue = (void *)(udp + 1);

	udp->source = bpf_htons(GUE_PORT_FIRST + ((__u64)w->flow * GUE_PORTS >> 32));
	udp->dest = w->dst->tunnel_port;
	udp->len = bpf_htons(w->len);
	udp->check = 0;
	gue->control = 0;
	gue->proto = proto_of_family(w->inner);
	gue->flags = 0;
}
