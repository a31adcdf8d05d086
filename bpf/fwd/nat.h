/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Masquerading: towards the server the destination becomes the server's
 * address and port, towards the client the source becomes the VIP's. Address,
 * port, TTL and checksums are all that changes (RFC 3022, section 4).
 */
#pragma once

#include "../crc32c.h"
#include "../quote.h"
#include "../transport.h"
#include "direct.h"

struct translation {
	union addr addr;
	__u16 port;
	bool source; /* the source is replaced, else the destination */
	bool hop;    /* it is forwarded, and so has one hop less to live */
};

/* Replaces the address: false if it could not be written. *diff becomes what that
 * makes to a sum over it. */
static __always_inline bool ip_translate(CTX *ctx, const struct translation *t, __u32 *diff,
					 const __u8 family)
{
	union addr *addr;

	if (family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		addr = (union addr *)(t->source ? &ip->saddr : &ip->daddr);
		*diff = csum_diff_addr(addr, &t->addr, family);
		*addr = t->addr;
		if (t->hop)
			ip->hop_limit--;
	} else {
		struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
		__u32 *word;

		if (!ip)
			return false;
		word = t->source ? &ip->saddr : &ip->daddr;
		*diff = csum_diff32(*word, t->addr.w[0]);
		*word = t->addr.w[0];
		ip->check = csum_apply(ip->check, *diff);
		if (t->hop)
			ip4_hop(ip);
	}
	return true;
}

/* Translates the address in the header that an ICMP error quotes: there it is the
 * other end. */
static __always_inline bool quoted_ip_translate(CTX *ctx, const struct pkt *p,
						const struct translation *t, const __u8 family)
{
	if (family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, p->quote, sizeof(*ip));

		if (!ip)
			return false;
		*(union addr *)(t->source ? &ip->daddr : &ip->saddr) = t->addr;
	} else {
		struct iphdr *ip = ctx_header(ctx, p->quote, sizeof(*ip));
		__u32 *word;

		if (!ip)
			return false;
		word = t->source ? &ip->daddr : &ip->saddr;
		/* its checksum makes up for the address */
		ip->check = csum_apply(ip->check, csum_diff32(*word, t->addr.w[0]));
		*word = t->addr.w[0];
	}
	return true;
}

/* Makes the checksum of a translated error over IPv6 anew, right or wrong as it was,
 * as the kernel does: 1, or 0 if it could not be written. A function of its own for
 * the stack's sake. */
__noinline int quote_check_make(CTX *ctx, const struct pkt *p)
{
	struct icmphdr *icmp;
	struct ipv6hdr *ip;
	__u32 sum;

	if (!p)
		return 0;
	icmp = ctx_header(ctx, p->quote - sizeof(*icmp), sizeof(*icmp));
	if (!icmp)
		return 0;
	icmp->checksum = 0;
	sum = quote_sum(ctx, p);
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	if (!ip)
		return 0;
	sum += csum_fold(csum_addr((union addr *)&ip->saddr, FAMILY_V6) +
			 csum_addr((union addr *)&ip->daddr, FAMILY_V6));
	sum += bpf_htons(IPPROTO_ICMPV6) + bpf_htons(L3_OFFSET + p->len - p->quote + sizeof(*icmp));
	icmp = ctx_header(ctx, p->quote - sizeof(*icmp), sizeof(*icmp));
	if (!icmp)
		return 0;
	icmp->checksum = ~csum_fold(sum);
	return 1;
}

/* Translates what an ICMP error quotes. The quoted transport checksum stays: often
 * it is not all there. */
static __always_inline bool quote_translate(CTX *ctx, const struct pkt *p,
					    const struct translation *t, const __u8 family)
{
	struct icmphdr *icmp;
	__u32 diff = 0;
	__u16 *port;

	if (CTX_IS_XDP || !quoted_ip_translate(ctx, p, t, family))
		return false;
	if (!p->bare) {
		port = ctx_header(ctx, p->l4 + (t->source ? 2 : 0), sizeof(*port));
		if (!port)
			return false;
		diff = csum_diff16(*port, t->port);
		*port = t->port;
	}
	if (family == FAMILY_V6)
		return quote_check_make(ctx, p);
	icmp = ctx_header(ctx, p->quote - sizeof(*icmp), sizeof(*icmp));
	if (!icmp)
		return false;
	icmp->checksum = csum_apply(icmp->checksum, diff);
	return true;
}

/* The checksum after an address and a port of the packet were replaced. */
static __always_inline bool transport_fix(CTX *ctx, const struct pkt *p, bool source,
					  __u32 addr_diff, __u16 old, __u16 new)
{
	bool udp = p->proto == IPPROTO_UDP;

	if (p->proto == IPPROTO_SCTP)
		return old == new ||
		       sctp_fix(ctx, p->l4, transport_len(p),
				source ? old ^ new : (__u32)(old ^ new) << 16);
	if (udp && !p->fragment && udp_is_bare(ctx, p))
		return udp_check_make(ctx, p);
	return ctx_l4_fix(ctx, p->l4 + (udp ? offsetof(struct udphdr, check)
					    : offsetof(struct tcphdr, check)),
			  udp, addr_diff, old, new, p->family);
}

/* Replaces a port, and makes up for it and for an address that made diff: 1, or 0 if
 * it could not be written. A function of its own for the verifier's sake. */
__noinline int port_translate(CTX *ctx, const struct pkt *p, __u32 diff, __u32 new, __u32 source)
{
	__u16 *port, old;

	if (!p)
		return 0;
	port = ctx_header(ctx, p->l4 + (source ? 0 : 2), sizeof(*port));
	if (!port)
		return 0;
	old = *port;
	*port = new;
	return transport_fix(ctx, p, source, diff, old, new);
}

/* Translates the packet in place. False: it could not be written. */
static __always_inline bool nat_translate(CTX *ctx, const struct pkt *p,
					  const struct translation *t, const __u8 family)
{
	__u32 diff;

	if (!ip_translate(ctx, t, &diff, family))
		return false;
	if (p->quote)
		return quote_translate(ctx, p, t, family);
	if (p->bare)
		return true;
	return port_translate(ctx, p, diff, t->port, t->source);
}
