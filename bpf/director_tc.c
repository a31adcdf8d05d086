/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The director's sure door, for every interface, and the slow path of XDP. */
#include "ctx_tc.h"
#include "nexthop.h"

static __always_inline bool ctx_can_reach(CTX *ctx, const struct hop *hop)
{
	return true;
}

/* What is not resolved waits in the kernel's neighbour table. */
static __always_inline int ctx_send(CTX *ctx, const struct hop *hop)
{
	struct bpf_redir_neigh gateway = {.nh_family = AF_INET, .ipv4_nh = hop->gateway};

	if (hop->via)
		return bpf_redirect(hop->ifindex, 0);
	return bpf_redirect_neigh(hop->ifindex, &gateway, sizeof(gateway), 0);
}

#include "director.h"

SEC("tc")
int evs_tc(struct __sk_buff *skb)
{
	return director(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";
