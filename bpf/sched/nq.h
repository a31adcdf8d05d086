/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Never queue: a destination without active connections if there is one, so
 * that nobody waits while somebody is idle; else as sed.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 */
#pragma once

static __always_inline long nq_look(struct candidate *c, struct candidate *best)
{
	c->load = (__u64)c->active + 1;
	if (!c->active) {
		*best = *c;
		return 1;
	}
	if (lighter(c, best))
		*best = *c;
	return 0;
}

BEST_PICK(nq, nq_look)
