/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The Internet checksum over a stretch of the packet (RFC 1071), however it lies in
 * memory. */
#pragma once

#include "csum.h"

#define SUM_CHUNK 512 /* bytes that one helper sums up */

struct chunk {
	__u8 bytes[SUM_CHUNK + 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

struct sum_walk {
	CTX *ctx;
	__u32 offset;
	__u32 left;
	__u32 sum;
};

static long sum_chunk(__u32 i, struct sum_walk *w)
{
	__u32 zero = 0, size = w->left < SUM_CHUNK ? w->left : SUM_CHUNK;
	struct chunk *c = bpf_map_lookup_elem(&chunks, &zero);

	if (!c || !size)
		return 1;
	w->left -= size;
	size--; /* 1 to SUM_CHUNK, said so that the verifier sees it */
	KEEP_VALUE(size);
	size = (size & (SUM_CHUNK - 1)) + 1;
	__builtin_memset(&c->bytes[size & ~3], 0, 4); /* what pads an odd end */
	if (ctx_load(w->ctx, w->offset, c->bytes, size))
		return 1;
	w->sum = bpf_csum_diff(NULL, 0, (__be32 *)c->bytes, (size + 3) & ~3, w->sum);
	w->offset += size;
	return 0;
}

/* The sum of len bytes from offset, folded to 16 bits, and not inverted. A function
 * of its own, as few packets need it. */
__noinline __u32 packet_sum(CTX *ctx, __u32 offset, __u32 len)
{
	struct sum_walk w = {.ctx = ctx, .offset = offset, .left = len};

	bpf_loop((len + SUM_CHUNK - 1) / SUM_CHUNK, sum_chunk, &w, 0);
	return csum_fold(w.sum);
}
