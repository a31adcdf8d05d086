/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Thresholds of connections. A destination that reaches its upper one is
 * overloaded, and gets no new connection until it has fewer than its lower one,
 * or where it has none than three quarters of the upper; templates still lead to it.
 * Two CPUs that count at once may leave a verdict that is a connection old; the
 * next birth or death gives another.
 */
#pragma once

#include "base.h"

static __always_inline struct dst *dst_get(__u32 index)
{
	return bpf_map_lookup_elem(&dsts, &index);
}

static __always_inline struct dst_conf *dst_conf_get(__u32 index)
{
	return bpf_map_lookup_elem(&dst_confs, &index);
}

static __always_inline __u64 dst_total(const struct dst *d)
{
	return (__u64)READ_ONCE(d->active) + READ_ONCE(d->inactive);
}

/* After a connection or template of a destination was born. */
static __always_inline void dst_came(__u32 index, const struct dst *d)
{
	struct dst_conf *c;

	if (!(d->flags & DST_LIMITED))
		return;
	c = dst_conf_get(index);
	if (c && c->upper && dst_total(d) >= c->upper)
		c->overloaded = 1;
}

/* After one has ended. */
static __always_inline void dst_left(__u32 index, const struct dst *d)
{
	struct dst_conf *c;
	__u64 total;

	if (!(d->flags & DST_LIMITED))
		return;
	c = dst_conf_get(index);
	if (!c)
		return;
	total = dst_total(d);
	if (c->lower ? total < c->lower : total * 4 < c->upper * 3ULL)
		c->overloaded = 0;
}

static __always_inline bool dst_overloaded(__u32 index)
{
	const struct dst_conf *c = dst_conf_get(index);

	return c && c->overloaded;
}
