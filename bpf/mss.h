/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The maximum segment size that a SYN announces (RFC 9293, section 3.7.1), lowered
 * to what the way has room for, so that no segment is sent that is too big for it.
 * For tc, and for XDP where the includer says so (CTX, CTX_IS_XDP).
 */
#pragma once

#include <linux/tcp.h>

#include "csum.h"

#define TCP_OPTIONS_MAX 40

struct mss_walk {
	__u8 options[64]; /* 40 at most; an index under its mask is in bounds */
	__u32 size;
	__u32 at; /* of the option looked at; in the end of the one found */
	bool found;
};

/* In a map, as the stack is small where this is called from. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mss_walk);
} mss_walks SEC(".maps");

static __always_inline struct mss_walk *mss_walk_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mss_walks, &zero);
}

static long mss_step(__u32 i, void *nothing)
{
	struct mss_walk *w = mss_walk_get();
	__u8 kind, len;

	if (!w)
		return 1;
	kind = w->options[w->at & 63];
	len = w->options[(w->at + 1) & 63];
	if (w->at + 4 > w->size || !kind)
		return 1;
	if (kind == 1) { /* padding, one byte */
		w->at++;
		return 0;
	}
	w->found = kind == 2 && len == 4;
	if (w->found || len < 2)
		return 1;
	w->at += len;
	return 0;
}

/* Reads the options of the TCP header at l4; false if there are none. */
static __always_inline bool mss_read(CTX *ctx, __u32 l4, struct mss_walk *w)
{
	__u8 offset = 0;
	__u32 size;

#if CTX_IS_XDP
	if (bpf_xdp_load_bytes(ctx, l4 + 12, &offset, 1))
		return false;
#else
	if (bpf_skb_load_bytes(ctx, l4 + 12, &offset, 1))
		return false;
#endif
	size = (offset >> 4) * 4 - sizeof(struct tcphdr);
	if (size - 1 >= TCP_OPTIONS_MAX)
		return false;
	w->size = size;
	size--; /* 1 to 40, said so that the verifier sees it */
	asm volatile("" : "+r"(size));
	size = (size & 63) + 1;
#if CTX_IS_XDP
	return !bpf_xdp_load_bytes(ctx, l4 + sizeof(struct tcphdr), w->options, size);
#else
	return !bpf_skb_load_bytes(ctx, l4 + sizeof(struct tcphdr), w->options, size);
#endif
}

/* Writes a word of the TCP header at l4, and what that makes to its checksum. odd: it
 * begins between two words that the sum goes by. */
static __always_inline bool mss_write(CTX *ctx, __u32 l4, __u32 at, __u16 old, __u16 new, bool odd)
{
	__u32 check_at = l4 + offsetof(struct tcphdr, check);
	__u16 from = odd ? __builtin_bswap16(old) : old, to = odd ? __builtin_bswap16(new) : new;

#if CTX_IS_XDP
	__u16 check;

	if (bpf_xdp_store_bytes(ctx, at, &new, sizeof(new)) ||
	    bpf_xdp_load_bytes(ctx, check_at, &check, sizeof(check)))
		return false;
	check = csum_apply(check, csum_diff16(from, to));
	return !bpf_xdp_store_bytes(ctx, check_at, &check, sizeof(check));
#else
	/* the helper leaves a checksum alone that is still to be made */
	return !bpf_skb_store_bytes(ctx, at, &new, sizeof(new), 0) &&
	       !bpf_l4_csum_replace(ctx, check_at, from, to, sizeof(new));
#endif
}

/* Lowers what the SYN with its TCP header at l4 announces to limit: 1, or 0 if it
 * announces nothing, or no more. A function of its own, as few packets need it. */
__noinline int mss_lower(CTX *ctx, __u32 l4, __u32 limit)
{
	struct mss_walk *w = mss_walk_get();
	__u16 old, new = bpf_htons(limit);
	__u32 value;

	if (!w || !mss_read(ctx, l4, w))
		return 0;
	w->at = 0;
	w->found = false;
	bpf_loop(TCP_OPTIONS_MAX, mss_step, NULL, 0);
	if (!w->found)
		return 0;
	value = (w->at + 2) & 63;
	old = w->options[value] | w->options[(value + 1) & 63] << 8;
	if (bpf_ntohs(old) <= limit)
		return 0;
	return mss_write(ctx, l4, l4 + sizeof(struct tcphdr) + value, old, new, value & 1);
}
