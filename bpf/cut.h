/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Cutting a packet that is too big for its way and may be cut (RFC 791, section 3.2;
 * RFC 8200, section 4.5). The packet is made into each of its pieces; copies of all
 * but the last are sent, and the last is what is left of it. A packet of IPv6 is cut
 * only where the director is its sender: around what a tunnel carries.
 */
#pragma once

#include "csum.h"
#include "pkt.h"

#define CUT_BYTES 16384 /* of a packet; a power of two */
#define CUT_PIECES 256

/* A packet; as long again, so that the verifier sees that no slice of it ends
 * outside. */
struct cut_packet {
	__u8 bytes[2 * CUT_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cut_packet);
} cut_packets SEC(".maps");

struct cutting {
	CTX *ctx;
	__u64 flags;
	__u32 ifindex;
	__u32 header; /* bytes of the IP header */
	__u32 total;  /* bytes behind it */
	__u32 size;   /* of a piece, but for the last */
	__u32 at;     /* where the next begins */
	__u32 id;     /* of a packet of IPv6, else 0 */
	__u16 first;  /* place of the whole, which may be a fragment itself, in units of 8 */
	__u16 more;   /* its bit, if others follow the whole */
	__u8 proto;
	__u8 family;
	bool done;
};

static __always_inline struct cut_packet *cut_packet(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&cut_packets, &zero);
}

struct blank_walk {
	__u32 at, end; /* the options, from one byte to the next */
	__u32 left;    /* bytes of the option at hand */
	__u32 diff;
	bool blank;
};

/* Behind the first piece, only options with the bit for it stay; the room stays. */
static long option_blank(__u32 i, struct blank_walk *w)
{
	struct cut_packet *c = cut_packet();
	__u32 at = w->at++ & 63;
	__u8 old;

	if (!c || at >= w->end)
		return 1;
	old = c->bytes[at];
	if (!w->left) {
		if (!old) /* the end */
			return 1;
		w->left = old == 1 ? 1 : c->bytes[at + 1];
		w->blank = !(old & 0x80);
		if (!w->left)
			return 1;
	}
	w->left--;
	if (w->blank) {
		w->diff += at & 1 ? csum_diff16(old << 8, 1 << 8) : csum_diff16(old, 1);
		c->bytes[at] = 1;
	}
	return 0;
}

static __always_inline void options_blank(struct cut_packet *c, __u32 header)
{
	struct iphdr *ip = (void *)c->bytes;
	struct blank_walk w = {.at = sizeof(*ip), .end = header};

	bpf_loop(40, option_blank, &w, 0);
	ip->check = csum_apply(ip->check, csum_fold(w.diff));
}

/* Writes the header of a piece of so many bytes, and returns where the piece begins. */
static __always_inline __u32 cut_header4(struct cutting *c, struct iphdr *ip, __u32 len, bool last)
{
	__u16 length = bpf_htons(c->header + len);
	__u16 place = bpf_htons((c->first + c->at / 8) | (last ? c->more : 0x2000));

	ip->check = csum_apply(ip->check, csum_diff16(ip->tot_len, length) +
					  csum_diff16(ip->frag_off, place));
	ip->tot_len = length;
	ip->frag_off = place;
	return L3_OFFSET + c->header;
}

static __always_inline __u32 cut_header6(struct cutting *c, struct ipv6hdr *ip, __u32 len, bool last)
{
	struct ext_fragment *f = (void *)(ip + 1);

	ip->nexthdr = EXT_FRAGMENT;
	ip->payload_len = bpf_htons(sizeof(*f) + len);
	f->next = c->proto;
	f->reserved = 0;
	f->offset = bpf_htons(c->at | !last);
	f->id = c->id;
	return L3_OFFSET + sizeof(*ip) + sizeof(*f);
}

#define CUT_HEADERS 64 /* room for headers in the buffer; what is cut lies behind */

static long cut_step(__u32 i, struct cutting *c)
{
	struct cut_packet *buffer = cut_packet();
	__u32 len = c->total - c->at, from = CUT_HEADERS + c->at, body, headers;
	bool last = len <= c->size;

	if (!buffer || !len)
		return 1;
	if (!last)
		len = c->size;
	body = c->family == FAMILY_V6 ? cut_header6(c, (void *)buffer->bytes, len, last)
				      : cut_header4(c, (void *)buffer->bytes, len, last);
	headers = body - L3_OFFSET - 1;
	if (bpf_skb_change_tail(c->ctx, body + len, 0))
		return 1;
	KEEP_VALUE(headers);
	if (bpf_skb_store_bytes(c->ctx, L3_OFFSET, buffer->bytes, (headers & 63) + 1, 0))
		return 1;
	len--;
	KEEP_VALUE(len);
	KEEP_VALUE(from);
	len &= CUT_BYTES - 1;
	if (bpf_skb_store_bytes(c->ctx, body, &buffer->bytes[from & (CUT_BYTES - 1)], len + 1, 0))
		return 1;
	c->at += len + 1;
	c->done = last;
	if (!last)
		bpf_clone_redirect(c->ctx, c->ifindex, c->flags);
	return last;
}

