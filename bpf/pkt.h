/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* One parse of a packet, as far as the data path needs it. Families part here
 * and in the rewriting; what lies between sees only struct pkt. Functions that
 * take a family are told it as a constant, so that each is compiled for one. */
#pragma once

#include "work.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define SCTP_INIT 1
#define SCTP_ABORT 6

#define L3_OFFSET sizeof(struct ethhdr)

struct sctphdr {
	__u16 source, dest;
	__u32 vtag;
	__u32 checksum;
};

struct sctp_chunk {
	__u8 type, flags;
	__u16 length;
};

static __always_inline __u8 proto_icmp(const __u8 family)
{
	return family == FAMILY_V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}

/* The protocols that have ports, which connections are known by. */
static __always_inline bool proto_has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

static __always_inline bool pkt_parse_ip4(CTX *ctx, struct pkt *p)
{
	struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return false;
	p->saddr.w[0] = ip->saddr;
	p->daddr.w[0] = ip->daddr;
	p->proto = ip->protocol;
	p->ttl = ip->ttl;
	p->len = bpf_ntohs(ip->tot_len);
	p->l4 = L3_OFFSET + ip->ihl * 4;
	p->id = ip->id;
	p->fragment = ip->frag_off & bpf_htons(0x3fff);
	p->later = ip->frag_off & bpf_htons(0x1fff);
	p->more = ip->frag_off & bpf_htons(0x2000);
	p->place = bpf_ntohs(ip->frag_off) << 3;
	p->body = p->l4;
	p->whole = ip->frag_off & bpf_htons(0x4000);
	p->options = ip->ihl > 5;
	return true;
}

static __always_inline bool pkt_parse_ip6(CTX *ctx, struct pkt *p)
{
	struct ipv6hdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

	if (!ip || ip->version != 6)
		return false;
	p->saddr = *(union addr *)&ip->saddr;
	p->daddr = *(union addr *)&ip->daddr;
	p->proto = ip->nexthdr;
	p->ttl = ip->hop_limit;
	p->len = bpf_ntohs(ip->payload_len);
	if (p->len)
		p->len += sizeof(*ip);
	p->l4 = L3_OFFSET + sizeof(*ip);
	p->id = 0;
	p->options = false;
	p->fragment = false;
	p->later = false;
	p->whole = true; /* routers do not cut them */
	return true;
}

/* Reads the IP header. False: it is not one. */
static __always_inline bool pkt_parse_l3(CTX *ctx, struct pkt *p, const __u8 family)
{
	p->family = family;
	p->quote = 0;
	p->mtu = 0;
	p->cut = 0;
	p->flags = 0;
	p->atomic = false;
	p->bare = false;
	p->born = false;
	p->mark = ctx_mark(ctx);
	if (family == FAMILY_V6 ? !pkt_parse_ip6(ctx, p) : !pkt_parse_ip4(ctx, p))
		return false;
	if (!p->len) /* of a super-packet larger than the field holds */
		p->len = ctx_super_len(ctx);
	return true;
}

/* Headers of IPv6 between the first and the transport's (RFC 8200, section 4). */
#define EXTENSIONS 8
#define EXT_HOP 0
#define EXT_ROUTING 43
#define EXT_FRAGMENT 44
#define EXT_AUTH 51
#define EXT_NONE 59
#define EXT_DESTINATION 60

struct ext_fragment {
	__u8 next, reserved;
	__u16 offset;
	__u32 id;
};

static __always_inline bool ext_is(__u8 header)
{
	return header == EXT_HOP || header == EXT_ROUTING || header == EXT_FRAGMENT ||
	       header == EXT_AUTH || header == EXT_DESTINATION;
}

/*
 * Goes over the extension headers to that of the transport, or of a later
 * fragment to where it was cut: 1, or 0 if they are too many or not all there. A
 * function of its own for the verifier's sake.
 */
