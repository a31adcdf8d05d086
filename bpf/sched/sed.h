/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Shortest expected delay: the destination where the new connection would find
 * the least load for the weight, itself counted: (active + 1) / weight.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 */
#pragma once

static __always_inline long sed_look(struct candidate *c, struct candidate *best)
{
	c->load = (__u64)c->active + 1;
	if (lighter(c, best))
		*best = *c;
	return 0;
}

BEST_PICK(sed, sed_look)
