/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What clients are told to send to a VIP. The server behind a tunnel answers its
 * clients itself, past the director, so what its SYN announces is what decides how
 * large their segments are; and as those come through a tunnel, that has to be less
 * than the server's own interface takes. It is lowered on the way out.
 */
#pragma once

#include "outer.h"

#define CTX struct __sk_buff
#define CTX_IS_XDP 0
#include "../mss.h"

#define TCP_SYN_FLAG 0x02

/* Whether the packet is of TCP and unfragmented: finds the transport header and whose
 * the packet is. */
static __always_inline bool announce_parse(const struct view *v, __u16 ethertype,
					   struct decap_key *from, __u32 *l4)
{
	if (ethertype == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = view_at(v, L3_OFFSET, sizeof(*ip));

		if (!ip || ip->protocol != IPPROTO_TCP || ip->frag_off & bpf_htons(0x1fff))
			return false;
		from->family = 4;
		from->addr[0] = ip->saddr;
		*l4 = L3_OFFSET + ip->ihl * 4;
		return true;
	}
	if (ethertype == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = view_at(v, L3_OFFSET, sizeof(*ip));

		if (!ip || ip->nexthdr != IPPROTO_TCP)
			return false;
		from->family = 6;
		__builtin_memcpy(from->addr, &ip->saddr, sizeof(from->addr));
		*l4 = L3_OFFSET + sizeof(*ip);
		return true;
	}
	return false;
}

static __always_inline void announce(struct __sk_buff *skb)
{
	/* as much as is there: the headers of what the host sends itself are */
	struct view v = {.data = (void *)(long)skb->data, .end = (void *)(long)skb->data_end};
	struct decap_key from = {};
	struct decap_conf *conf;
	__u32 zero = 0, l4;
	__u8 *flags;

	if (!announce_parse(&v, skb->protocol, &from, &l4))
		return;
	flags = view_at(&v, l4 + 13, 1);
	if (!flags || !(*flags & TCP_SYN_FLAG) || !decap_knows(&from, DECAP_VIP))
		return;
	conf = bpf_map_lookup_elem(&decap_conf_map, &zero);
	if (conf && conf->mss4 && conf->mss6)
		mss_lower(skb, l4, from.family == 4 ? conf->mss4 : conf->mss6);
}
