/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * IP options (RFC 791, section 3.1). A request is for the host, which reads its
 * options before anyone else has the packet: where it is asked to record itself, it
 * is as the VIP; what it would refuse (a source route, a length that is wrong), is
 * its own to refuse. Only tc does this; XDP leaves such packets to it.
 */
#pragma once

#include "csum.h"
#include "pkt.h"

enum option {
	OPTION_END = 0,
	OPTION_NOTHING = 1,
	OPTION_ROUTE = 7, /* record it */
	OPTION_TIME = 68,
	OPTION_LOOSE = 131, /* go by these */
	OPTION_STRICT = 137,
};

/* What OPTION_TIME asks for. */
enum option_time { TIME_ALONE = 0, TIME_AND_ADDRESS = 1, TIME_IF_ADDRESS = 3 };

#define OPTIONS_SIZE 64 /* a power of two that holds the 40 bytes there can be */
#define DAY_MS 86400000

struct options {
	__u8 byte[OPTIONS_SIZE];
	__u32 at, size;
	__u32 address;
	bool wrong;
};

/* Not on the stack, which is small. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct options);
} options SEC(".maps");

static __always_inline struct options *options_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&options, &zero);
}

static __always_inline __u8 *option_byte(struct options *o, __u32 at)
{
	at &= OPTIONS_SIZE - 1;
	KEEP_VALUE(at);
	return &o->byte[at & (OPTIONS_SIZE - 1)];
}

/* Writes four bytes where the option's pointer points, and moves that on. */
static __always_inline void option_put(struct options *o, __u32 option, __u32 value)
{
	__u32 at = option + *option_byte(o, option + 2) - 1;

	for (int i = 0; i < 4; i++)
		*option_byte(o, at + i) = value >> 8 * i;
	*option_byte(o, option + 2) += 4;
}

/* Whether n bytes are free behind the pointer, which counts from one. */
static __always_inline bool option_free(struct options *o, __u32 option, __u8 n)
{
	return *option_byte(o, option + 2) + n - 1 <= *option_byte(o, option + 1);
}

static __always_inline __u32 option_address(struct options *o, __u32 at)
{
	return *option_byte(o, at) | *option_byte(o, at + 1) << 8 | *option_byte(o, at + 2) << 16 |
	       (__u32)*option_byte(o, at + 3) << 24;
}

/* Records the time, in milliseconds since midnight. False: it is wrong. */
static __always_inline bool option_time(struct options *o, __u32 option)
{
	__u32 now = bpf_htonl(bpf_ktime_get_tai_ns() / 1000000 % DAY_MS);
	__u8 *flag = option_byte(o, option + 3), first = *option_byte(o, option + 2);

	if (first < 5 || (!option_free(o, option, 1) && *flag >> 4 == 15))
		return false;
	if (!option_free(o, option, 1)) {
		*flag += 1 << 4; /* one that could not */
		return true;
	}
	switch (*flag & 15) {
	case TIME_ALONE:
		if (!option_free(o, option, 4))
			return false;
		option_put(o, option, now);
		return true;
	case TIME_IF_ADDRESS:
		if (option_free(o, option, 8) && option_address(o, option + first - 1) != o->address)
			return true;
	case TIME_AND_ADDRESS:
		if (!option_free(o, option, 8))
			return false;
		option_put(o, option, o->address);
		option_put(o, option, now);
	}
	return true;
}

static __always_inline bool option_route(struct options *o, __u32 option)
{
	if (*option_byte(o, option + 2) < 4)
		return false;
	if (!option_free(o, option, 1))
		return true; /* full */
	if (!option_free(o, option, 4))
		return false;
	option_put(o, option, o->address);
	return true;
}

static long option_next(__u32 i, void *unused)
{
	struct options *o = options_get();
	__u8 kind, len;
	__u32 at;

	if (!o)
		return 1;
	at = o->at;
	kind = *option_byte(o, at);
	len = *option_byte(o, at + 1);
	if (at >= o->size || kind == OPTION_END)
		return 1;
	if (kind == OPTION_NOTHING) {
		o->at++;
		return 0;
	}
	o->at += len;
	o->wrong = len < 2 || o->at > o->size || kind == OPTION_LOOSE || kind == OPTION_STRICT ||
		   (kind == OPTION_ROUTE && (len < 3 || !option_route(o, at))) ||
		   (kind == OPTION_TIME && (len < 4 || !option_time(o, at)));
	return o->wrong;
}

/*
 * Reads the options, and records what they ask for if it is to: 1, or 0 if they are
 * the host's to refuse. A function of its own for the verifier's sake.
 */
__noinline int options_read(CTX *ctx, bool record)
{
	struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	struct options *o = options_get();
	__u32 size, before, after;

	if (!o || !ip || ip->ihl <= 5)
		return 1;
	size = (ip->ihl - 5) * 4 - 1;
	o->at = 0;
	o->size = size + 1;
	o->address = ip->daddr;
	o->wrong = false;
	KEEP_VALUE(size); /* 1 to OPTIONS_SIZE, said so that the verifier sees it */
	size = (size & (OPTIONS_SIZE - 1)) + 1;
	if (ctx_load(ctx, L3_OFFSET + sizeof(*ip), o->byte, size))
		return 0;
	before = bpf_csum_diff(NULL, 0, (__be32 *)o->byte, size, 0);
	bpf_loop(40, option_next, NULL, 0);
	if (o->wrong || !record)
		return !o->wrong;
	after = bpf_csum_diff(NULL, 0, (__be32 *)o->byte, size, 0);
	if (ctx_store(ctx, L3_OFFSET + sizeof(*ip), o->byte, size))
		return 0;
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	if (!ip)
		return 0;
	ip->check = csum_apply(ip->check, csum_diff16(csum_fold(before), csum_fold(after)));
	return 1;
}
