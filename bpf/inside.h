/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * ICMP errors about a tunnel: what is on the way to a server tells the director,
 * which is the sender of the outer packet, of what concerns the client. The packet
 * that was carried is quoted in what is quoted; if it is of a connection through
 * that tunnel, the error becomes one about it, from the VIP to the client (RFC 2003,
 * section 4). That something was too big is remembered for the server, so that the
 * next such packet is refused at once. IPv4 only, like the kernel. tc only.
 */
#pragma once

#include "encap/all.h"
#include "find.h"
#include "icmp.h"
#include "leave.h"
#include "mtu.h"
#include "stats.h"

/* Whether the director looks at nothing from clients (backup_only). Their packets are
 * kept from it by the filter, in which there are no VIPs then. */
static __always_inline bool director_sleeps(void)
{
	struct settings *set = settings_get();

	return set && set->sysctl[SYSCTL_BACKUP_ONLY] && set->daemon[SYNC_BACKUP].running;
}

/* What an error about a tunnel says. */
struct inside {
	__u32 server; /* the far end of the tunnel */
	__u16 mtu;
	__u16 frag_off; /* of the outer packet */
	__u16 at;	/* where the inner packet is quoted */
	__u8 type, code;
	__u8 tunnel;
};

#define GUE_LENGTH 31 /* words of options, in the control byte of GUE */

/* How far behind the outer header the inner stands; 0 if the protocol carries none. */
static __always_inline __u32 inside_offset(CTX *ctx, __u32 at, __u8 proto, __u8 *tunnel)
{
	struct udphdr *udp;
	__u16 *gre;

	switch (proto) {
	case IPPROTO_IPIP:
		*tunnel = TUNNEL_IPIP;
		return at;
	case IPPROTO_GRE:
		gre = ctx_header(ctx, at, 4);
		if (!gre || (gre[0] & ~bpf_htons(0x8000)) || gre[1] != bpf_htons(ETH_P_IP))
			return 0;
		*tunnel = TUNNEL_GRE;
		return at + (gre[0] ? 8 : 4);
	case IPPROTO_UDP:
		udp = ctx_header(ctx, at, sizeof(*udp) + sizeof(struct gue_base));
		if (!udp || ((__u8 *)(udp + 1))[1] != IPPROTO_IPIP)
			return 0;
		*tunnel = TUNNEL_GUE;
		return at + sizeof(*udp) + sizeof(struct gue_base) +
		       (((__u8 *)(udp + 1))[0] & GUE_LENGTH) * 4;
	}
	return 0;
}

/* Reads the error and the header of the outer packet. */
static __always_inline bool inside_outer(CTX *ctx, const struct pkt *p, struct inside *e)
{
	struct icmphdr *icmp = ctx_header(ctx, p->quote - sizeof(*icmp),
					  sizeof(*icmp) + sizeof(struct iphdr));
	struct iphdr *ip;
	__u32 at;

	if (!icmp)
		return false;
	ip = (void *)(icmp + 1);
	if (ip->version != 4 || ip->ihl < 5)
		return false;
	e->type = icmp->type;
	e->code = icmp->code;
	e->mtu = bpf_ntohs(icmp->mtu);
	e->server = ip->daddr;
	e->frag_off = ip->frag_off;
	at = inside_offset(ctx, p->quote + ip->ihl * 4, ip->protocol, &e->tunnel);
	e->at = at;
	return at;
}

/* Makes p the inner packet. */
static __always_inline bool inside_inner(CTX *ctx, struct pkt *p, const struct inside *e)
{
	struct iphdr *ip = ctx_header(ctx, e->at, sizeof(*ip));
	__u16 *ports;

	if (!ip || ip->version != 4 || ip->ihl < 5 || ip->frag_off & bpf_htons(0x1fff) ||
	    !proto_has_ports(ip->protocol))
		return false;
	p->saddr.w[0] = ip->saddr;
	p->daddr.w[0] = ip->daddr;
	p->proto = ip->protocol;
	ports = ctx_header(ctx, e->at + ip->ihl * 4, 4);
	if (!ports)
		return false;
	p->sport = ports[0];
	p->dport = ports[1];
	p->len -= e->at - L3_OFFSET;
	return true;
}

static __always_inline bool inside_find(const struct pkt *p, const struct inside *e,
					struct conn_ref *ref)
{
	__u32 now = now_jiffies();
	struct flow f;

	flow_forward(p, &f, FAMILY_V4);
	return conn_open(conn_seek4(&f, p, client_hash(&f), now), &f, p, now, ref, FAMILY_V4) &&
	       life_method(ref->life) == METHOD_TUNNEL && ref->dst->family == FAMILY_V4 &&
	       ref->dst->addr.w[0] == e->server && ref->dst->tunnel == e->tunnel;
}

/*
 * Learns how much the tunnel takes, and says in p->mtu how much of that is left for
 * the packet inside: like the kernel, by the route that was in force until now, and
 * without what stands between the headers; the next one refused is told exactly.
 * False: the client does not want to know.
 */
static __always_inline bool inside_too_big(struct pkt *p, const struct inside *e, struct dst *d)
{
	p->mtu = path_mtu_learn(d, e->mtu) - sizeof(struct iphdr);
	return e->frag_off & bpf_htons(0x4000);
}

/*
 * Makes of an error about a tunnel one about what it carried: 1, and it is to be sent
 * to the client; LEAVE if it is none, or a reason. A function of its own for the
 * verifier's sake.
 */
__noinline int inside_error(CTX *ctx, struct work *w)
{
	struct inside e = {};
	struct conn_ref ref;
	struct pkt *p;
	__u32 sum;

	if (!w || director_sleeps())
		return LEAVE;
	p = &w->pkt;
	if (!inside_outer(ctx, p, &e) || !inside_inner(ctx, p, &e) || !inside_find(p, &e, &ref))
		return LEAVE;
	sum = packet_sum(ctx, p->quote - sizeof(struct icmphdr),
			 p->len + e.at - p->quote + sizeof(struct icmphdr));
	if (sum != 0xffff)
		return LEAVE; /* the host drops it */
	p->mtu = 0;
	stats_packet(ref.conn->dst, true, 1, p->len);
	if (e.type == ICMP_DEST_UNREACH && e.code == ICMP_FRAG_NEEDED &&
	    !inside_too_big(p, &e, ref.dst))
		return -REASON_TOO_BIG;
	if (bpf_skb_adjust_room(ctx, -(int)(e.at - L3_OFFSET), BPF_ADJ_ROOM_MAC, 0))
		return -REASON_REWRITE_FAILED;
	w->error = (__u32)e.type << 8 | e.code;
	return 1;
}
