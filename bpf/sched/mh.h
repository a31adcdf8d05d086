/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Maglev hashing: as sh, by a table that changes little when servers come and go.
 * internal/sched/mh.go makes it. The client is hashed by SipHash with one and three
 * rounds under a key that all directors share, as 64-bit kernels do.
 * (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016; Aumasson and Bernstein, "SipHash", 2012.)
 */
#pragma once

#define MH_KEY 2654435761ull

struct sip {
	__u64 a, b, c, d;
};

static __always_inline __u64 rotate(__u64 v, __u32 bits)
{
	return v << bits | v >> (64 - bits);
}

static __always_inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = rotate(s->b, 13) ^ s->a;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a = rotate(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = rotate(s->b, 17) ^ s->c;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c = rotate(s->c, 32);
}

static __always_inline __u32 mh_hash(__u32 client, __u32 offset)
{
	__u64 last = 4ull << 56 | (__u32)(client + offset);
	struct sip s = {
		0x736f6d6570736575ull ^ MH_KEY, 0x646f72616e646f6dull ^ MH_KEY,
		0x6c7967656e657261ull ^ MH_KEY, 0x7465646279746573ull ^ MH_KEY ^ last,
	};

	sip_round(&s);
	s.a ^= last;
	s.c ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return (__u32)(s.a ^ s.b ^ s.c ^ s.d) % MH_PLACES;
}

CLIENT_HASH_PICK(mh, mh_hash, MH_PLACES)
