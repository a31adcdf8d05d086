/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Generic UDP encapsulation, variant 0 (draft-ietf-intarea-gue-09): UDP, so
 * that the network spreads connections by the source port, and a base header
 * that names what is inside.
 *
 * Remote checksum offload is an option by which a sender leaves the checksum of
 * the packet inside to the receiver. Packets that are forwarded have theirs, so
 * all that is left of it is the checksum of UDP, which it stands on; the kernel
 * does the same.
 */
#pragma once

struct gue_base {
	__u8 control; /* version, type and length of options: all 0 */
	__u8 proto;   /* of the packet inside */
	__u16 flags;
};

/* Source ports of one connection are one, those of many spread over the range
 * Linux gives its own sockets. */
#define GUE_PORT_FIRST 32768
#define GUE_PORTS (61000 - 32768)

/* The checksum of the datagram whose header is written but for it. */
static __always_inline __u16 gue_check(const struct udphdr *udp, const struct wrapping *w)
{
	const __u16 *words = (const void *)udp;
	__u32 sum = w->sum + bpf_htons(IPPROTO_UDP) + udp->len;
	__u16 check;

	for (int i = 0; i < (sizeof(*udp) + sizeof(struct gue_base)) / 2; i++)
		sum += words[i];
	sum += csum_addr(&w->source, w->outer) + csum_addr(&w->dest, w->outer);
	check = ~csum_fold(sum);
	return check ? check : 0xffff;
}

static __always_inline void gue_write(void *at, const struct wrapping *w)
{
	struct udphdr *udp = at;
	struct gue_base *gue = (void *)(udp + 1);

	udp->source = bpf_htons(GUE_PORT_FIRST + ((__u64)w->flow * GUE_PORTS >> 32));
	udp->dest = w->port;
	udp->len = bpf_htons(w->len);
	udp->check = 0;
	gue->control = 0;
	gue->proto = proto_of_family(w->inner);
	gue->flags = 0;
	if (w->check)
		udp->check = gue_check(udp, w);
}
