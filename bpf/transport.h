/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Checksums of the transport layer over all of a packet: one that is made where
 * there was none, and the sum of a packet whose own is still to be made.
 */
#pragma once

#include "pkt.h"
#include "sum.h"

/* Bytes from the transport header to the packet's end. */
static __always_inline __u32 transport_len(const struct pkt *p)
{
	return p->len + L3_OFFSET - p->l4;
}

/* Where the checksum of the transport lies; 0 for those that have no such. */
static __always_inline __u32 transport_check(const struct pkt *p)
{
	if (p->quote || p->bare)
		return 0;
	if (p->proto == IPPROTO_TCP)
		return p->l4 + offsetof(struct tcphdr, check);
	return p->proto == IPPROTO_UDP ? p->l4 + offsetof(struct udphdr, check) : 0;
}

/* The sum of the pseudo-header over addresses of a family. */
static __always_inline __u16 pseudo_sum(const struct pkt *p, const union addr *src,
					const union addr *dst, const __u8 family)
{
	return csum_fold(csum_addr(src, family) + csum_addr(dst, family) + bpf_htons(p->proto) +
			 bpf_htons(transport_len(p)));
}

/*
 * The sum of the packet, from its IP header on, as it will be when it leaves. At
 * tc the checksum of the transport may still be to be made; its field then holds
 * the sum of the pseudo-header, and what the finished checksum will do is to make
 * the transport's part add up to the complement of that. A finished packet whose
 * field is the same by chance adds up to the same too, as long as it is intact.
 */
static __always_inline __u32 finished_sum(CTX *ctx, const struct pkt *p)
{
	__u32 at = transport_check(p);
	__u16 field = 0, pseudo;

	if (!at || p->fragment || ctx_load(ctx, at, &field, sizeof(field)))
		return packet_sum(ctx, L3_OFFSET, p->len);
	pseudo = pseudo_sum(p, &p->saddr, &p->daddr, p->family);
	if (field != pseudo)
		return packet_sum(ctx, L3_OFFSET, p->len);
	return packet_sum(ctx, L3_OFFSET, p->l4 - L3_OFFSET) + (__u16)~pseudo;
}

/* Whether a UDP packet has no checksum. */
static __always_inline bool udp_is_bare(CTX *ctx, const struct pkt *p)
{
	__u16 *check = ctx_header(ctx, transport_check(p), sizeof(*check));

	return check && !*check;
}

/* Gives a UDP packet the checksum it came without, as the kernel does to those it
 * masquerades: 1, or 0 if it could not be written. A function of its own, as few
 * packets need it. */
__noinline int udp_check_make(CTX *ctx, const struct pkt *p)
{
	__u32 addrs, sum, len;
	__u16 *check;
	bool v6;

	if (!p)
		return 0;
	v6 = p->family == FAMILY_V6;
	len = transport_len(p);
	addrs = v6 ? offsetof(struct ipv6hdr, saddr) : offsetof(struct iphdr, saddr);
	sum = packet_sum(ctx, L3_OFFSET + addrs, v6 ? 32 : 8) + packet_sum(ctx, p->l4, len) +
	      bpf_htons(IPPROTO_UDP) + bpf_htons(len);
	check = ctx_header(ctx, p->l4 + offsetof(struct udphdr, check), sizeof(*check));
	if (!check)
		return 0;
	*check = ~csum_fold(sum);
	if (!*check)
		*check = 0xffff;
	return 1;
}
