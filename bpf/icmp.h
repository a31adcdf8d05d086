/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The ICMP errors a director sends itself: no server, too big, out of hops
 * (RFC 792, RFC 1812 section 4.3.2). Only tc makes them; XDP leaves such
 * packets to it. They come from the address the packet was sent to and quote
 * as much of it as a minimal datagram holds.
 */
#pragma once

#include "csum.h"
#include "quote.h"

#define ICMP_DATAGRAM 576
#define ICMP_HEADERS (sizeof(struct iphdr) + sizeof(struct icmphdr))
#define ICMP_QUOTE (ICMP_DATAGRAM - ICMP_HEADERS)
#define ICMP_CHUNK 32
#define ICMP_TOS 0xc0 /* internetwork control, as RFC 1812 asks */

/* Errors of one second, over all receivers: as many as Linux sends by default
 * (icmp_msgs_per_sec), so that nobody is flooded with them. */
#define ICMP_PER_SECOND 1000

struct icmp_quota {
	__u32 second;
	__u32 sent;
};

MAPPED(icmp_quotas, struct icmp_quota, 1);

static __always_inline bool icmp_allowed(void)
{
	__u32 zero = 0, second = now_jiffies() / conf_hz;
	struct icmp_quota *q = bpf_map_lookup_elem(&icmp_quotas, &zero);

	if (!q)
		return false;
	if (q->second != second) {
		q->second = second;
		q->sent = 0;
	}
	return __sync_fetch_and_add(&q->sent, 1) < ICMP_PER_SECOND;
}

/* Sums up len bytes of the packet, which are at most ICMP_QUOTE. */
static __always_inline __u32 icmp_sum(CTX *ctx, __u32 offset, __u32 len)
{
	__u32 sum = 0;

	for (int i = 0; i < (ICMP_QUOTE + ICMP_CHUNK - 1) / ICMP_CHUNK; i++) {
		__u32 chunk[ICMP_CHUNK / 4] = {};
		__u32 left = len - i * ICMP_CHUNK;

		if (i * ICMP_CHUNK >= len)
			break;
		if (left > ICMP_CHUNK)
			left = ICMP_CHUNK;
		left--; /* 1 to ICMP_CHUNK, said so that the verifier sees it */
		KEEP_VALUE(left);
		left = (left & (ICMP_CHUNK - 1)) + 1;
		if (bpf_skb_load_bytes(ctx, offset + i * ICMP_CHUNK, chunk, left))
			break;
		sum = bpf_csum_diff(NULL, 0, chunk, sizeof(chunk), sum);
	}
	return sum;
}

/* Turns the packet into an error about itself: 1, or 0 if it could not be
 * written. A function of its own for the verifier's sake. */
__noinline int icmp_make(CTX *ctx, const struct pkt *p, __u8 type, __u8 code)
{
	__u32 quote, sum;
	struct icmphdr *icmp;
	struct iphdr *ip;

	if (!p)
		return 0;
	quote = p->len < ICMP_QUOTE ? p->len : ICMP_QUOTE;
	if (bpf_skb_change_tail(ctx, L3_OFFSET + quote, 0) ||
	    bpf_skb_adjust_room(ctx, ICMP_HEADERS, BPF_ADJ_ROOM_MAC, 0))
		return 0;
	sum = icmp_sum(ctx, L3_OFFSET + ICMP_HEADERS, quote);
	ip = ctx_header(ctx, L3_OFFSET, ICMP_HEADERS);
	if (!ip)
		return 0;
	__builtin_memset(ip, 0, ICMP_HEADERS);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = ICMP_TOS;
	ip->tot_len = bpf_htons(ICMP_HEADERS + quote);
	ip->id = bpf_get_prandom_u32();
	ip->ttl = 64;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = p->daddr;
	ip->daddr = p->saddr;
	ip->check = csum_ip_header(ip);
	icmp = (void *)(ip + 1);
	icmp->type = type;
	icmp->code = code;
	icmp->mtu = bpf_htons(p->mtu);
	icmp->checksum = ~csum_fold(csum_fold(sum) + ((__u32)type | (__u32)code << 8) +
				    bpf_htons(p->mtu));
	return 1;
}

/* The error that a reason calls for; 0 if none. */
static __always_inline __u8 icmp_type(int reason)
{
	switch (reason) {
	case REASON_NO_DESTINATION:
	case REASON_NO_ROUTE:
	case REASON_TOO_BIG:
		return ICMP_DEST_UNREACH;
	case REASON_TTL_EXCEEDED:
		return ICMP_TIME_EXCEEDED;
	}
	return 0;
}

static __always_inline __u8 icmp_code(int reason)
{
	switch (reason) {
	case REASON_NO_DESTINATION:
		return ICMP_PORT_UNREACH;
	case REASON_NO_ROUTE:
		return ICMP_HOST_UNREACH;
	case REASON_TOO_BIG:
		return ICMP_FRAG_NEEDED;
	}
	return 0; /* ICMP_EXC_TTL */
}