/* Copies the packet into the buffer. */
static __always_inline bool cut_load(struct cutting *c, struct cut_packet *buffer)
{
	__u32 header = c->header - 1, total = c->total - 1;

	if (c->header < sizeof(struct iphdr) || c->header > 60 || !c->total ||
	    CUT_HEADERS + c->total > CUT_BYTES)
		return false;
	KEEP_VALUE(header);
	KEEP_VALUE(total);
	return !bpf_skb_load_bytes(c->ctx, L3_OFFSET, buffer->bytes, (header & 63) + 1) &&
	       !bpf_skb_load_bytes(c->ctx, L3_OFFSET + c->header, &buffer->bytes[CUT_HEADERS],
				   (total & (CUT_BYTES - 1)) + 1);
}

static __always_inline bool cut_begin4(struct cutting *c, __u32 mtu)
{
	struct iphdr *ip = ctx_header(c->ctx, L3_OFFSET, sizeof(*ip));
	__u16 word;

	if (!ip)
		return false;
	word = bpf_ntohs(ip->frag_off);
	c->family = FAMILY_V4;
	c->header = ip->ihl * 4;
	c->total = bpf_ntohs(ip->tot_len) - c->header;
	c->size = (mtu - c->header) & ~7;
	c->first = word & 0x1fff;
	c->more = word & 0x2000;
	return true;
}

static __always_inline bool cut_begin6(struct cutting *c, __u32 mtu)
{
	struct ipv6hdr *ip = ctx_header(c->ctx, L3_OFFSET, sizeof(*ip));

	if (!ip)
		return false;
	c->family = FAMILY_V6;
	c->header = sizeof(*ip);
	c->total = bpf_ntohs(ip->payload_len);
	c->size = (mtu - sizeof(*ip) - sizeof(struct ext_fragment)) & ~7;
	c->proto = ip->nexthdr;
	c->id = bpf_get_prandom_u32();
	return true;
}

/*
 * Cuts the packet into pieces of at most mtu bytes. All but the last go to the
 * interface, by the flags of bpf_clone_redirect: 1, and the packet is the last; 0 on
 * failure. A function of its own, as few packets need it.
 */
__noinline int packet_cut(CTX *ctx, __u32 mtu, __u32 ifindex, __u32 ingress)
{
	struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));
	struct cut_packet *buffer = cut_packet();
	struct cutting c = {.ctx = ctx, .ifindex = ifindex, .flags = ingress};

	if (!eth || !buffer || mtu < 128)
		return 0;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6) ? !cut_begin6(&c, mtu) : !cut_begin4(&c, mtu))
		return 0;
	if (!cut_load(&c, buffer) || c.total > c.size * CUT_PIECES)
		return 0;
	/* a byte more makes the kernel forget a sum over the whole packet */
	if (bpf_skb_change_tail(ctx, ctx->len + 1, 0))
		return 0;
	bpf_loop(1, cut_step, &c, 0);
	if (c.family == FAMILY_V4 && c.header > sizeof(struct iphdr))
		options_blank(buffer, c.header);
	bpf_loop(CUT_PIECES, cut_step, &c, 0);
	return c.done;
}

/* Takes off the header of a fragment that is the whole packet, as putting together
 * what is whole would: 1, or 0 on failure. */
__noinline int atomic_unwrap(CTX *ctx, struct pkt *p)
{
	const __u32 size = sizeof(struct ext_fragment);
	struct ext_fragment *f = ctx_header(ctx, L3_OFFSET + sizeof(struct ipv6hdr), size);
	struct ipv6hdr *ip;
	__u8 next;

	if (!f || !p)
		return 0;
	next = f->next;
	if (bpf_skb_adjust_room(ctx, -(int)size, BPF_ADJ_ROOM_NET, 0))
		return 0;
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	if (!ip)
		return 0;
	ip->nexthdr = next;
	ip->payload_len = bpf_htons(bpf_ntohs(ip->payload_len) - size);
	p->l4 -= size;
	p->len -= size;
	if (p->quote)
		p->quote -= size;
	return 1;
}
