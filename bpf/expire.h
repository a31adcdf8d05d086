/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The timer: each tick it ends the expired connections of some buckets, so
 * that the whole table is gone over once a second, and estimates the rates of
 * some destinations, so that each has its turn every two seconds. It lives in
 * a pinned map and needs no process. User space never writes to its map: that
 * would cancel it.
 */
#pragma once

#include "locality.h"
#include "rates.h"
#include "sweep.h"

#define CLOCK_MONOTONIC 1
#define TICK_NS 4000000ULL	  /* while there are connections */
#define IDLE_TICK_NS 100000000ULL /* while there are none */
#define TICKS_PER_PASS 250

struct ticker {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ticker);
} tickers SEC(".maps");

/* Sweeps a tick's share of a family's buckets, from the one it left off at. True: a pass
 * has ended. The number of a bucket that the verifier knew it would follow through the
 * loop. */
static __always_inline bool family_tick(__u32 *bucket, __u32 *used, __u32 now, const __u8 family)
{
	struct sweep_walk w = {.now = now, .used = used, .how = SWEEP_TEMPLATES | sweep_how()};
	struct flood *f = flood_get(family);
	struct sweep *s = sweep_get();
	bool over;

	if (!f || !s)
		return false;
	if (!READ_ONCE(*bucket)) {
		if (READ_ONCE(f->sleep) == ASLEEP)
			return false;
		__sync_lock_test_and_set(&f->sleep, DOZING);
		*used = 0;
	}
	w.bucket = READ_ONCE(*bucket);
	buckets_sweep(&w, (bucket_count(family) + overflow_count(family)) / TICKS_PER_PASS + 1, family);
	__sync_fetch_and_add(&s->expired, w.expired);
	over = w.bucket < *bucket;
	*bucket = w.bucket;
	return over;
}

/* Sweeps a tick's share of the buckets of both families. */
static __always_inline void conns_tick(struct sweep *s, __u32 now)
{
	struct defence *d = defence_get();

	if (!d)
		return;
	s->passes += family_tick(&s->bucket, &d->ticking[0], now, FAMILY_V4);
	family_tick(&s->bucket6, &d->ticking[1], now, FAMILY_V6);
}

/* Connections and templates born, less those that the data path ended itself. */
struct born_walk {
	__u64 sum;
};

static __always_inline __u64 born_of(const struct counters *c)
{
	return c->count[REASON_NEW_CONNECTION] + c->count[REASON_NEW_TEMPLATE] -
	       c->count[REASON_REOPENED] - c->count[REASON_EXPIRED] -
	       c->count[REASON_HALF_OPEN_EVICTED];
}

static long born_step(__u32 cpu, struct born_walk *w)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_percpu_elem(&counters_map, &zero, cpu);

	if (c)
		w->sum += born_of(c);
	return 0;
}

static int ticker_tick(void *map, __u32 *key, struct ticker *t)
{
	__u32 now = now_jiffies();
	struct settings *set = settings_get();
	struct born_walk born = {};
	struct sweep *s = sweep_get();
	__u64 next = TICK_NS;

	if (!s || !set || set->retired)
		return 0;
	bpf_loop(conf_cpus, born_step, &born, 0);
	if (born.sum == s->expired)
		next = IDLE_TICK_NS;
	else
		conns_tick(s, now);
	defence_tick(born.sum == s->expired, now);
	rates_tick(s, now, now - s->tick_stamp);
	localities_tick(s, now);
	s->tick_stamp = now;
	bpf_timer_start(&t->timer, next, 0);
	return 0;
}

/* Sweeps the whole table of a family. */
static __always_inline void family_sweep(struct sweep_walk *w, __u32 *used, const __u8 family)
{
	struct flood *f = flood_get(family);

	w->bucket = any_slot(0);
	w->used = used;
	if (f && READ_ONCE(f->sleep) != ASLEEP)
		buckets_sweep(w, bucket_count(family) + overflow_count(family), family);
	defence_counted(family, used);
}

/* Ends all that has to end, at once; and if it was not asked to within a second, what
 * the timer would have dropped in one. */
static __always_inline void conns_sweep(struct sweep *s, __u32 now)
{
	struct settings *set = settings_get();
	struct defence *d = defence_get();
	__u32 how = sweep_how();
	struct sweep_walk w = {.now = now, .how = how & ~SWEEP_DROP};

	if (!d)
		return;
	if (now - d->swept < conf_hz)
		how &= ~SWEEP_DROP;
	else
		d->swept = now;
	for (int pass = 0; pass < 2; pass++) {
		family_sweep(&w, &d->sweeping[0], FAMILY_V4);
		family_sweep(&w, &d->sweeping[1], FAMILY_V6);
		w.how = how | SWEEP_TEMPLATES; /* only now, as of those they hold some had run out */
	}
	__sync_fetch_and_add(&s->expired, w.expired);
	/* the timer's pass begins anew: what it has counted is from before */
	s->bucket = s->bucket6 = 0;
	if (set)
		defence_judge(d, set, now);
}

/* Starts the timer, or starts it again with this program's code. */
static __always_inline int ticker_start(void)
{
	__u32 zero = 0;
	struct ticker *t = bpf_map_lookup_elem(&tickers, &zero);
	struct flood *f4 = flood_get(FAMILY_V4), *f6 = flood_get(FAMILY_V6);

	if (!t || !f4 || !f6)
		return 1;
	/* of what programs before made, nobody may have been told */
	f4->sleep = f6->sleep = AWAKE;
	bpf_timer_init(&t->timer, &tickers, CLOCK_MONOTONIC);
	if (bpf_timer_set_callback(&t->timer, ticker_tick))
		return 2;
	return bpf_timer_start(&t->timer, TICK_NS, 0) ? 3 : 0;
}
