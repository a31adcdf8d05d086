/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Weighted least connection: the destination with the fewest connections, as
 * lc counts them, for its weight.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 */
#pragma once

static __always_inline long wlc_look(struct candidate *c, struct candidate *best)
{
	c->load = connections(c);
	if (lighter(c, best))
		*best = *c;
	return 0;
}

BEST_PICK(wlc, wlc_look)
