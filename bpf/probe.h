/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Probes: connections by which the host asks one destination whether it is well, at
 * the VIP and by the service's own method, so that whatever stands in a client's way
 * stands in theirs. The socket's mark names the destination's slot. Nobody chooses:
 * neither weight nor scheduler, template nor threshold is asked.
 *
 * A probe makes a connection like any other, as its answers are to be told from the
 * host's own packets; but one that is forgotten soon, as a server is asked every second
 * and its connections are counted.
 */
#pragma once

#include "making.h"
#include "template.h"

static __always_inline bool pkt_is_probe(const struct pkt *p)
{
	return p->home && (p->mark & ~PROBE_SLOT) == PROBE_MARK;
}

/* Gives a probe to the destination it is for, if that is one of the service: 0 or a
 * reason. */
static __always_inline int probe_choose(const struct pkt *p, const struct service *s,
					struct choice *c)
{
	__u32 slot = p->mark & PROBE_SLOT;
	struct dst_conf *conf = dst_conf_get(slot);
	struct dst *d = dst_get(slot);

	if (!d || !conf || !(d->flags & DST_AVAILABLE) || dst_service(d) != s)
		return -REASON_NO_DESTINATION;
	__builtin_memset(c, 0, sizeof(*c));
	c->dst = slot;
	c->method = conf->method;
	return 0;
}
