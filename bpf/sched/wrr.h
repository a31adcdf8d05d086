/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Weighted round robin, interleaved: a level falls from the greatest weight in
 * steps of the weights' greatest common divisor, and at each level every
 * destination of at least that weight has a turn. Over one fall a destination
 * of weight w has w / divisor turns, spread as evenly as the levels allow.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 *
 * Memory: the position of the last turn as in rr, and above it in the upper
 * half the level. weight_max and weight_step come with the version.
 */
#pragma once

struct wrr_walk {
	const struct view *view;
	__u32 position;
	__s32 level;
	__u32 falls; /* times the level started over */
	__u32 found;
};

#define WRR_MAX_STEPS (1 << 22)

static long wrr_step(__u32 i, struct wrr_walk *w)
{
	struct entry *e;

	if (w->position >= w->view->count) {
		w->position = 0;
		w->level -= w->view->version.weight_step;
		if (w->level <= 0) {
			w->level = w->view->version.weight_max;
			if (++w->falls > 1)
				return 1;
		}
	}
	e = entry_get(w->view, w->position++);
	w->found = e && (__s64)e->weight >= w->level && !entry_overloaded(e);
	return w->found;
}

static __noinline int wrr_walk(struct wrr_walk *w)
{
	if (!w)
		return 0;
	bpf_loop(WRR_MAX_STEPS, wrr_step, w, 0);
	return w->found;
}

static __always_inline int wrr_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	struct wrr_walk w;

	if (!v->version.weight_max)
		return -REASON_NO_DESTINATION;
	for (int tries = 0; tries < 4; tries++) {
		__u64 old = READ_ONCE(s->sched_state);

		w.view = v;
		w.position = old;
		w.level = old >> 32;
		w.falls = 0;
		w.found = 0;
		if (!wrr_walk(&w)) {
			/* in the kernel the walk ends where it began, at the lowest level, or if
			 * it began at the head of the list at the highest */
			w.level = (__u32)old ? 1 : v->version.weight_max;
			CAS(&s->sched_state, old, (__u64)w.level << 32 | (__u32)old);
			return -REASON_NO_DESTINATION;
		}
		if (CAS(&s->sched_state, old, (__u64)w.level << 32 | w.position) == old)
			break;
	}
	return w.position - 1;
}
