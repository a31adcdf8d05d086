/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The checksum of SCTP (RFC 9260, appendix A) after a change of its ports. CRC32c
 * is linear: the sum changes by the sum of the change, which is four bytes with
 * nothing but zeros behind them. So the packet is not read again, and a wrong
 * checksum stays wrong: the receiver shall notice, not we.
 */
#pragma once

#include "pkt.h"

#define CRC32C_POLYNOMIAL 0x82f63b78 /* its bits in reverse, as those of the sum */
#define CRC32C_LENGTH_BITS 16

/* A byte of zeros multiplies by x^8; these are x^(8 * 2^k). */
static const __u32 crc32c_zeros[CRC32C_LENGTH_BITS] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a,
	0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
	0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* The product of two polynomials, bits in reverse. No branch depends on them, so
 * the verifier follows one path. */
static __always_inline __u32 crc32c_multiply(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 31; i >= 0; i--) {
		product ^= -(a >> i & 1) & b;
		b = b >> 1 ^ (-(b & 1) & CRC32C_POLYNOMIAL);
	}
	return product;
}

struct crc32c_walk {
	__u32 crc;
	__u32 zeros; /* bytes of them still to come, by bits */
};

static long crc32c_step(__u32 k, struct crc32c_walk *w)
{
	if (w->zeros >> (k & 31) & 1)
		w->crc = crc32c_multiply(w->crc, crc32c_zeros[k & (CRC32C_LENGTH_BITS - 1)]);
	return 0;
}

/* The sum of four bytes with zeros behind them, len bytes in all. */
static __always_inline __u32 crc32c_change(__u32 bytes, __u32 len)
{
	/* the bytes themselves go through the sum: 32 bits */
	struct crc32c_walk w = {.crc = crc32c_multiply(bytes, crc32c_zeros[2]), .zeros = len - 4};

	bpf_loop(CRC32C_LENGTH_BITS, crc32c_step, &w, 0);
	return w.crc;
}

/* Changes the checksum of an SCTP packet of len bytes as the ports changed, given
 * by the bits that differ: 1, or 0 if it could not be written. A function of its
 * own for the verifier's sake. */
__noinline int sctp_fix(CTX *ctx, __u32 l4, __u32 len, __u32 ports)
{
	struct sctphdr *sctp;
	__u32 change;

	if (len < sizeof(*sctp))
		return 0;
	change = crc32c_change(ports, len);
	sctp = ctx_header(ctx, l4, sizeof(*sctp));
	if (!sctp)
		return 0;
	sctp->checksum ^= change;
	return 1;
}
