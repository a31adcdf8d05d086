/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * A segment of TCP becomes a reset: as its sender would have sent it, or as the answer
 * of whom it was sent to. Options and payload go. The checksum is made up for what
 * changes: one that is wrong stays wrong, and what is still to be made stays so, also
 * where one packet stands for several.
 */
#pragma once

#include "sum.h"
#include "transport.h"

#define TCP_SIZE sizeof(struct tcphdr)

/* What of a TCP header becomes another: the words behind the ports. */
struct tcp_words {
	__u32 seq, ack;
	__u8 offset; /* of the payload in words of 32 bits, in the high half */
	__u8 flags;
	__u16 window;
	__u16 check, urgent;
};

/* What a segment said, numbers in network order. */
struct said {
	__u32 seq, ack;
	__u32 next; /* the number behind its last */
	__u32 flags;
};

static __always_inline struct tcp_words *segment_words(CTX *ctx, const struct pkt *p)
{
	return ctx_header(ctx, p->l4 + 4, sizeof(struct tcp_words));
}

/* Reads a segment. False: it is none. */
static __always_inline bool segment_read(CTX *ctx, const struct pkt *p, struct said *said)
{
	struct tcp_words *tcp = segment_words(ctx, p);
	__u32 header, len = transport_len(p);

	if (!tcp)
		return false;
	header = (tcp->offset >> 4) * 4;
	if (header < TCP_SIZE || header > len)
		return false;
	len -= header;
	said->seq = tcp->seq;
	said->ack = tcp->ack;
	said->flags = tcp->flags;
	if (tcp->flags & TCP_SYN)
		len++;
	if (tcp->flags & TCP_FIN)
		len++;
	said->next = bpf_htonl(bpf_ntohl(tcp->seq) + len);
	return true;
}

/* The IP header after the packet has become shorter. */
static __always_inline bool segment_shorten(CTX *ctx, struct pkt *p)
{
	p->len = p->l4 - L3_OFFSET + TCP_SIZE;
	if (p->family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		ip->payload_len = bpf_htons(p->len - sizeof(*ip));
	} else {
		struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
		__u16 len = bpf_htons(p->len);

		if (!ip)
			return false;
		ip->check = csum_apply(ip->check, csum_diff16(ip->tot_len, len));
		ip->tot_len = len;
	}
	return true;
}

/* Writes what a segment says, without options and payload: 1, or 0 if that cannot be
 * written. A function of its own for the verifier's sake. */
__noinline int segment_write(CTX *ctx, struct pkt *p, __u32 seq, __u32 ack, __u32 flags)
{
	struct tcp_words *tcp, new = {
		.seq = seq, .ack = ack, .offset = TCP_SIZE / 4 << 4, .flags = flags,
	};
	const __u32 *old_word, *word = (const __u32 *)&new;
	__u32 len, check, diff;

	if (!p)
		return 0;
	check = p->l4 + offsetof(struct tcphdr, check);
	len = transport_len(p);
	diff = (__u16)~packet_sum(ctx, p->l4 + TCP_SIZE, len - TCP_SIZE);
	if (bpf_skb_change_tail(ctx, p->l4 + TCP_SIZE, 0) || !segment_shorten(ctx, p))
		return 0;
	tcp = segment_words(ctx, p);
	if (!tcp)
		return 0;
	old_word = (const __u32 *)tcp;
#pragma unroll
	for (int i = 0; i < 3; i++)
		diff += csum_diff32(old_word[i], word[i]);
	diff += csum_diff16(tcp->urgent, 0);
	new.check = tcp->check;
	*tcp = new;
	return !bpf_l4_csum_replace(ctx, check, 0, csum_fold(diff), 0) &&
	       !bpf_l4_csum_replace(ctx, check, bpf_htonl(len), bpf_htonl(TCP_SIZE),
				    BPF_F_PSEUDO_HDR | 4);
}

/* Turns the packet round, as if it had just been sent. The checksum of the transport
 * does not mind which address comes first. */
static __always_inline bool segment_turn(CTX *ctx, const struct pkt *p)
{
	__u16 *ports = ctx_header(ctx, p->l4, 2 * sizeof(*ports)), port, hops;

	if (!ports)
		return false;
	port = ports[0];
	ports[0] = ports[1];
	ports[1] = port;
	if (p->family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		*(union addr *)&ip->saddr = p->daddr;
		*(union addr *)&ip->daddr = p->saddr;
		ip->hop_limit = 64;
	} else {
		struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		ip->saddr = p->daddr.w[0];
		ip->daddr = p->saddr.w[0];
		hops = bpf_htons(ip->ttl << 8);
		ip->ttl = 64;
		ip->check = csum_apply(ip->check, csum_diff16(hops, bpf_htons(64 << 8)));
	}
	return true;
}

/* Makes of the packet, which said something, the reset that answers it: 1, or 0 if it
 * cannot be written (RFC 9293, section 3.10.7.1). */
__noinline int segment_answer(CTX *ctx, struct pkt *p, const struct said *said)
{
	int written;

	if (!p || !said)
		return 0;
	written = said->flags & TCP_ACK
			  ? segment_write(ctx, p, said->ack, 0, TCP_RST)
			  : segment_write(ctx, p, 0, said->next, TCP_RST | TCP_ACK);
	return written && segment_turn(ctx, p);
}