__noinline int pkt_skip_extensions(CTX *ctx, struct pkt *p)
{
	if (!p)
		return 0;
	for (int i = 0; i < EXTENSIONS && ext_is(p->proto); i++) {
		struct ext_fragment *f = ctx_header(ctx, p->l4, sizeof(*f));
		__u8 header = p->proto;

		if (!f)
			return 0;
		p->proto = f->next;
		if (header == EXT_FRAGMENT) {
			p->id = f->id;
			p->fragment = f->offset & bpf_htons(0xfff9);
			p->later = f->offset & bpf_htons(0xfff8);
			p->more = f->offset & bpf_htons(1);
			p->place = bpf_ntohs(f->offset) & 0xfff8;
			p->atomic = !p->fragment && p->l4 == L3_OFFSET + sizeof(struct ipv6hdr);
			p->l4 += sizeof(*f);
			p->body = p->l4;
			if (p->later)
				return 1;
		} else if (header == EXT_AUTH) {
			p->l4 += (f->reserved + 2) * 4;
		} else {
			p->l4 += (f->reserved + 1) * 8;
		}
	}
	return !ext_is(p->proto);
}

/* Whether the packet is as long as it says, and that is enough for a header; one
 * that is not, the kernel drops. */
static __always_inline bool pkt_is_whole(CTX *ctx, const struct pkt *p)
{
	return ctx_holds(ctx, L3_OFFSET + p->len) && L3_OFFSET + p->len >= p->l4;
}

/* Whether so much of the packet is its own and not padding behind it. */
static __always_inline bool pkt_contains(const struct pkt *p, __u32 offset, __u32 size)
{
	return offset + size <= L3_OFFSET + p->len;
}

/* The type of the first chunk; an abort behind a cookie counts instead of it,
 * as it is what the packet is about (RFC 9260, section 3.3.7). */
static __always_inline __u8 sctp_type(CTX *ctx, const struct pkt *p, const struct sctp_chunk *c)
{
	__u16 length = bpf_ntohs(c->length);
	__u8 type = c->type, second = 0;

	if ((type == 10 || type == 11) && length >= sizeof(*c) &&
	    !ctx_load(ctx, p->l4 + sizeof(struct sctphdr) + ((length + 3) & ~3), &second, 1) &&
	    second == 6)
		return second;
	return type;
}

/* Reads the transport header. False: it is not all there. */
static __always_inline bool pkt_parse_l4(CTX *ctx, struct pkt *p)
{
	__u16 *ports;

	if (p->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = ctx_header(ctx, p->l4, sizeof(*tcp));

		if (!tcp || !pkt_contains(p, p->l4, sizeof(*tcp)))
			return false;
		ports = &tcp->source;
		p->flags = ((__u8 *)tcp)[13];
	} else if (p->proto == IPPROTO_UDP) {
		ports = ctx_header(ctx, p->l4, sizeof(struct udphdr));
		if (!ports || !pkt_contains(p, p->l4, sizeof(struct udphdr)))
			return false;
	} else {
		const __u32 size = sizeof(struct sctphdr) + sizeof(struct sctp_chunk);
		struct sctphdr *sctp = ctx_header(ctx, p->l4, size);

		if (!sctp || !pkt_contains(p, p->l4, size))
			return false;
		ports = &sctp->source;
		p->flags = sctp_type(ctx, p, (void *)(sctp + 1));
		ports = ctx_header(ctx, p->l4, 4);
		if (!ports)
			return false;
	}
	p->sport = ports[0];
	p->dport = ports[1];
	return true;
}

/* AH and ESP follow the connection by which their keys were agreed (RFC 7296:
 * UDP, both ports 500), as nothing else tells what they belong to. */
static __always_inline void pkt_follow_keys(struct pkt *p)
{
	p->proto = IPPROTO_UDP;
	p->sport = p->dport = bpf_htons(500);
	p->bare = true;
}
