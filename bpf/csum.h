/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Incremental Internet checksums (RFC 1624, equation 3). A wrong checksum
 * stays wrong: the receiver shall notice, not we. */
#pragma once

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The difference that replacing 32 bits makes. */
static __always_inline __u32 csum_diff32(__u32 old, __u32 new)
{
	return (__u16)~(old & 0xffff) + (__u16)~(old >> 16) + (new & 0xffff) + (new >> 16);
}

static __always_inline __u32 csum_diff16(__u16 old, __u16 new)
{
	return (__u16)~old + new;
}

/* Folds a difference into a checksum field. */
static __always_inline __u16 csum_apply(__u16 check, __u32 diff)
{
	return ~csum_fold((__u16)~check + diff);
}

/* The checksum of an IPv4 header without options, whose field is zero. */
static __always_inline __u16 csum_ip_header(const void *header)
{
	const __u16 *words = header;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	return ~csum_fold(sum);
}

/* The difference that replacing an address makes. */
static __always_inline __u32 csum_diff_addr(const union addr *old, const union addr *new,
					    const __u8 family)
{
	__u32 diff = csum_diff32(old->w[0], new->w[0]);

	if (family == FAMILY_V6)
		diff += csum_diff32(old->w[1], new->w[1]) + csum_diff32(old->w[2], new->w[2]) +
			csum_diff32(old->w[3], new->w[3]);
	return diff;
}

/* The sum of an address. */
static __always_inline __u32 csum_addr(const union addr *a, const __u8 family)
{
	const union addr nothing = {};

	return csum_diff_addr(&nothing, a, family);
}
