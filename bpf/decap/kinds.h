/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What stands between the outer header and the packet inside, kind by kind. Each
 * moves `at` behind it and says of which family the packet inside is. */
#pragma once

#include "view.h"

/* IP in IP (RFC 2003, 2473, 4213): nothing. */
static __always_inline int ipip_unwrap(struct decap *d)
{
	d->inner = d->proto == IPPROTO_IPIP ? 4 : 6;
	d->done = DECAP_REASON_IPIP;
	return DECAP_OK;
}

/* GRE (RFC 2784, 2890). */
enum gre_flags {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_VERSION = 0x0007,
};

/* The checksum over all of it is not looked at: the packet inside has its own,
 * and the kernel checks that. */
static __always_inline int gre_unwrap(const struct view *v, struct decap *d)
{
	__u16 *gre = view_at(v, d->at, 4);
	__u16 flags;

	if (!gre)
		return DECAP_REASON_MALFORMED;
	flags = bpf_ntohs(gre[0]);
	if (flags & (GRE_ROUTING | GRE_VERSION))
		return DECAP_REASON_FOREIGN;
	if (gre[1] == bpf_htons(ETH_P_IP))
		d->inner = 4;
	else if (gre[1] == bpf_htons(ETH_P_IPV6))
		d->inner = 6;
	else
		return DECAP_REASON_FOREIGN;
	d->at += 4 + (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) +
		 (flags & GRE_SEQUENCE ? 4 : 0);
	if (flags & (GRE_KEY | GRE_SEQUENCE))
		d->refused = DECAP_REASON_GRE_KEY;
	d->done = DECAP_REASON_GRE;
	return DECAP_OK;
}

/* GUE, variant 0 (draft-ietf-intarea-gue-09); of its extensions, remote
 * checksum offload as Linux sends it. */
enum gue_bits {
	GUE_LENGTH = 0x1f, /* of what follows the base header, in words */
	GUE_CONTROL = 0x20,
	GUE_VERSION_SHIFT = 6,
	GUE_FLAG_PRIVATE = 1,
	GUE_BASE = 4,
};
#define GUE_PRIVATE_REMCSUM 0x80000000u

/* Reads the private flags, and what they announce. */
static __always_inline int gue_private(const struct view *v, struct decap *d, __u32 at, __u32 len)
{
	__u32 *private = view_at(v, at, 4);
	__u16 *remcsum;

	if (len < 4 || !private || *private & ~bpf_htonl(GUE_PRIVATE_REMCSUM))
		return DECAP_REASON_GUE_FLAGS;
	if (!*private)
		return DECAP_OK;
	remcsum = view_at(v, at + 4, 4);
	if (len < 8 || !remcsum)
		return DECAP_REASON_GUE_FLAGS;
	d->remcsum = true;
	d->remcsum_start = bpf_ntohs(remcsum[0]);
	d->remcsum_field = bpf_ntohs(remcsum[1]);
	return DECAP_OK;
}

static __always_inline int gue_unwrap(const struct view *v, struct decap *d)
{
	struct udphdr *udp = view_at(v, d->at, sizeof(*udp) + GUE_BASE);
	__u32 len, options;
	__u16 flags, said;
	__u8 *gue;
	int why = DECAP_OK;

	if (!udp)
		return DECAP_REASON_MALFORMED;
	said = bpf_ntohs(udp->len);
	if (!v->super && (said < sizeof(*udp) + GUE_BASE || d->at + said > d->end))
		return DECAP_REASON_MALFORMED;
	gue = (void *)(udp + 1);
	if (gue[0] >> GUE_VERSION_SHIFT)
		return DECAP_REASON_GUE_VERSION;
	if (gue[0] & GUE_CONTROL)
		return DECAP_REASON_GUE_CONTROL;
	len = (gue[0] & GUE_LENGTH) * 4;
	if (gue[1] == IPPROTO_IPIP)
		d->inner = 4;
	else if (gue[1] == IPPROTO_IPV6)
		d->inner = 6;
	else
		return DECAP_REASON_GUE_PROTOCOL;
	flags = gue[2] << 8 | gue[3];
	if (flags & ~GUE_FLAG_PRIVATE)
		return DECAP_REASON_GUE_FLAGS;
	d->udp = d->at;
	options = d->at + sizeof(*udp) + GUE_BASE;
	d->at = options + len;
	d->done = DECAP_REASON_GUE;
	if (flags)
		why = gue_private(v, d, options, len);
	return why;
}

static __always_inline int kind_unwrap(const struct view *v, struct decap *d)
{
	switch (d->proto) {
	case IPPROTO_UDP:
		return gue_unwrap(v, d);
	case IPPROTO_GRE:
		return gre_unwrap(v, d);
	}
	return ipip_unwrap(d);
}

#define GUE_REMCSUM_BYTES (sizeof(struct udphdr) + GUE_BASE + 8)

/* Adds up what lies between the outer IP header and the transport header inside,
 * where the checksum's part begins. False: it begins elsewhere. */
static __always_inline bool remcsum_sum_before(const struct view *v, const struct decap *d, __u32 *sum)
{
	struct iphdr *ip = view_at(v, d->at, sizeof(*ip));

	if (!ip || d->at - d->udp != GUE_REMCSUM_BYTES ||
	    !view_sum(v, d->udp, GUE_REMCSUM_BYTES / 2, sum))
		return false;
	if (d->inner == 6)
		return d->remcsum_start == sizeof(struct ipv6hdr) &&
		       view_sum(v, d->at, sizeof(struct ipv6hdr) / 2, sum);
	return d->remcsum_start == ip->ihl * 4 && view_sum_ip4(v, d->at, ip->ihl, sum);
}

/*
 * Remote checksum offload: the checksum inside is not made yet; its field holds
 * the sum of the pseudo-header. It need not be added up from the packet. All of
 * the UDP datagram adds up to nothing, so what lies before the part that the
 * checksum covers adds up to the complement of that part, which is the checksum.
 * If the datagram was damaged the result is wrong, and the kernel notices.
 */
static __always_inline int remcsum_finish(const struct view *v, struct decap *d, __u32 *diff)
{
	__u16 *field = view_at(v, d->at + d->remcsum_field, 2), check;
	struct udphdr *udp = view_at(v, d->udp, sizeof(*udp));
	__u32 sum = d->pseudo + bpf_htons(IPPROTO_UDP);

	if (v->super) /* the stack makes or trusts such packets' checksums itself */
		return DECAP_OK;
	if (!udp || !udp->check || !field || d->remcsum_field & 1 ||
	    d->remcsum_field < d->remcsum_start)
		return DECAP_REASON_GUE_REMCSUM;
	sum += udp->len;
	if (!remcsum_sum_before(v, d, &sum))
		return DECAP_REASON_GUE_REMCSUM;
	check = csum_fold(sum);
	if (!check)
		check = 0xffff;
	*diff = csum_diff16(*field, check);
	*field = check;
	return DECAP_OK;
}
