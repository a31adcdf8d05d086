/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The director's sure door, for every interface, and the slow path of XDP. */
#include "door_tc.h"

#include "director.h"
#include "out.h"

/* An enum that only user space reads by name; a variable keeps it in BTF. */
const volatile enum follower abi_follower = FOLLOWER_IN;

SEC("tc")
int evs_tc(struct __sk_buff *skb)
{
	return packet_enter(skb);
}

/* On egress: what the host itself sends. */
SEC("tc")
int evs_tc_out(struct __sk_buff *skb)
{
	return packet_leave(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";
