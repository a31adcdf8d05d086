/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The counters of a destination, one row for each CPU. A CPU writes only its
 * own row, and packets do not interrupt each other, so no atomics. */
#pragma once

#include "base.h"

static __always_inline struct stats *stats_get(__u32 dst)
{
	__u32 index = bpf_get_smp_processor_id() * conf_dsts + dst;

	return bpf_map_lookup_elem(&stats_map, &index);
}

static __always_inline void stats_connection(__u32 dst)
{
	struct stats *s = stats_get(dst);

	if (s)
		s->conns++;
}

/* Packets is 0 for a piece of one that is counted already. */
static __always_inline void stats_packet(__u32 dst, bool reply, __u32 packets, __u32 bytes)
{
	struct stats *s = stats_get(dst);

	if (!s)
		return;
	if (reply) {
		s->out_packets += packets;
		s->out_bytes += bytes;
	} else {
		s->in_packets += packets;
		s->in_bytes += bytes;
	}
}
