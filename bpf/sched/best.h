/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The walk of every scheduler that looks at all destinations and takes the
 * best: each says in its own file what makes one better. Where two are equally
 * good the first in the list wins, which is the newest.
 */
#pragma once

/* A destination as these schedulers see it. */
struct candidate {
	__u64 load; /* a scheduler's own figure */
	__u32 weight;
	__u32 active;
	__u32 inactive;
	__s32 index; /* in the list, -1 none */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct candidate);
} bests SEC(".maps");

#define BEST_STRIDE 8 /* units that a step looks at, as a call for each is dear */

struct best_walk {
	__u32 first; /* unit of the shares */
	__u32 units;
	struct candidate *best;
};

/* Walks with a scheduler's step, and returns the position of the best. */
static __always_inline int best_pick(const struct view *v, long (*step)(__u32, struct best_walk *))
{
	__u32 zero = 0;
	struct candidate *best = bpf_map_lookup_elem(&bests, &zero);
	struct best_walk w = {
		.first = v->first + 1 + v->count,
		.units = (v->count + SHARES_PER_UNIT - 1) / SHARES_PER_UNIT,
		.best = best,
	};

	if (!best)
		return -REASON_NO_DESTINATION;
	best->index = -1;
	best->load = 1;
	best->weight = 0;
	bpf_loop((w.units + BEST_STRIDE - 1) / BEST_STRIDE, step, &w, 0);
	return best->index < 0 ? -REASON_NO_DESTINATION : best->index;
}

/* Reads how busy a destination is that may get a new connection. */
static __always_inline bool share_read(const struct share *s, struct candidate *c)
{
	__u32 weight = s->weight;
	struct dst *d;

	if ((__s32)weight <= 0) {
		weight &= ~SHARE_LIMITED;
		if (!weight || dst_overloaded(s->dst))
			return false;
	}
	d = bpf_map_lookup_elem(&dsts, &s->dst);
	if (!d)
		return false;
	c->weight = weight;
	c->active = READ_ONCE(d->active);
	c->inactive = READ_ONCE(d->inactive);
	return true;
}

static __always_inline bool candidate_read(const struct view *v, __u32 i, struct candidate *c)
{
	struct entry *e = entry_get(v, i);
	struct dst *d;

	if (!e || !entry_usable(e))
		return false;
	d = bpf_map_lookup_elem(&dsts, &e->dst);
	if (!d)
		return false;
	c->weight = e->weight;
	c->active = READ_ONCE(d->active);
	c->inactive = READ_ONCE(d->inactive);
	c->index = i;
	return true;
}

/* load per weight, compared without dividing; none at all is infinitely heavy */
static __always_inline bool lighter(const struct candidate *c, const struct candidate *best)
{
	return best->load * c->weight > c->load * best->weight;
}

/* Defines NAME_pick: look sees candidate c and may put it into best; it returns 1
 * to end the walk. */
#define BEST_PICK(name, look)                                                  \
	static __always_inline long name##_unit(__u32 at, const struct best_walk *w) \
	{                                                                      \
		union unit *u = unit_get(w->first + at);                       \
		struct candidate *best = w->best;                              \
                                                                               \
		if (!u || at >= w->units)                                      \
			return 1;                                              \
		_Pragma("unroll") for (int k = 0; k < SHARES_PER_UNIT; k++)    \
		{                                                              \
			struct candidate c = {.index = at * SHARES_PER_UNIT + k}; \
                                                                               \
			if (share_read(&u->share[k], &c) && look(&c, best))    \
				return 1;                                      \
		}                                                              \
		return 0;                                                      \
	}                                                                      \
                                                                               \
	static long name##_step(__u32 i, struct best_walk *w)                  \
	{                                                                      \
		_Pragma("nounroll") for (int k = 0; k < BEST_STRIDE; k++)      \
			if (name##_unit(i * BEST_STRIDE + k, w))               \
				return 1;                                      \
		return 0;                                                      \
	}                                                                      \
                                                                               \
	/* a function of its own for the verifier, as several call it */       \
	__noinline int name##_best(const struct view *v)                       \
	{                                                                      \
		return v ? best_pick(v, name##_step) : -REASON_NO_DESTINATION; \
	}                                                                      \
                                                                               \
	static __always_inline int name##_pick(struct service *s, const struct view *v, \
					       const struct pkt *p)            \
	{                                                                      \
		return name##_best(v);                                         \
	}
