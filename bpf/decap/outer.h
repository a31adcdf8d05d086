/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The outer header. Which packets concern the decapsulator is decided by
 * protocol and port first, then by address, so that a server's other traffic
 * passes after a few comparisons.
 */
#pragma once

#include "view.h"

#define L3_OFFSET sizeof(struct ethhdr)

static __always_inline bool outer_concerns(const struct view *v, const struct decap_conf *conf,
					   const struct decap *d)
{
	struct udphdr *udp;

	switch (d->proto) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		return conf->kinds & DECAP_IPIP;
	case IPPROTO_GRE:
		return conf->kinds & DECAP_GRE;
	case IPPROTO_UDP:
		udp = view_at(v, d->at, sizeof(*udp));
		return (conf->kinds & DECAP_GUE) && udp && udp->dest == conf->port;
	}
	return false;
}

static __always_inline int outer_parse4(const struct view *v, const struct decap_conf *conf,
					struct decap *d)
{
	struct decap_key key = {.family = 4};
	struct iphdr *ip = view_at(v, L3_OFFSET, sizeof(*ip));
	__u32 sum = 0, ihl;
	__u16 fragment;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return DECAP_NOT_OURS;
	ihl = ip->ihl;
	d->proto = ip->protocol;
	d->at = L3_OFFSET + ip->ihl * 4;
	d->tos = ip->tos;
	d->end = L3_OFFSET + bpf_ntohs(ip->tot_len);
	d->pseudo = (ip->saddr & 0xffff) + (ip->saddr >> 16) + (ip->daddr & 0xffff) + (ip->daddr >> 16);
	key.addr[0] = ip->daddr;
	fragment = ip->frag_off & bpf_htons(0x3fff);
	/* the ports are in the first fragment alone */
	if (d->proto == IPPROTO_UDP && (fragment & bpf_htons(0x1fff)))
		return DECAP_NOT_OURS;
	if (!outer_concerns(v, conf, d) || !decap_knows(&key, DECAP_LOCAL))
		return DECAP_NOT_OURS;
	if (fragment)
		return DECAP_REASON_FRAGMENT;
	/* what is inside the kernel checks itself; this it will not see */
	if (!view_sum_ip4(v, L3_OFFSET, ihl, &sum))
		return DECAP_REASON_MALFORMED;
	return csum_fold(sum) == 0xffff ? DECAP_OK : DECAP_REASON_CHECKSUM;
}

static __always_inline __u32 sum128(const struct in6_addr *a)
{
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 8; i++)
		sum += a->s6_addr16[i];
	return sum;
}

/* Passes over options that senders of tunnels add (RFC 2473). */
#define EXTENSIONS 2

static __always_inline bool outer_skip_extensions(const struct view *v, struct decap *d)
{
#pragma unroll
	for (int i = 0; i < EXTENSIONS; i++) {
		__u8 *ext;

		if (d->proto != IPPROTO_HOPOPTS && d->proto != IPPROTO_DSTOPTS)
			return true;
		ext = view_at(v, d->at, 8);
		if (!ext)
			return false;
		d->proto = ext[0];
		d->at += (ext[1] + 1) * 8;
	}
	return true;
}

static __always_inline int outer_parse6(const struct view *v, const struct decap_conf *conf,
					struct decap *d)
{
	struct decap_key key = {.family = 6};
	struct ipv6hdr *ip = view_at(v, L3_OFFSET, sizeof(*ip));
	bool fragment = false;
	__u8 *ext;

	if (!ip || ip->version != 6)
		return DECAP_NOT_OURS;
	d->proto = ip->nexthdr;
	d->at = L3_OFFSET + sizeof(*ip);
	d->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	d->end = L3_OFFSET + sizeof(*ip) + bpf_ntohs(ip->payload_len);
	d->pseudo = sum128(&ip->saddr) + sum128(&ip->daddr);
	__builtin_memcpy(key.addr, &ip->daddr, sizeof(key.addr));
	if (!outer_skip_extensions(v, d))
		return DECAP_NOT_OURS;
	if (d->proto == IPPROTO_FRAGMENT) {
		ext = view_at(v, d->at, 8);
		if (!ext || ((ext[2] || ext[3] & 0xf8) && ext[0] == IPPROTO_UDP))
			return DECAP_NOT_OURS;
		fragment = true;
		d->proto = ext[0];
		d->at += 8;
	}
	if (!outer_concerns(v, conf, d) || !decap_knows(&key, DECAP_LOCAL))
		return DECAP_NOT_OURS;
	return fragment ? DECAP_REASON_FRAGMENT : DECAP_OK;
}

static __always_inline int outer_parse(const struct view *v, const struct decap_conf *conf,
				       struct decap *d)
{
	struct ethhdr *eth = view_at(v, 0, sizeof(*eth));
	int why = DECAP_NOT_OURS;

	if (eth && eth->h_proto == bpf_htons(ETH_P_IP)) {
		d->outer = 4;
		why = outer_parse4(v, conf, d);
	} else if (eth && eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		d->outer = 6;
		why = outer_parse6(v, conf, d);
	}
	if (why != DECAP_OK)
		return why;
	if (v->super) /* its length may be more than the field holds */
		d->end = v->len;
	return d->end > v->len || d->at > d->end ? DECAP_REASON_MALFORMED : DECAP_OK;
}
