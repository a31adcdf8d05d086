/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The timer: each tick it ends the expired connections of some buckets, so
 * that the whole table is gone over once a second, and estimates the rates of
 * some destinations, so that each has its turn every two seconds. It lives in
 * a pinned map and needs no process. User space never writes to its map: that
 * would cancel it.
 */
#pragma once

#include "birth.h"
#include "locality.h"
#include "rates.h"
#include "spare.h"
#include "tell.h"

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

struct sweep_walk {
	__u32 bucket;
	__u32 now;
	__u32 how; /* enum sweep_how */
	__u32 *used; /* slots counted; in a map, as the verifier would follow the sum */
	__u64 expired;
};

/* What the sweep looks at beside connections that have run out. */
enum sweep_how {
	SWEEP_TEMPLATES = 1,
	SWEEP_NODEST = 2, /* what has no destination any more */
	SWEEP_DROP = 4,	  /* in some buckets: what can be spared */
};

static __always_inline __u32 sweep_how(void)
{
	struct settings *set = settings_get();

	if (!set)
		return 0;
	return (set->sysctl[SYSCTL_EXPIRE_NODEST_CONN] ? SWEEP_NODEST : 0) |
	       (defence_works(set, SYSCTL_DROP_ENTRY) ? SWEEP_DROP : 0);
}

/* Whether what is in a slot has to end: its time has come, or it has no destination. */
static __always_inline bool slot_is_over(const struct dst *d, union life l, __u32 now, __u32 how)
{
	return life_over(l, now) ||
	       (how & SWEEP_NODEST && !(d->flags & (DST_AVAILABLE | DST_BYPASS)));
}

/* Ends what is in a slot if it has to, or can be spared. */
static __always_inline bool slot_end(__u32 bucket, __u32 slot, __u32 now, __u32 how,
				     const __u8 family)
{
	struct bucket6 *b = bucket_get(bucket, family);
	__u32 place = slot % SLOTS_PER_BUCKET;
	bool over;
	struct remains remains;
	struct conn *c;
	union life l;
	struct dst *d;

	/* behind the table are packets that were scheduled by themselves */
	if (!b || bucket >= bucket_count(family) + overflow_count(family))
		return false;
	c = &b->slot[place];
	l = life_read(c);
	d = dst_get(c->dst);
	if (!d || !(l.flags & CONN_LIVE))
		return false;
	over = slot_is_over(d, l, now, how);
	if (!over && !(how & SWEEP_DROP && entry_spare(c, d, l, now)))
		return false;
	if (c->proto & TEMPLATE && !(how & SWEEP_TEMPLATES))
		return false;
	if (!slot_finish(b, place, d, l, now, over ? TELL_END : TELL_DROPPED, &remains, family))
		return false;
	if (!over)
		count(REASON_DROPPED_ENTRY);
	return true;
}

/* For the verifier's sake, as conn_seek. */
__noinline int slot_end4(__u32 bucket, __u32 slot, __u32 now, __u32 how)
{
	return slot_end(bucket, slot, now, how, FAMILY_V4);
}

__noinline int slot_end6(__u32 bucket, __u32 slot, __u32 now, __u32 how)
{
	return slot_end(bucket, slot, now, how, FAMILY_V6);
}

static __always_inline long bucket_sweep(struct sweep_walk *w, const __u8 family)
{
	struct bucket6 *b = bucket_get(w->bucket, family);
	__u32 how = w->how;

	if (!b) {
		defence_counted(family, w->used);
		w->bucket = 0;
		return 0;
	}
	if (how & SWEEP_DROP && bpf_get_prandom_u32() % SPARE_PART)
		how &= ~SWEEP_DROP;
#pragma unroll
	for (int s = 0; s < SLOTS_PER_BUCKET; s++)
		if (life_over(life_read(&b->slot[s]), w->now) || how & (SWEEP_NODEST | SWEEP_DROP))
			w->expired += family == FAMILY_V6
					      ? slot_end6(w->bucket, s, w->now, how)
					      : slot_end4(w->bucket, s, w->now, how);
	*w->used += bucket_load(b);
	w->bucket++;
	return 0;
}

static long sweep_step4(__u32 i, struct sweep_walk *w)
{
	return bucket_sweep(w, FAMILY_V4);
}

static long sweep_step6(__u32 i, struct sweep_walk *w)
{
	return bucket_sweep(w, FAMILY_V6);
}

/* Sweeps a tick's share of the buckets of both families. */
static __always_inline void conns_tick(struct sweep *s, __u32 now)
{
	struct sweep_walk w = {
		.now = now, .bucket = s->bucket, .how = SWEEP_TEMPLATES | sweep_how(),
	};
	struct defence *d = defence_get();

	if (!d)
		return;
	w.used = &d->ticking[0];
	bpf_loop((conf_buckets4 + conf_overflow4) / TICKS_PER_PASS + 1, sweep_step4, &w, 0);
	if (w.bucket < s->bucket)
		s->passes++;
	s->bucket = w.bucket;
	w.bucket = s->bucket6;
	w.used = &d->ticking[1];
	bpf_loop((conf_buckets6 + conf_overflow6) / TICKS_PER_PASS + 1, sweep_step6, &w, 0);
	s->bucket6 = w.bucket;
	__sync_fetch_and_add(&s->expired, w.expired);
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
	/* a number that the verifier knew it would follow through the loop */
	for (int pass = 0; pass < 2; pass++) {
		w.bucket = any_slot(0);
		w.used = &d->sweeping[0];
		bpf_loop(conf_buckets4 + conf_overflow4, sweep_step4, &w, 0);
		defence_counted(FAMILY_V4, w.used);
		w.bucket = any_slot(0);
		w.used = &d->sweeping[1];
		bpf_loop(conf_buckets6 + conf_overflow6, sweep_step6, &w, 0);
		defence_counted(FAMILY_V6, w.used);
		w.how = how | SWEEP_TEMPLATES; /* only now, as of those they hold some had run out */
	}
	__sync_fetch_and_add(&s->expired, w.expired);
	/* the timer's pass begins anew: what it has counted is from before */
	s->bucket = s->bucket6 = 0;
	d->ticking[0] = d->ticking[1] = 0;
	if (set)
		defence_judge(d, set, now);
}

/* Starts the timer, or starts it again with this program's code. */
static __always_inline int ticker_start(void)
{
	__u32 zero = 0;
	struct ticker *t = bpf_map_lookup_elem(&tickers, &zero);

	if (!t)
		return 1;
	bpf_timer_init(&t->timer, &tickers, CLOCK_MONOTONIC);
	if (bpf_timer_set_callback(&t->timer, ticker_tick))
		return 2;
	return bpf_timer_start(&t->timer, TICK_NS, 0) ? 3 : 0;
}
