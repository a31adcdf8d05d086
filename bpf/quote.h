/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * ICMP errors of others about a connection. They quote a packet of it, which
 * went the other way; turned round it is a packet of the way the error takes.
 * So an error is looked up like such a packet, and goes where that would go.
 * (RFC 792, RFC 4443; RFC 5508 for what is translated.) Only tc does this; XDP
 * leaves them to it.
 */
#pragma once

#include "pkt.h"
#include "sum.h"

enum icmp_types {
	ICMP_DEST_UNREACH = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_TIME_EXCEEDED = 11,
	/* codes of the first */
	ICMP_HOST_UNREACH = 1,
	ICMP_PORT_UNREACH = 3,
	ICMP_FRAG_NEEDED = 4,
	/* of IPv6 */
	ICMP6_DEST_UNREACH = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAMETER = 4,
	/* codes of the first */
	ICMP6_ADDR_UNREACH = 3,
	ICMP6_PORT_UNREACH = 4,
};

struct icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u16 unused;
	__u16 mtu; /* of IPv6 the two are one number */
};

/* The errors that concern a connection, and not just the host they go to. */
static __always_inline bool icmp_is_error(__u8 type, const __u8 family)
{
	if (family == FAMILY_V6)
		return type >= ICMP6_DEST_UNREACH && type <= ICMP6_PARAMETER;
	return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH ||
	       type == ICMP_TIME_EXCEEDED;
}

/* Reads the header quoted, which stands at p->quote. */
static __always_inline bool quote_parse_l3(CTX *ctx, struct pkt *p, const __u8 family)
{
	if (family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, p->quote, sizeof(*ip));

		if (!ip || ip->version != 6)
			return false;
		p->l4 = p->quote + sizeof(*ip);
		p->proto = ip->nexthdr;
		p->saddr = *(union addr *)&ip->daddr;
		p->daddr = *(union addr *)&ip->saddr;
		if (ext_is(p->proto) && !pkt_skip_extensions(ctx, p))
			return false;
	} else {
		struct iphdr *ip = ctx_header(ctx, p->quote, sizeof(*ip));

		if (!ip || ip->version != 4 || ip->ihl < 5)
			return false;
		p->l4 = p->quote + ip->ihl * 4;
		p->proto = ip->protocol;
		p->saddr.w[0] = ip->daddr;
		p->daddr.w[0] = ip->saddr;
		p->later = ip->frag_off & bpf_htons(0x1fff);
	}
	return !p->later; /* behind the first, there is no transport header */
}

/* Makes of p the packet quoted, turned round; of its transport header the
 * ports are enough. False: no error, or about nothing the table could know. */
static __always_inline bool quote_parse(CTX *ctx, struct pkt *p, const __u8 family)
{
	struct icmphdr *icmp = ctx_header(ctx, p->l4, sizeof(*icmp));
	__u16 *ports;

	if (!icmp || !icmp_is_error(icmp->type, family))
		return false;
	p->quote = p->l4 + sizeof(*icmp);
	if (!quote_parse_l3(ctx, p, family))
		return false;
	p->fragment = false;
	if (p->proto == IPPROTO_AH || p->proto == IPPROTO_ESP) {
		pkt_follow_keys(p);
		return true;
	}
	ports = ctx_header(ctx, p->l4, 4);
	if (!ports || !pkt_contains(p, p->l4, 4) || !proto_has_ports(p->proto))
		return false;
	p->sport = ports[1];
	p->dport = ports[0];
	return true;
}

/* The sum of an ICMP error, its checksum included. */
static __always_inline __u32 quote_sum(CTX *ctx, const struct pkt *p)
{
	__u32 at = p->quote - sizeof(struct icmphdr);

	return packet_sum(ctx, at, L3_OFFSET + p->len - at);
}

/* Whether an error over IPv4 is as it was sent; the host drops one that is not. */
static __always_inline bool quote_is_right(CTX *ctx, const struct pkt *p)
{
	return quote_sum(ctx, p) == 0xffff;
}
