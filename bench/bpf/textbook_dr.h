/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * The textbook direct-routing balancer: one entry for each connection, which
 * says whose MAC address the frame gets. The IP packet is left alone, and the
 * replies never come by.
 */
#ifndef TEXTBOOK_DR_H
#define TEXTBOOK_DR_H

#include "textbook.h"

struct route {
	__u64 expires;
	__u64 packets;
	__u64 bytes;
	struct next_hop hop;
	__u32 state;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct route);
} routes SEC(".maps");

SEC("xdp")
int textbook_dr(struct xdp_md *ctx)
{
	struct route *r, fresh = {};
	struct flow_key key = {};
	struct packet p;
	__u64 now;

	if (packet_parse(ctx, &p, &key))
		return XDP_PASS;

	now = clock_now();
	r = bpf_map_lookup_elem(&routes, &key);
	if (!r || r->expires < now) {
		struct backend *b = backend_choose(&p, &key);

		if (!b)
			return XDP_PASS;
		fresh.packets = 1;
		fresh.bytes = bpf_ntohs(p.ip->tot_len);
		fresh.expires = now + state_lifetime(OPENING);
		fresh.hop = b->hop;
		if (bpf_map_update_elem(&routes, &key, &fresh, BPF_ANY))
			return XDP_DROP;
		r = &fresh;
	} else {
		r->state = state_next(r->state, p.tcp);
		r->expires = now + state_lifetime(r->state);
		r->packets++;
		r->bytes += bpf_ntohs(p.ip->tot_len);
	}
	return packet_leave(ctx, &p, &r->hop);
}

#endif
