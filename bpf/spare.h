/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * drop_entry: which connections are spared when room is to be made. The sweep visits
 * one bucket in 32 on each of its passes, at random, as the kernel does. Of what it
 * finds there, half-open connections go, and templates that hold nothing and were
 * never answered. Of established ones and of UDP those may go that were idle for a
 * minute and began a short while before that: of those with n packets one in n.
 */
#pragma once

#include "defence.h"
#include "template.h"

#define SPARE_PART 32 /* one bucket in so many is visited */
#define SPARE_IDLE_SECONDS 60

#define BEGUN_STATES                                                       \
	(1 << STATE_SYN_RECV | 1 << STATE_SYNACK | 1 << STATE_SCTP_INIT1 |     \
	 1 << STATE_SCTP_INIT)
#define IDLE_STATES                                                            \
	(1 << STATE_ESTABLISHED | 1 << STATE_SCTP_ESTABLISHED | 1 << STATE_UDP)

/* Whether it is the turn of an idle connection. */
static __always_inline bool idle_spare(const struct settings *set, union life l, __u32 now)
{
	__u32 timeout = set->timeout[l.state & STATE_MASK] * conf_hz;
	__u32 packets = l.state / PACKET_ONE & SPARE_MOST;
	struct defence *d = defence_get();

	/* its last packet came when it was given the time of its state */
	if (!d || !packets || (__s32)(now + timeout - l.expires) < SPARE_IDLE_SECONDS * (__s32)conf_hz)
		return false;
	if (--d->turn[packets] > 0)
		return false;
	d->turn[packets] = packets;
	return true;
}

static __always_inline bool template_spare(const struct conn *t, const struct dst *d, union life l)
{
	struct service *s = dst_service(d);
	__u32 first = s ? READ_ONCE(s->version) & ((1 << VERSION_UNIT_BITS) - 1) : 0;
	union unit *u = bpf_map_lookup_elem(&units, &first);

	if (l.state & TEMPLATE_ASSURED)
		return false;
	return !s || !u || !(t->nexthop_stamp || u->version.flags & SVC_ONEPACKET);
}

/* Whether what was found in a slot goes. */
static __always_inline bool entry_spare(const struct conn *c, const struct dst *d, union life l,
					__u32 now)
{
	struct settings *set = settings_get();
	__u32 state = 1 << (l.state & STATE_MASK);

	if (c->proto & TEMPLATE)
		return template_spare(c, d, l);
	if (state & BEGUN_STATES)
		return true;
	return state & IDLE_STATES && set && idle_spare(set, l, now);
}
