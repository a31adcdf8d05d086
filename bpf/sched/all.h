/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The schedulers. Each is a function from a service and a view of its
 * destinations to the index of one, or a negative reason. */
#pragma once

/* A destination that may get a new connection. */
static __always_inline bool entry_usable(const struct entry *e)
{
	return e->weight > 0;
}

#include "rr.h"
#include "wrr.h"

static __always_inline int sched_pick(struct service *s, const struct view *v)
{
	if (!v->count)
		return -REASON_NO_DESTINATION;
	switch (v->version.sched) {
	case SCHED_RR:
		return rr_pick(s, v);
	case SCHED_WRR:
		return wrr_pick(s, v);
	}
	return -REASON_SCHEDULER_UNSUPPORTED;
}
