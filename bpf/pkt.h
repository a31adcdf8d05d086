/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* One parse of a packet, as far as the data path needs it. Families part here
 * and in the rewriting; what lies between sees only struct pkt. */
#pragma once

#include "base.h"

struct pkt {
	__u32 saddr, daddr;
	__u16 sport, dport;
	__u16 l4;    /* offset of the transport header */
	__u16 quote; /* of an ICMP error: offset of the packet it quotes, else 0 */
	__u32 len; /* of the IP packet, bytes */
	__u16 mtu; /* what it was too big for */
	__u8 proto;
	__u8 ttl;
	__u8 tcp_flags;
	__u16 id;      /* network order; of fragments */
	bool fragment; /* the first or a later one */
	bool later;    /* a fragment without transport header */
	bool whole; /* must not be cut: DF */
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define L3_OFFSET sizeof(struct ethhdr)

/* Whether this is a packet the table could know; ports not yet read. */
static __always_inline bool pkt_parse_l3(CTX *ctx, struct pkt *p)
{
	struct ethhdr *eth = ctx_header(ctx, 0, L3_OFFSET + sizeof(struct iphdr));
	struct iphdr *ip;

	if (!eth || eth->h_proto != bpf_htons(ETH_P_IP) || !ctx_is_ours(ctx, eth))
		return false;
	ip = (void *)(eth + 1);
	if (ip->version != 4 || ip->ihl < 5)
		return false;
	p->saddr = ip->saddr;
	p->daddr = ip->daddr;
	p->proto = ip->protocol;
	p->ttl = ip->ttl;
	p->len = bpf_ntohs(ip->tot_len);
	if (!p->len) /* of a super-packet larger than the field holds */
		p->len = ctx_super_len(ctx);
	p->l4 = L3_OFFSET + ip->ihl * 4;
	p->id = ip->id;
	p->fragment = ip->frag_off & bpf_htons(0x3fff);
	p->later = ip->frag_off & bpf_htons(0x1fff);
	p->whole = ip->frag_off & bpf_htons(0x4000);
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || p->proto == IPPROTO_ICMP;
}

/* Whether the packet is as long as it says, and that is enough for a header; one
 * that is not, the kernel drops. */
static __always_inline bool pkt_is_whole(CTX *ctx, const struct pkt *p)
{
	return ctx_holds(ctx, L3_OFFSET + p->len) && L3_OFFSET + p->len >= p->l4;
}

/* Reads the transport header. False: it is not all there. */
static __always_inline bool pkt_parse_l4(CTX *ctx, struct pkt *p)
{
	if (p->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = ctx_header(ctx, p->l4, sizeof(*tcp));

		if (!tcp)
			return false;
		p->sport = tcp->source;
		p->dport = tcp->dest;
		p->tcp_flags = ((__u8 *)tcp)[13];
	} else {
		struct udphdr *udp = ctx_header(ctx, p->l4, sizeof(*udp));

		if (!udp)
			return false;
		p->sport = udp->source;
		p->dport = udp->dest;
	}
	return true;
}
