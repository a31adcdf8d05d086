/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The timer's estimates of rates: of each destination every two seconds. */
#pragma once

#include "base.h"

#define ESTIMATE_SECONDS 2

struct estimate_walk {
	__u32 dst;
	__u32 end;
	__u32 now;
};

struct sum_walk {
	__u32 dst;
	__u64 sum[5];
};

static long sum_step(__u32 cpu, struct sum_walk *w)
{
	__u32 index = cpu * conf_dsts + w->dst;
	struct stats *s = bpf_map_lookup_elem(&stats_map, &index);

	if (!s)
		return 1;
	w->sum[0] += s->conns;
	w->sum[1] += s->in_packets;
	w->sum[2] += s->out_packets;
	w->sum[3] += s->in_bytes;
	w->sum[4] += s->out_bytes;
	return 0;
}

/* Mixes a quarter of the newest rate into the average. */
static long estimate_step(__u32 i, struct estimate_walk *w)
{
	struct estimator *e;
	struct sum_walk sum = {.dst = w->dst};
	__u32 elapsed;

	if (w->dst >= w->end)
		return 1;
	e = bpf_map_lookup_elem(&estimators, &w->dst);
	w->dst++;
	if (!e)
		return 1;
	bpf_loop(conf_cpus, sum_step, &sum, 0);
	elapsed = w->now - e->stamp;
	for (int k = 0; k < 5; k++) {
		if (e->stamp && elapsed) {
			__s64 rate = ((sum.sum[k] - e->last[k]) << 10) * conf_hz / elapsed;

			e->rate[k] += (rate - (__s64)e->rate[k]) >> 2;
		}
		e->last[k] = sum.sum[k];
	}
	e->stamp = w->now ? w->now : 1;
	return 0;
}

static __always_inline void rates_tick(struct sweep *s, __u32 now, __u32 tick_jiffies)
{
	struct settings *set = settings_get();
	struct estimate_walk w = {.now = now};
	__u32 used, ticks;

	if (!set || !set->sysctl[SYSCTL_RUN_ESTIMATION])
		return;
	used = set->dst_used;
	if (s->dst >= used) {
		if (now - s->dst_stamp < ESTIMATE_SECONDS * conf_hz)
			return;
		s->dst_stamp = now;
		s->dst = 0;
	}
	/* spread a round over the ticks of one second */
	ticks = conf_hz / (tick_jiffies ? tick_jiffies : 1);
	w.dst = s->dst;
	w.end = used;
	bpf_loop(used / (ticks ? ticks : 1) + 1, estimate_step, &w, 0);
	s->dst = w.dst;
}
