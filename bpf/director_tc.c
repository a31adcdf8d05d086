/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The director's sure door, for every interface, and the slow path of XDP. */
#include "door_tc.h"

#include "director.h"

SEC("tc")
int evs_tc(struct __sk_buff *skb)
{
	return director(skb);
}

char _license[] SEC("license") = "Dual BSD/GPL";
