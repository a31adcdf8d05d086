/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Destination hashing: the address the packet was sent to decides, by a table that
 * internal/sched/dh.go makes. Who finds its server unusable is refused.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 */
#pragma once

static __always_inline int dh_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	__u32 position = place_get(v, golden_hash(addr_fold(&p->daddr, p->family), 8));

	return position_usable(v, position) ? (int)position : -REASON_NO_DESTINATION;
}
