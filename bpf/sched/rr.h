/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Round robin: the next destination after the one that had the last turn,
 * passing over those of weight 0. The order is that of the list, the newest
 * destination first.
 *
 * Memory: the position of the last turn, 1 for the first destination, 0 before
 * any turn. After an edit user space moves it along with its destination.
 */
#pragma once

struct rr_walk {
	const struct view *view;
	__u32 position; /* of the last turn, then of the one looked at */
	__u32 found;
};

static long rr_step(__u32 i, struct rr_walk *w)
{
	struct entry *e;

	if (w->position >= w->view->count)
		w->position = 0;
	e = entry_get(w->view, w->position++);
	w->found = e && entry_usable(e);
	return w->found;
}

static __noinline int rr_walk(struct rr_walk *w)
{
	if (!w)
		return 0;
	bpf_loop(w->view->count, rr_step, w, 0);
	return w->found;
}

static __always_inline int rr_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	struct rr_walk w;

	/* Another CPU that took the same turn makes us take the next one. */
	for (int tries = 0; tries < 4; tries++) {
		__u64 old = READ_ONCE(s->sched_state);

		w.view = v;
		w.position = old;
		w.found = 0;
		if (!rr_walk(&w))
			return -REASON_NO_DESTINATION;
		if (CAS(&s->sched_state, old, (__u64)w.position) == old)
			break;
	}
	return w.position - 1;
}
