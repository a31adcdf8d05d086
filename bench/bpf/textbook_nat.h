/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0) */
/*
 * The textbook NAT balancer: two entries for each connection, one for each
 * direction, in a preallocated hash map. An entry says what to write where.
 */
#ifndef TEXTBOOK_NAT_H
#define TEXTBOOK_NAT_H

#include "textbook.h"

struct translation {
	__u64 expires;
	__u64 packets;
	__u64 bytes;
	__be32 addr;
	__be16 port;
	__u8 reply; /* 0: rewrite the destination; 1: the source */
	__u8 state;
	struct next_hop hop;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct flow_key);
	__type(value, struct translation);
} translations SEC(".maps");

/* RFC 1624: the sum of the changes, added to the complement of the checksum. */
static __always_inline __u32 csum_change(__be32 old, __be32 new)
{
	__u32 gone = ~old;

	return (gone & 0xffff) + (gone >> 16) + (new & 0xffff) + (new >> 16);
}

static __always_inline __u16 csum_apply(__u16 check, __u32 change)
{
	__u32 sum = (__u16)~check + change;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void packet_translate(struct packet *p, const struct translation *t)
{
	__be32 *addr = t->reply ? &p->ip->saddr : &p->ip->daddr;
	__be16 *port = t->reply ? &p->udp->source : &p->udp->dest;
	__u32 change = csum_change(*addr, t->addr);
	__u32 l4 = change + (__u16)~*port + t->port;

	*addr = t->addr;
	*port = t->port;
	/* One less in the TTL, the high byte of its word: 0x0100 to take away. */
	p->ip->ttl--;
	p->ip->check = csum_apply(p->ip->check, change + (__u16)~bpf_htons(0x0100));
	if (p->tcp) {
		p->tcp->check = csum_apply(p->tcp->check, l4);
	} else if (p->udp->check) {
		__u16 check = csum_apply(p->udp->check, l4);

		p->udp->check = check ? check : 0xffff;
	}
}

/* Both entries of a new connection; 0, or -1 when there is no room. */
static __always_inline int connection_new(struct xdp_md *ctx, const struct packet *p,
					  const struct flow_key *key, const struct backend *b,
					  struct translation *forward)
{
	struct flow_key back = {
		.saddr = b->addr, .daddr = key->saddr,
		.sport = b->port, .dport = key->sport,
		.proto = key->proto,
	};
	struct translation reply = {
		.expires = forward->expires, .addr = key->daddr, .port = key->dport, .reply = 1,
	};
	const __u16 *seen = (const void *)p->eth;
	__u16 *macs = (void *)reply.hop.macs;

	/* The client is reached the way it came. */
	macs[0] = seen[3];
	macs[1] = seen[4];
	macs[2] = seen[5];
	macs[3] = seen[0];
	macs[4] = seen[1];
	macs[5] = seen[2];
	reply.hop.ifindex = ctx->ingress_ifindex;

	forward->addr = b->addr;
	forward->port = b->port;
	forward->hop = b->hop;
	/* The reply's entry first: the server answers at once. */
	if (bpf_map_update_elem(&translations, &back, &reply, BPF_ANY))
		return -1;
	if (bpf_map_update_elem(&translations, key, forward, BPF_ANY)) {
		bpf_map_delete_elem(&translations, &back);
		return -1;
	}
	return 0;
}

SEC("xdp")
int textbook_nat(struct xdp_md *ctx)
{
	struct translation *t, fresh = {};
	struct flow_key key = {};
	struct packet p;
	__u64 now;

	if (packet_parse(ctx, &p, &key))
		return XDP_PASS;
	if (p.ip->ttl <= 1)
		return XDP_PASS; /* the kernel sends the ICMP error */

	now = clock_now();
	t = bpf_map_lookup_elem(&translations, &key);
	if (!t || t->expires < now) {
		struct backend *b = backend_choose(&p, &key);

		if (!b)
			return XDP_PASS;
		fresh.packets = 1;
		fresh.bytes = bpf_ntohs(p.ip->tot_len);
		fresh.expires = now + state_lifetime(OPENING);
		if (connection_new(ctx, &p, &key, b, &fresh))
			return XDP_DROP;
		t = &fresh;
	} else {
		t->state = state_next(t->state, p.tcp);
		t->expires = now + state_lifetime(t->state);
		t->packets++;
		t->bytes += bpf_ntohs(p.ip->tot_len);
	}
	packet_translate(&p, t);
	return packet_leave(ctx, &p, &t->hop);
}

#endif
