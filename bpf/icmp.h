/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The ICMP errors a director sends itself: no server, too big, out of hops
 * (RFC 792, RFC 1812 section 4.3.2, RFC 4443). Only tc makes them; XDP leaves such
 * packets to it. They quote as much of the packet as a minimal datagram holds.
 */
#pragma once

#include "nexthop.h"
#include "quote.h"
#include "sum.h"

#define ICMP_TOS 0xc0	    /* internetwork control, as RFC 1812 asks */
#define ICMP_TOS_KEPT 0x1e /* of the packet in error */

/* Errors of one second, over all receivers: as many as Linux sends by default
 * (icmp_msgs_per_sec), so that nobody is flooded with them. */
#define ICMP_PER_SECOND 1000

struct icmp_quota {
	__u32 second;
	__u32 sent;
};

MAPPED(icmp_quotas, struct icmp_quota, 1);

static __always_inline bool icmp_allowed(void)
{
	__u32 zero = 0, second = now_jiffies() / conf_hz;
	struct icmp_quota *q = bpf_map_lookup_elem(&icmp_quotas, &zero);

	if (!q)
		return false;
	if (q->second != second) {
		q->second = second;
		q->sent = 0;
	}
	return __sync_fetch_and_add(&q->sent, 1) < ICMP_PER_SECOND;
}

/* What a reason is to the sender of the packet. */
struct icmp_error {
	__u8 type, code;   /* type 0: nothing */
	__u8 type6, code6;
};

static const struct icmp_error icmp_errors[REASON_MASK + 1] = {
	[REASON_NO_DESTINATION] = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH,
				   ICMP6_DEST_UNREACH, ICMP6_PORT_UNREACH},
	[REASON_NO_CONNECTION] = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH,
				  ICMP6_DEST_UNREACH, ICMP6_PORT_UNREACH},
	[REASON_NO_ROUTE] = {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH,
			     ICMP6_DEST_UNREACH, ICMP6_ADDR_UNREACH},
	[REASON_TOO_BIG] = {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP6_TOO_BIG, 0},
	[REASON_TTL_EXCEEDED] = {ICMP_TIME_EXCEEDED, 0, ICMP6_TIME_EXCEEDED, 0},
};

/* Makes room for the headers of an error before the packet, of which so much is
 * left as it may quote; returns how much, 0 on failure. */
static __always_inline __u32 icmp_room(CTX *ctx, const struct pkt *p, __u32 headers, __u32 datagram)
{
	__u32 quote = datagram - headers;

	if (p->len < quote)
		quote = p->len;
	if (bpf_skb_change_tail(ctx, L3_OFFSET + quote, 0) ||
	    bpf_skb_adjust_room(ctx, headers, BPF_ADJ_ROOM_MAC, 0))
		return 0;
	return quote;
}

#define ICMP_FROM_LINK 0x10000 /* beside type and code: not from the VIP */

/* From the VIP; about what was not for one, from an address of the interface. */
static __always_inline int icmp_make4(CTX *ctx, const struct pkt *p, __u32 what, __u32 ifindex)
{
	const __u32 headers = sizeof(struct iphdr) + sizeof(struct icmphdr);
	__u32 quote = icmp_room(ctx, p, headers, 576), sum;
	union addr *own = what & ICMP_FROM_LINK ? link_addr(ifindex, FAMILY_V4) : NULL;
	struct icmphdr *icmp;
	struct iphdr *ip;
	__u8 tos;

	if (!quote || (what & ICMP_FROM_LINK && !own))
		return 0;
	sum = packet_sum(ctx, L3_OFFSET + headers, quote);
	ip = ctx_header(ctx, L3_OFFSET, headers + sizeof(*ip));
	if (!ip)
		return 0;
	tos = ((struct iphdr *)((void *)ip + headers))->tos;
	__builtin_memset(ip, 0, headers);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = ICMP_TOS | (tos & ICMP_TOS_KEPT);
	ip->tot_len = bpf_htons(headers + quote);
	ip->id = bpf_get_prandom_u32();
	ip->ttl = 64;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = own ? own->w[0] : p->daddr.w[0];
	ip->daddr = p->saddr.w[0];
	ip->check = csum_ip_header(ip);
	icmp = (void *)(ip + 1);
	icmp->type = what >> 8;
	icmp->code = what;
	icmp->mtu = bpf_htons(p->mtu);
	icmp->checksum = ~csum_fold(sum + bpf_htons(what) + bpf_htons(p->mtu));
	return 1;
}

/* The address that an error comes from: that which the packet was sent to, if the host
 * has it, else one of the interface that leads to the sender. */
static __always_inline const union addr *icmp_source6(const struct pkt *p, __u32 ifindex)
{
	union addr addr = p->daddr; /* Linux 6.1 takes no key from there */

	if (bpf_map_lookup_elem(&own_addrs, &addr))
		return &p->daddr;
	return link_addr(ifindex, FAMILY_V6);
}

static __always_inline int icmp_make6(CTX *ctx, const struct pkt *p, __u32 what, __u32 ifindex)
{
	const __u32 headers = sizeof(struct ipv6hdr) + sizeof(struct icmphdr);
	const union addr *own = icmp_source6(p, ifindex);
	__u32 quote, sum;
	struct ipv6hdr *ip;
	struct icmphdr *icmp;

	if (!own)
		return 0;
	quote = icmp_room(ctx, p, headers, 1280);
	if (!quote)
		return 0;
	sum = packet_sum(ctx, L3_OFFSET + headers, quote);
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip) + sizeof(*icmp));
	if (!ip)
		return 0;
	__builtin_memset(ip, 0, headers);
	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(*icmp) + quote);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = 64;
	*(union addr *)&ip->saddr = *own;
	*(union addr *)&ip->daddr = p->saddr;
	icmp = (void *)(ip + 1);
	icmp->type = what >> 8;
	icmp->code = what;
	icmp->mtu = bpf_htons(p->mtu);
	sum += csum_addr(own, FAMILY_V6) + csum_addr(&p->saddr, FAMILY_V6);
	sum += bpf_htons(IPPROTO_ICMPV6) + ip->payload_len;
	icmp->checksum = ~csum_fold(sum + bpf_htons(what) + icmp->mtu);
	return 1;
}

/* Type and code of the error for a reason. */
static __always_inline __u32 icmp_what(__u32 reason, __u8 family)
{
	const struct icmp_error *e = &icmp_errors[reason & REASON_MASK];

	return family == FAMILY_V6 ? e->type6 << 8 | e->code6 : e->type << 8 | e->code;
}

/* Turns the packet into an error about itself, of type and code what, that leaves by
 * an interface: 1, or 0 if it could not be written. A function of its own for the
 * verifier's sake. */
__noinline int icmp_make(CTX *ctx, const struct pkt *p, __u32 what, __u32 ifindex)
{
	if (!p)
		return 0;
	return p->family == FAMILY_V6 ? icmp_make6(ctx, p, what, ifindex)
				      : icmp_make4(ctx, p, what, ifindex);
}
