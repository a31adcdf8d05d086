/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The director's fast door, for interfaces whose driver runs XDP. */
#include "door_xdp.h"

#include "director.h"

SEC("xdp.frags")
int evs_xdp(struct xdp_md *ctx)
{
	return packet_enter(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
