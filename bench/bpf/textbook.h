/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * What the two textbook load balancers share: the parser, the connection key,
 * the services, and the clock.
 *
 * They are yardsticks, written as a competent author would write them from the
 * documentation: the connection table is the preallocated BPF_MAP_TYPE_HASH
 * that the kernel offers. Wherever there was a choice, the faster one was
 * taken: plain counters rather than atomic ones (receive-side scaling keeps a
 * flow on one processor), inline checksum arithmetic rather than a helper,
 * MAC addresses copied by words, next hops kept in the entry rather than
 * looked up.
 */
#ifndef TEXTBOOK_H
#define TEXTBOOK_H

#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAGMENTED 0x3fff /* more fragments, or an offset */
#define SECOND 1000000000ULL

/* bpf_ktime_get_ns is what a textbook uses; the coarse clock is cheaper, and
 * good enough to expire connections with. Both are measured. */
const volatile __u8 coarse_clock = 0;

struct flow_key {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u8 proto, pad[3];
};
_Static_assert(sizeof(struct flow_key) == 16, "the key is 16 bytes");

enum flow_state { OPENING, ESTABLISHED, CLOSING, STATES };

/* Where a packet leaves: the destination and source MAC as they lie in the
 * frame, and the interface. */
struct next_hop {
	__u32 macs[3];
	__u32 ifindex;
};

struct service_key {
	__be32 addr;
	__be16 port;
	__u8 proto, pad;
};

struct service {
	__u32 first, count; /* its backends: a run of the array */
};

struct backend {
	__be32 addr;
	__be16 port;
	__u16 pad;
	struct next_hop hop;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct service_key);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct packet {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct tcphdr *tcp; /* null unless TCP */
	struct udphdr *udp; /* the ports, which UDP and TCP share */
	void *end;
};

/* 0 and the parsed packet, or -1 for what belongs to the kernel. */
static __always_inline int packet_parse(struct xdp_md *ctx, struct packet *p, struct flow_key *key)
{
	void *data = (void *)(long)ctx->data;

	p->end = (void *)(long)ctx->data_end;
	p->eth = data;
	p->ip = (void *)(p->eth + 1);
	p->udp = (void *)(p->ip + 1);
	p->tcp = 0;
	if ((void *)(p->udp + 1) > p->end)
		return -1;
	if (p->eth->h_proto != bpf_htons(ETH_P_IP) || p->ip->version != 4 || p->ip->ihl != 5)
		return -1;
	if (p->ip->frag_off & bpf_htons(FRAGMENTED))
		return -1;
	if (p->ip->protocol == IPPROTO_TCP) {
		p->tcp = (void *)p->udp;
		if ((void *)(p->tcp + 1) > p->end)
			return -1;
	} else if (p->ip->protocol != IPPROTO_UDP) {
		return -1;
	}
	key->saddr = p->ip->saddr;
	key->daddr = p->ip->daddr;
	key->sport = p->udp->source;
	key->dport = p->udp->dest;
	key->proto = p->ip->protocol;
	return 0;
}

static __always_inline __u64 clock_now(void)
{
	return coarse_clock ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns();
}

static __always_inline __u64 state_lifetime(__u8 state)
{
	switch (state) {
	case OPENING:
		return 60 * SECOND;
	case CLOSING:
		return 120 * SECOND;
	default:
		return 900 * SECOND;
	}
}

/* The least a TCP balancer must know: is it opening, open, or ending. */
static __always_inline __u8 state_next(__u8 state, const struct tcphdr *tcp)
{
	if (!tcp)
		return ESTABLISHED;
	if (tcp->fin || tcp->rst)
		return CLOSING;
	if (state == OPENING && tcp->ack && !tcp->syn)
		return ESTABLISHED;
	return state;
}

/* A new flow may begin with a SYN, or with any UDP packet. */
static __always_inline struct backend *backend_choose(const struct packet *p,
						      const struct flow_key *key)
{
	struct service_key wanted = { .addr = key->daddr, .port = key->dport, .proto = key->proto };
	struct service *service;
	__u32 at;

	if (p->tcp && (!p->tcp->syn || p->tcp->ack))
		return 0;
	service = bpf_map_lookup_elem(&services, &wanted);
	if (!service || !service->count)
		return 0;
	at = service->first + bpf_get_prandom_u32() % service->count;
	return bpf_map_lookup_elem(&backends, &at);
}

static __always_inline int packet_leave(struct xdp_md *ctx, struct packet *p,
					const struct next_hop *hop)
{
	__u32 *words = (void *)p->eth;

	words[0] = hop->macs[0];
	words[1] = hop->macs[1];
	words[2] = hop->macs[2];
	if (hop->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect(hop->ifindex, 0);
}

#endif
