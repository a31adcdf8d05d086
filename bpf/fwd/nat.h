/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Masquerading: towards the server the destination becomes the server's
 * address and port, towards the client the source becomes the VIP's. Address,
 * port, TTL and checksums are all that changes (RFC 3022, section 4).
 */
#pragma once

#include "../csum.h"
#include "../quote.h"

struct translation {
	__u32 addr;
	__u16 port;
	bool source; /* the source is replaced, else the destination */
};

static __always_inline void ip_translate(struct iphdr *ip, const struct translation *t)
{
	__u32 *addr = t->source ? &ip->saddr : &ip->daddr;
	__u32 diff = csum_diff32(*addr, t->addr);

	*addr = t->addr;
	/* The TTL is the high byte of its word: one less is 0x0100 less. */
	ip->ttl--;
	ip->check = csum_apply(ip->check, diff + csum_diff16(bpf_htons(0x0100), 0));
}

/*
 * Translates what an ICMP error quotes: there it is the other end. The quoted
 * header's checksum makes up for its address, so only the port changes the sum
 * of the whole. The quoted transport checksum stays: often it is not all there.
 */
static __always_inline bool quote_translate(CTX *ctx, const struct pkt *p,
					    const struct translation *t)
{
	struct iphdr *ip = ctx_header(ctx, p->quote, sizeof(*ip));
	struct icmphdr *icmp;
	__u32 *addr;
	__u16 *port, old;

	if (!ip)
		return false;
	addr = t->source ? &ip->daddr : &ip->saddr;
	ip->check = csum_apply(ip->check, csum_diff32(*addr, t->addr));
	*addr = t->addr;
	port = ctx_header(ctx, p->l4 + (t->source ? 2 : 0), sizeof(*port));
	if (!port)
		return false;
	old = *port;
	*port = t->port;
	icmp = ctx_header(ctx, p->quote - sizeof(*icmp), sizeof(*icmp));
	if (!icmp)
		return false;
	icmp->checksum = csum_apply(icmp->checksum, csum_diff16(old, t->port));
	return true;
}

/* Translates the packet in place. False: it could not be written. */
static __always_inline bool nat_translate(CTX *ctx, const struct pkt *p,
					  const struct translation *t)
{
	__u32 old_addr = t->source ? p->saddr : p->daddr;
	__u16 old_port = t->source ? p->sport : p->dport;
	bool udp = p->proto == IPPROTO_UDP;
	__u32 check = udp ? offsetof(struct udphdr, check) : offsetof(struct tcphdr, check);
	struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	__u16 *port;

	if (!ip)
		return false;
	ip_translate(ip, t);
	if (p->quote)
		return quote_translate(ctx, p, t);
	if (p->later)
		return true;
	port = ctx_header(ctx, p->l4 + (t->source ? 0 : 2), sizeof(*port));
	if (!port)
		return false;
	*port = t->port;
	return ctx_l4_fix(ctx, p->l4 + check, udp, old_addr, t->addr, old_port, t->port);
}
