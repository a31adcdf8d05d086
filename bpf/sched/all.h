/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The schedulers. Each is a function from a service, a view of its destinations and
 * the packet to the index of one, or a negative reason. */
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
#include "twos.h"

#include "lblc.h"
#include "lblcr.h"

#include "hash.h"
#include "dh.h"
#include "sh.h"
#include "mh.h"

/* A function of its own for the verifier too, as it is called in a loop. */
__noinline int sched_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	if (!s || !v || !p || !v->count)
		return -REASON_NO_DESTINATION;
	switch (v->version.sched) {
#define PICK(name, function)                                                   \
	case SCHED_##name:                                                     \
		return function##_pick(s, v, p);
		SCHEDULERS(PICK)
#undef PICK
	}
	return -REASON_SCHEDULER_UNSUPPORTED;
}
