/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The way of a packet: parse, filter, find the connection or make it, find the
 * next hop, step the state, translate, send. Functions return 0 or a negative
 * reason; director() is the one exit, which counts and tells the sender.
 */
#pragma once

#include "forward.h"
#include "look.h"
#include "plain.h"
#include "read.h"
#include "reset.h"

/*
 * Whether a packet of no connection comes from the port of a masqueraded server, so
 * that the server is to be told (nat_icmp_send). One that ends a connection says so
 * itself; one to the director is the answer to a question of its own, as of a health
 * check, and passes: so it is asked whether the packet is to go on. A function of its
 * own, as most packets are not asked about and the stack is small.
 */
static __noinline int packet_is_stray(CTX *ctx, struct work *w, const struct settings *set)
{
	const struct pkt *p = &w->pkt;
	struct svc_key key = {.port = p->sport, .family = p->family, .proto = p->proto};

	if (!set->sysctl[SYSCTL_NAT_ICMP_SEND] || p->quote || p->bare || p->ttl <= 1 ||
	    (p->proto == IPPROTO_TCP && p->flags & TCP_RST) ||
	    (p->proto == IPPROTO_SCTP && p->flags == SCTP_ABORT))
		return false;
	if (p->family == FAMILY_V6)
		key.addr = p->saddr;
	else
		key.addr.w[0] = p->saddr.w[0];
	if (!bpf_map_lookup_elem(&masq_ports, &key)) {
		key.proto = 0; /* of a firewall-mark service */
		if (!bpf_map_lookup_elem(&masq_ports, &key))
			return false;
	}
	w->route.family = p->family;
	w->route.src = p->saddr;
	w->route.dst = p->daddr;
	return !route_ask(ctx);
}

/*
 * An answer that is right as it is, as it comes from the VIP itself: it goes on as it
 * was, and the connection takes a step. But what comes in with an address of the host's
 * own, the kernel drops over IPv4: to a client on the host it is handed by loopback, and
 * to others it is no answer.
 */
static __always_inline int answer_pass(CTX *ctx, struct work *w, struct conn_ref *ref,
				       __u32 now, int *verdict, const __u8 family)
{
	const struct pkt *p = &w->pkt;
	int rc = LEAVE;

	if (CTX_IS_XDP) /* tc sees it too */
		return LEAVE;
	if (life_resets(ref->life)) /* it may be the host, asking the client to speak */
		return LEAVE;
	if (family == FAMILY_V4 && !p->home) {
		w->route.src = p->daddr;
		route_to(&w->route, &p->saddr, family);
		if (route_ask(ctx)) {
			if (!conn_is_home(ref->conn))
				return LEAVE;
			*verdict = ctx_deliver(ctx);
			rc = 0;
		}
	}
	conn_step(ref, p, true, now, family);
	packet_count(p, ref, true, family);
	return rc;
}

static __always_inline int packet_direct(CTX *ctx, struct work *w, int *verdict,
					 const __u8 family)
{
	struct settings *set = settings_get();
	struct pkt *p = &w->pkt;
	__u32 now;
	struct conn_ref ref;
	__u8 interest;
	int rc;

	if (!set)
		return LEAVE;
	now = now_of(set);
	rc = packet_read(ctx, p, &interest, family);
	if (rc)
		return rc;
	rc = ports_read(ctx, p);
	if (rc)
		return rc;
	rc = conn_look(ctx, p, interest, now, set, &ref, family);
	if (rc == LEAVE && interest & FILTER_RIP && packet_is_stray(ctx, w, set))
		return -REASON_NO_CONNECTION;
	if (rc)
		return rc;
	if (p->reply && life_method(ref.life) != METHOD_MASQ)
		return answer_pass(ctx, w, &ref, now, verdict, family);
	/* of what the host sends, only a server's answers are replies */
	if (p->home && p->reply && !(ref.dst->flags & DST_LOCAL))
		return LEAVE;
	if (life_resets(ref.life) && !p->quote && !reset_passes(w, &ref, now))
		return -REASON_RESET;
	return conn_forward(ctx, w, &ref, p->reply, now, verdict, family);
}

static __always_inline int director(CTX *ctx, const __u8 family, const bool home)
{
	struct work *w = work_get();
	int verdict = CTX_PASS, rc;

	if (!w)
		return CTX_PASS;
	w->pkt.home = home;
	rc = packet_direct(ctx, w, &verdict, family);
	if (rc == HAND_OVER)
		return HANDED_OVER;
	if (rc == LEAVE)
		rc = ctx_inside(ctx, w, &verdict, family);
	if (rc == REASON_SLOW_PATH)
		count(REASON_SLOW_PATH);
	return rc < 0 ? ctx_refuse(ctx, w, -rc) : verdict;
}

/* Each family has a stack of its own. */
static __noinline int director4(CTX *ctx)
{
	return director(ctx, FAMILY_V4, false);
}

static __noinline int director6(CTX *ctx)
{
	return director(ctx, FAMILY_V6, false);
}

static __always_inline int packet_judge(CTX *ctx)
{
	struct ethhdr *eth;
	int verdict;

	if (ctx_is_tagged(ctx))
		return CTX_PASS;
	eth = ctx_header(ctx, 0, sizeof(*eth));
	if (!eth || !ctx_is_ours(ctx, eth))
		return CTX_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		verdict = plain4(ctx);
		return verdict == ROAD ? director4(ctx) : verdict;
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		verdict = plain6(ctx);
		return verdict == ROAD ? director6(ctx) : verdict;
	}
	return CTX_PASS;
}

static __always_inline int packet_enter(CTX *ctx)
{
	return verdict_follow(ctx, packet_judge(ctx), FOLLOWER_IN);
}
