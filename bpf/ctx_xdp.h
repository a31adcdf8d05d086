/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The fast door: what XDP does its own way. */
#pragma once

#include "base.h"
#include "csum.h"

#define CTX struct xdp_md
#define CTX_PASS XDP_PASS
#define CTX_DROP XDP_DROP
#define CTX_IS_XDP 1

static __always_inline void *ctx_header(CTX *ctx, __u32 offset, __u32 size)
{
	void *end = (void *)(long)ctx->data_end;
	void *p;

	BOUND_VALUE(offset);
	if (offset > 256)
		return NULL;
	p = (void *)(long)ctx->data + offset;
	KEEP_POINTER(p);
	return p + size > end ? NULL : p;
}

/* Whether the frame has so many bytes; a large one has them in several pieces. */
static __always_inline bool ctx_holds(CTX *ctx, __u32 bytes)
{
	return bytes <= ctx->data_end - ctx->data || bytes <= bpf_xdp_get_buff_len(ctx);
}

/* Packets left to the kernel come by tc, which counts them. */
static __always_inline void ctx_count_left(enum reason reason)
{
}

static __always_inline long ctx_load(CTX *ctx, __u32 offset, void *to, __u32 size)
{
	return bpf_xdp_load_bytes(ctx, offset, to, size);
}

static __always_inline long ctx_store(CTX *ctx, __u32 offset, const void *from, __u32 size)
{
	return bpf_xdp_store_bytes(ctx, offset, (void *)from, size);
}

static __always_inline __u32 ctx_mark(CTX *ctx)
{
	return 0;
}

static __always_inline __u32 ctx_ifindex(CTX *ctx)
{
	return ctx->ingress_ifindex;
}

/* What has a tag is no packet of IP here: it is left to the kernel and tc. */
static __always_inline bool ctx_is_tagged(CTX *ctx)
{
	return false;
}

/* The NIC has filtered by address; what is left is multicast. */
static __always_inline bool ctx_is_ours(CTX *ctx, struct ethhdr *eth)
{
	return !(eth->h_dest[0] & 1);
}

/* The transport checksum after an address and a port were replaced. */
static __always_inline bool ctx_l4_fix(CTX *ctx, __u32 offset, bool udp, __u32 addr_diff,
				       __u16 old_port, __u16 new_port, const __u8 family)
{
	__u16 *check = ctx_header(ctx, offset, sizeof(*check));
	__u16 fixed;

	if (!check)
		return false;
	if (udp && !*check)
		return true;
	fixed = csum_apply(*check, addr_diff + csum_diff16(old_port, new_port));
	*check = udp && !fixed ? 0xffff : fixed;
	return true;
}

/* Makes room for a tunnel's headers before the IP header, the outer of a family. */
static __always_inline bool ctx_grow(CTX *ctx, __u8 tunnel, __u32 bytes, __u8 outer, __u8 inner,
				     bool cut)
{
	struct ethhdr *eth;

	if (bpf_xdp_adjust_head(ctx, -(int)bytes))
		return false;
	eth = ctx_header(ctx, 0, sizeof(*eth));
	if (!eth)
		return false;
	eth->h_proto = outer == FAMILY_V6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	return true;
}

static __always_inline bool ctx_is_cut_later(CTX *ctx)
{
	return false;
}

static __always_inline __u32 ctx_super_len(CTX *ctx)
{
	return 0;
}
