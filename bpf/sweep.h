/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The sweep: it goes over buckets one after the other and ends what has run out.
 *
 * A family without connections is not looked at. Its pass begins by an exchange that
 * makes it DOZING, and a birth makes it AWAKE, after its slot lives; both are full
 * barriers. So of a birth, either the pass sees the slot, or it was made AWAKE after
 * the pass began; and a pass that has seen nothing makes ASLEEP only what still dozes.
 */
#pragma once

#include "birth.h"
#include "spare.h"
#include "tell.h"

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

/* How many slots of a bucket are taken; and whether one has run out, without a branch
 * for each, as hardly any has. */
static __always_inline __u32 bucket_survey(struct bucket6 *b, __u32 now, __u32 *due)
{
	__u32 used = 0;

	*due = 0;
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		union life l = life_read(&b->slot[i]);
		__u32 flags = l.flags;

		/* the sign of the time since, where CONN_LIVE is */
		*due |= flags & ~(now - l.expires) >> 30 & CONN_LIVE;
		flags |= flags >> 1;
		KEEP_VALUE(flags);
		used += flags & 1;
	}
	return used;
}

_Static_assert(CONN_BUSY == 1 && CONN_LIVE == 2, "bucket_survey");

/* The timer has gone over a family's table, and found so many slots taken. */
static __always_inline void pass_end(__u32 *used, const __u8 family)
{
	struct flood *f = flood_get(family);

	if (f && !*used)
		CAS(&f->sleep, DOZING, ASLEEP);
	defence_counted(family, used);
}

static __always_inline long bucket_sweep(struct sweep_walk *w, const __u8 family)
{
	struct bucket6 *b = bucket_get(w->bucket, family);
	__u32 how = w->how, due;

	if (!b) {
		pass_end(w->used, family);
		w->bucket = 0;
		return 1;
	}
	*w->used += bucket_survey(b, w->now, &due);
	if (how & SWEEP_DROP && bpf_get_prandom_u32() % SPARE_PART)
		how &= ~SWEEP_DROP;
	if (due || how & (SWEEP_NODEST | SWEEP_DROP))
#pragma unroll
		for (int s = 0; s < SLOTS_PER_BUCKET; s++)
			if (life_over(life_read(&b->slot[s]), w->now) ||
			    how & (SWEEP_NODEST | SWEEP_DROP))
				w->expired += family == FAMILY_V6
						      ? slot_end6(w->bucket, s, w->now, how)
						      : slot_end4(w->bucket, s, w->now, how);
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

static __always_inline void buckets_sweep(struct sweep_walk *w, __u32 count, const __u8 family)
{
	bpf_loop(count, family == FAMILY_V6 ? sweep_step6 : sweep_step4, w, 0);
}
