/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The address filter: a byte for each hash value says whether an address with
 * it is a VIP or the address of a masqueraded real server. Packets that are
 * neither leave after one look; others learn which direction to try first. A
 * bit too many costs a look-up, a bit too few would lose a packet: user space
 * sets bits before it adds, and never clears those of a connection's server.
 */
#pragma once

#include "pkt.h"

static __always_inline __u32 filter_hash(const union addr *a, const __u8 family)
{
	__u32 word = a->w[0];

	if (family == FAMILY_V6)
		word ^= a->w[1] ^ a->w[2] ^ a->w[3];
	word *= 0x9e3779b1;
	return word >> 19; /* the top 13 bits: FILTER_SIZE values */
}

_Static_assert(FILTER_SIZE == 1 << 13, "filter_hash");

/* Whether a service has the address, as far as the filter tells. */
static __always_inline bool addr_is_vip(const union addr *a, const __u8 family)
{
	__u32 zero = 0;
	struct filter *f = bpf_map_lookup_elem(&filter_map, &zero);

	return f && f->bits[filter_hash(a, family)] & FILTER_VIP;
}

static __always_inline __u8 filter_look(const struct pkt *p, const __u8 family)
{
	__u32 zero = 0;
	struct filter *f = bpf_map_lookup_elem(&filter_map, &zero);

	__u8 to, from;

	if (!f)
		return 0;
	to = f->bits[filter_hash(&p->daddr, family)] | f->any[family == FAMILY_V6];
	from = f->bits[filter_hash(&p->saddr, family)] | f->any[family == FAMILY_V6];
	if (CTX_IS_XDP) /* leaves answers that pass by to tc */
		return (to & FILTER_VIP) | (from & FILTER_RIP);
	return (to & FILTER_VIP) | (from & FILTER_RIP) | (from & FILTER_VIP) * FILTER_ANSWER;
}
