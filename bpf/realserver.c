/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The real server's side of tunnels: takes packets for a VIP out of them and
 * leaves them to the stack, by XDP or by tc. */
#include "decap/announce.h"
#include "decap/strip.h"

/* Enums that only user space reads by name; a variable keeps them in BTF. */
const volatile struct {
	enum decap_abi abi;
	enum decap_kind kind;
	enum decap_role role;
	enum decap_reason reason;
} decap_enums = {};

SEC("xdp.frags")
int evs_decap_xdp(struct xdp_md *ctx)
{
	struct view v = {
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.len = bpf_xdp_get_buff_len(ctx),
	};
	struct decap d = {};
	__u32 diff = 0;
	int why = decap(&v, &d, &diff);

	if (why == DECAP_OK)
		why = strip_xdp(ctx, &d);
	else if (why < (int)DECAP_FIRST_DROP) /* left to tc, which counts it */
		return XDP_PASS;
	/* a header may lie beyond the first piece, where tc can read it */
	else if (why == DECAP_REASON_MALFORMED && v.len > v.end - v.data)
		return XDP_PASS;
	decap_count(why);
	return why < (int)DECAP_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int evs_decap_tc(struct __sk_buff *skb)
{
	struct view v = {};
	struct decap d = {};
	__u32 diff = 0;
	int why;

	if (!tunnelled(skb))
		return TC_ACT_UNSPEC;
	view_skb(&v, skb);
	why = decap(&v, &d, &diff);
	if (why == DECAP_NOT_OURS)
		return TC_ACT_UNSPEC;
	if (why == DECAP_OK)
		why = strip_skb(skb, &d, diff);
	decap_count(why);
	return why < (int)DECAP_FIRST_DROP ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* On egress: what the host itself sends. */
SEC("tc")
int evs_announce(struct __sk_buff *skb)
{
	announce(skb);
	return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
