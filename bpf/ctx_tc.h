/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The sure door: what tc does its own way. It sees packets as the stack does,
 * with checksums still to be made and segments still to be cut. */
#pragma once

#include <linux/pkt_cls.h>

#include "base.h"

#define CTX struct __sk_buff
#define CTX_PASS TC_ACT_UNSPEC /* let the next program and the stack have it */
#define CTX_DROP TC_ACT_SHOT
#define CTX_IS_XDP 0

#define PKT_TYPE_HOST 0

static __always_inline void *ctx_linear(CTX *ctx, __u32 offset, __u32 size)
{
	void *end = (void *)(long)ctx->data_end;
	void *p = (void *)(long)ctx->data + offset;

	KEEP_POINTER(p);
	return p + size > end ? NULL : p;
}

static __always_inline void *ctx_header(CTX *ctx, __u32 offset, __u32 size)
{
	void *p;

	BOUND_VALUE(offset);
	if (offset > 256)
		return NULL;
	p = ctx_linear(ctx, offset, size);
	if (p)
		return p;
	if (offset + size > ctx->len || bpf_skb_pull_data(ctx, offset + size))
		return NULL;
	return ctx_linear(ctx, offset, size);
}

static __always_inline bool ctx_holds(CTX *ctx, __u32 bytes)
{
	return bytes <= ctx->len;
}

/* Counts a packet that is left to the kernel. */
static __always_inline void ctx_count_left(enum reason reason)
{
	count(reason);
}

static __always_inline long ctx_load(CTX *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_skb_load_bytes(ctx, offset, to, size);
}

static __always_inline long ctx_store(CTX *ctx, __u32 offset, const void *from, __u32 size)
{
	return bpf_skb_store_bytes(ctx, offset, from, size, 0);
}

static __always_inline __u32 ctx_mark(CTX *ctx)
{
	return ctx->mark;
}

static __always_inline __u32 ctx_ifindex(CTX *ctx)
{
	return ctx->ifindex;
}

#define VLAN_NUMBER 0xfff

/* Whether the frame has a tag, and goes on to the interface of its VLAN, which has a
 * program of its own. A tag that only says how urgent it is goes. */
static __always_inline bool ctx_is_tagged(CTX *ctx)
{
	if (!ctx->vlan_present)
		return false;
	return ctx->vlan_tci & VLAN_NUMBER || bpf_skb_vlan_pop(ctx);
}

static __always_inline bool ctx_is_ours(CTX *ctx, struct ethhdr *eth)
{
	return ctx->pkt_type == PKT_TYPE_HOST;
}

#define CSUM_IPV6 (1ULL << 7) /* BPF_F_IPV6 of Linux 6.16 */

/* The transport checksum after an address and a port were replaced. The helper
 * knows whether the checksum is complete or only the pseudo-header's part. */
static __always_inline bool ctx_l4_fix(CTX *ctx, __u32 offset, bool udp, __u32 addr_diff,
				       __u16 old_port, __u16 new_port, const __u8 family)
{
	__u64 flags = udp ? BPF_F_MARK_MANGLED_0 : 0;

	if (old_port != new_port &&
	    bpf_l4_csum_replace(ctx, offset, old_port, new_port, flags | 2))
		return false;
	flags |= BPF_F_PSEUDO_HDR;
	/* a kernel that does not know the flag refuses it */
	if (family == FAMILY_V6 && !bpf_l4_csum_replace(ctx, offset, 0, addr_diff, flags | CSUM_IPV6))
		return true;
	return !bpf_l4_csum_replace(ctx, offset, 0, addr_diff, flags);
}

/* Makes room for a tunnel's headers before the IP header, the outer of a family,
 * and says what they are, so that packets larger than the wire's are cut right
 * later; but not of one that we cut, as the kernel then changes its length no more. */
static __always_inline bool ctx_grow(CTX *ctx, __u8 tunnel, __u32 bytes, __u8 outer, __u8 inner,
				     bool cut)
{
	__u64 flags = outer == FAMILY_V6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
					 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	struct ethhdr *eth;

	if (tunnel == TUNNEL_GRE)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	if (tunnel == TUNNEL_GUE)
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	if (cut)
		flags = 0;
	/* Segments of TCP become smaller by as much; datagrams stay as they are, which
	 * has to be said. */
	if (bpf_skb_adjust_room(ctx, bytes, BPF_ADJ_ROOM_MAC, flags) &&
	    (!ctx->gso_size ||
	     bpf_skb_adjust_room(ctx, bytes, BPF_ADJ_ROOM_MAC, flags | BPF_F_ADJ_ROOM_FIXED_GSO)))
		return false;
	if (outer == inner)
		return true;
	/* the helper has changed what the kernel thinks it is; the frame is ours */
	eth = ctx_linear(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	eth->h_proto = outer == FAMILY_V6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return true;
}

/* Packets that stand for several are cut to size on their way out. */
static __always_inline bool ctx_is_cut_later(CTX *ctx)
{
	return ctx->gso_size;
}

static __always_inline __u32 ctx_super_len(CTX *ctx)
{
	return ctx->gso_size ? ctx->len - sizeof(struct ethhdr) : 0;
}
