/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Masquerading: towards the server the destination becomes the server's
 * address and port, towards the client the source becomes the VIP's. Address,
 * port, TTL and checksums are all that changes (RFC 3022, section 4).
 */
#pragma once

#include "../csum.h"
#include "../pkt.h"

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
	port = ctx_header(ctx, p->l4 + (t->source ? 0 : 2), sizeof(*port));
	if (!port)
		return false;
	*port = t->port;
	return ctx_l4_fix(ctx, p->l4 + check, udp, old_addr, t->addr, old_port, t->port);
}
