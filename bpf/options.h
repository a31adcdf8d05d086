/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Options of IPv4, as a router treats them (RFC 791, RFC 1812 section 4.2.2.11). Who
 * asks for the route or the time gets the address by which the packet came to us, and
 * the time; who wants to say which way a packet goes is refused, as by Linux as it
 * comes; what else there is stays as it is. Only tc does this; XDP leaves such packets
 * to it.
 */
#pragma once

#include "sum.h"

#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_RECORD_ROUTE 7
#define OPTION_TIMESTAMP 68
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137

#define OPTIONS_MAX 40
#define OPTIONS_OLD 64 /* where in the chunk a copy of the options lies */

#define DAY_NS (86400ULL * 1000000000)

/* TAI is UTC but for the seconds that were put in, of which a kernel knows only if
 * somebody told it (adjtimex). Since Linux 6.1. */
static __u64 (*const ktime_get_tai_ns)(void) = (void *)208;

/* Milliseconds since midnight. */
static __always_inline __u32 option_time(void)
{
	return bpf_htonl((ktime_get_tai_ns() % DAY_NS) / 1000000);
}

struct options_walk {
	__u32 at, end;
	__u32 addr;
	int reason;
};

static __always_inline struct chunk *options_chunk(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&chunks, &zero);
}

static __always_inline void option_put(struct chunk *c, __u32 at, __u32 word)
{
	for (int i = 0; i < 4; i++)
		c->bytes[(at + i) & 63] = word >> 8 * i;
}

static __always_inline __u32 option_word(struct chunk *c, __u32 at)
{
	__u32 word = 0;

	for (int i = 0; i < 4; i++)
		word |= (__u32)c->bytes[(at + i) & 63] << 8 * i;
	return word;
}

/* An option of size bytes at at, whose third byte says which is the next free:
 * whether that is right. */
static __always_inline bool record_route(struct chunk *c, __u32 at, __u32 size, __u32 addr)
{
	__u8 *next = &c->bytes[(at + 2) & 63];

	if (size < 3 || *next < 4)
		return false;
	if (*next > size)
		return true; /* full */
	if (*next + 3 > size)
		return false;
	option_put(c, at + *next - 1, addr);
	*next += 4;
	return true;
}

static __always_inline bool timestamp(struct chunk *c, __u32 at, __u32 size, __u32 addr)
{
	__u8 *next = &c->bytes[(at + 2) & 63], *flags = &c->bytes[(at + 3) & 63];
	__u32 place = at + *next - 1, kind = *flags & 15, need = kind ? 8 : 4;

	if (size < 4 || *next < 5)
		return false;
	if (*next > size) { /* full: one more that found no room */
		*flags += 16;
		return *flags >= 16;
	}
	if (*next + need - 1 > size)
		return false;
	if (kind == 3 && option_word(c, place) != addr)
		return true; /* another shall write there */
	if (kind == 1)
		option_put(c, place, addr);
	option_put(c, place + need - 4, option_time());
	*next += need;
	return true;
}

static long option_step(__u32 i, struct options_walk *w)
{
	struct chunk *c = options_chunk();
	__u32 at = w->at & 63, size;
	bool right = true;
	__u8 kind;

	if (!c || at >= w->end)
		return 1;
	kind = c->bytes[at];
	if (kind == OPTION_END)
		return 1;
	size = kind == OPTION_NOP ? 1 : c->bytes[at + 1];
	if (!size || (kind != OPTION_NOP && size < 2) || at + size > w->end)
		right = false;
	else if (kind == OPTION_RECORD_ROUTE)
		right = record_route(c, at, size, w->addr);
	else if (kind == OPTION_TIMESTAMP)
		right = timestamp(c, at, size, w->addr);
	if (!right)
		w->reason = -REASON_MALFORMED;
	else if (kind == OPTION_LOOSE_ROUTE || kind == OPTION_STRICT_ROUTE)
		w->reason = -REASON_SOURCE_ROUTE;
	w->at = at + size;
	return w->reason != 0;
}

/*
 * Looks at the options, and if fill is set writes into them: 0, or the reason why the
 * packet is dropped. addr is the director's. A function of its own, as few packets
 * need it.
 */
__noinline int options_pass(CTX *ctx, __u32 addr, __u32 fill)
{
	struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	struct options_walk w = {.addr = addr};
	struct chunk *c = options_chunk();
	__u32 size;

	if (!ip || !c)
		return -REASON_MALFORMED;
	w.end = size = (ip->ihl & 15) * 4 - sizeof(*ip);
	size--; /* 4 to OPTIONS_MAX, said so that the verifier sees it */
	KEEP_VALUE(size);
	size = (size & (OPTIONS_OLD - 1)) + 1;
	if (bpf_skb_load_bytes(ctx, L3_OFFSET + sizeof(*ip), c->bytes, size) ||
	    bpf_skb_load_bytes(ctx, L3_OFFSET + sizeof(*ip), &c->bytes[OPTIONS_OLD], size))
		return -REASON_MALFORMED;
	bpf_loop(OPTIONS_MAX, option_step, &w, 0);
	if (w.reason || !fill)
		return w.reason;
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	if (!ip)
		return -REASON_MALFORMED;
	ip->check = csum_apply(ip->check,
			       csum_fold(bpf_csum_diff((__be32 *)&c->bytes[OPTIONS_OLD], size,
						       (__be32 *)c->bytes, size, 0)));
	if (bpf_skb_store_bytes(ctx, L3_OFFSET + sizeof(*ip), c->bytes, size, 0))
		return -REASON_MALFORMED;
	return 0;
}
