/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The schedulers. Each is a function from a service and a view of its
 * destinations to the index of one, or a negative reason. */
#pragma once

/* Whether a destination has reached its threshold of connections. */
static __always_inline bool entry_overloaded(const struct entry *e)
{
	return e->upper && dst_overloaded(e->dst);
}

/* A destination that may get a new connection. */
static __always_inline bool entry_usable(const struct entry *e)
{
	return e->weight > 0 && !entry_overloaded(e);
}

#include "rr.h"
#include "wrr.h"

#include "best.h"
#include "lc.h"
#include "wlc.h"
#include "sed.h"
#include "nq.h"
#include "fo.h"
#include "ovf.h"

static __noinline int sched_pick(struct service *s, const struct view *v)
{
	if (!s || !v || !v->count)
		return -REASON_NO_DESTINATION;
	switch (v->version.sched) {
#define PICK(name, function)                                                   \
	case SCHED_##name:                                                     \
		return function##_pick(s, v);
		SCHEDULERS(PICK)
#undef PICK
	}
	return -REASON_SCHEDULER_UNSUPPORTED;
}
