/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The packet inside: whose it is, whether it is whole, and what the way it came
 * marked it with. */
#pragma once

#include "view.h"

/* Whether the packet inside is one, all there, and for a VIP. */
static __always_inline int inner_parse(const struct view *v, const struct decap *d)
{
	struct decap_key key = {.family = d->inner};
	__u32 len;

	if (d->inner == 4) {
		struct iphdr *ip = view_at(v, d->at, sizeof(*ip));

		if (!ip || ip->version != 4 || ip->ihl < 5)
			return DECAP_REASON_MALFORMED;
		key.addr[0] = ip->daddr;
		len = bpf_ntohs(ip->tot_len);
		if (len < ip->ihl * 4 && !v->super)
			return DECAP_REASON_MALFORMED;
	} else {
		struct ipv6hdr *ip = view_at(v, d->at, sizeof(*ip));

		if (!ip || ip->version != 6)
			return DECAP_REASON_MALFORMED;
		__builtin_memcpy(key.addr, &ip->daddr, sizeof(key.addr));
		len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	}
	if (!decap_knows(&key, DECAP_VIP))
		return DECAP_REASON_FOREIGN;
	if (d->refused)
		return d->refused;
	return d->at + len > d->end ? DECAP_REASON_MALFORMED : DECAP_OK;
}

#define ECN_MASK 3
#define ECN_CE 3

/* Congestion that the outer packet met is told inside, to who can understand it;
 * for others loss is the only language (RFC 6040, section 4.2). */
static __always_inline int inner_mark(const struct view *v, const struct decap *d, __u32 *diff)
{
	__u16 *word, old;
	__u8 *bytes, ecn;

	if ((d->tos & ECN_MASK) != ECN_CE)
		return DECAP_OK;
	word = view_at(v, d->at, sizeof(struct iphdr));
	if (!word)
		return DECAP_REASON_MALFORMED;
	bytes = (void *)word;
	old = *word;
	ecn = (d->inner == 4 ? bytes[1] : bytes[1] >> 4) & ECN_MASK;
	if (!ecn)
		return DECAP_REASON_CONGESTION;
	bytes[1] |= d->inner == 4 ? ECN_CE : ECN_CE << 4;
	if (d->inner == 4) {
		struct iphdr *ip = (void *)word;

		ip->check = csum_apply(ip->check, csum_diff16(old, *word));
	} else {
		*diff += csum_diff16(old, *word);
	}
	return DECAP_OK;
}
