/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The way of a packet through the decapsulator, and the removal of the outer
 * headers, which each door does its own way. */
#pragma once

#include "inner.h"
#include "kinds.h"
#include "outer.h"

/* Decides on a packet: DECAP_OK, and everything before `at` but the Ethernet
 * header may go; DECAP_NOT_OURS; or a reason. */
static __always_inline int decap(const struct view *v, struct decap *d, __u32 *diff)
{
	__u32 zero = 0;
	struct decap_conf *conf = bpf_map_lookup_elem(&decap_conf_map, &zero);
	int why;

	if (!conf)
		return DECAP_NOT_OURS;
	why = outer_parse(v, conf, d);
	if (why == DECAP_OK)
		why = kind_unwrap(v, d);
	if (why == DECAP_OK)
		why = inner_parse(v, d);
	if (why == DECAP_OK && d->remcsum)
		why = remcsum_finish(v, d, diff);
	if (why == DECAP_OK)
		why = inner_mark(v, d, diff);
	return why;
}

static __always_inline __u16 inner_ethertype(const struct decap *d)
{
	return d->inner == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

static __always_inline int strip_xdp(struct xdp_md *ctx, const struct decap *d)
{
	struct ethhdr *eth = (void *)(long)ctx->data, kept;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DECAP_REASON_FAILED;
	kept = *eth;
	kept.h_proto = inner_ethertype(d);
	if (bpf_xdp_adjust_head(ctx, d->at - L3_OFFSET))
		return DECAP_REASON_FAILED;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return DECAP_REASON_FAILED;
	*eth = kept;
	return d->done;
}

/* Whether the packet could be one in a tunnel: what most are not, found out
 * without making bytes readable that are not. */
static __always_inline bool tunnelled(struct __sk_buff *skb)
{
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *eth = (void *)(long)skb->data;
	struct iphdr *ip = (void *)(eth + 1);
	__u8 proto;

	if ((void *)(ip + 1) > end)
		return true;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		proto = ip->protocol;
	else if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		proto = ((struct ipv6hdr *)ip)->nexthdr;
	else
		return false;
	return proto != IPPROTO_TCP && proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6;
}

static __always_inline void view_skb(struct view *v, struct __sk_buff *skb)
{
	__u32 want = skb->len < VIEW_BYTES ? skb->len : VIEW_BYTES;

	if ((void *)(long)skb->data + want > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, want); /* else what is there is looked at */
	v->data = (void *)(long)skb->data;
	v->end = (void *)(long)skb->data_end;
	v->len = skb->len;
	v->super = skb->gso_size;
}

#define FAMILIES_APART (sizeof(struct ipv6hdr) - sizeof(struct iphdr))

/*
 * The kernel knows a packet's protocol apart from its bytes. It is changed by the
 * helper that also changes the length of the header by the difference; what is
 * then in front goes with the rest. The flags of bpf_skb_adjust_room that would
 * do so too are younger than Linux 6.1.
 *
 * Where the packet stands for several, the size they are cut to is that of the
 * payload, which stays.
 */
static __always_inline int strip_skb(struct __sk_buff *skb, const struct decap *d, __u32 diff)
{
	int bytes = d->at - L3_OFFSET;
	__u16 ethertype = inner_ethertype(d);

	if (diff) /* only where the card has added the packet up */
		bpf_csum_update(skb, diff);
	if (d->inner != d->outer) {
		if (bpf_skb_change_proto(skb, ethertype, 0))
			return DECAP_REASON_FAILED;
		bytes += d->inner == 6 ? FAMILIES_APART : -FAMILIES_APART;
	}
	if (bpf_skb_adjust_room(skb, -bytes, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO) ||
	    bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_proto), &ethertype, sizeof(ethertype), 0))
		return DECAP_REASON_FAILED;
	return d->done;
}
