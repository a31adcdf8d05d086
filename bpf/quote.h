/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * ICMP errors of others about a connection. They quote a packet of it, which
 * went the other way; turned round it is a packet of the way the error takes.
 * So an error is looked up like such a packet, and goes where that would go.
 * (RFC 792; RFC 5508 for what is translated.)
 */
#pragma once

#include "csum.h"
#include "pkt.h"

enum icmp_types {
	ICMP_DEST_UNREACH = 3,
	ICMP_SOURCE_QUENCH = 4,
	ICMP_TIME_EXCEEDED = 11,
	/* codes of the first */
	ICMP_HOST_UNREACH = 1,
	ICMP_PORT_UNREACH = 3,
	ICMP_FRAG_NEEDED = 4,
};

struct icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u16 unused;
	__u16 mtu;
};

/* The errors that concern a connection, and not just the host they go to. */
static __always_inline bool icmp_is_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH ||
	       type == ICMP_TIME_EXCEEDED;
}

/* Makes of p the packet quoted, turned round; of its transport header the
 * ports are enough. False: no error, or about nothing the table could know. */
static __always_inline bool pkt_parse_quote(CTX *ctx, struct pkt *p)
{
	struct icmphdr *icmp = ctx_header(ctx, p->l4, sizeof(*icmp) + sizeof(struct iphdr));
	struct iphdr *ip;
	__u16 *ports;

	if (!icmp || !icmp_is_error(icmp->type))
		return false;
	ip = (void *)(icmp + 1);
	if (ip->version != 4 || ip->ihl < 5 || (ip->frag_off & bpf_htons(0x1fff)) ||
	    (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return false;
	p->quote = p->l4 + sizeof(*icmp);
	p->l4 = p->quote + ip->ihl * 4;
	p->proto = ip->protocol;
	p->saddr = ip->daddr;
	p->daddr = ip->saddr;
	ports = ctx_header(ctx, p->l4, 4);
	if (!ports)
		return false;
	p->sport = ports[1];
	p->dport = ports[0];
	return true;
}
