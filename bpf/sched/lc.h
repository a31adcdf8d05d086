/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Least connection: the destination with the fewest. An active connection
 * weighs as much as 256 inactive ones, so that the inactive ones decide only
 * between destinations as busy as each other.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 */
#pragma once

static __always_inline __u64 connections(const struct candidate *c)
{
	return ((__u64)c->active << 8) + c->inactive;
}

static __always_inline long lc_look(struct candidate *c, struct candidate *best)
{
	c->load = connections(c);
	if (best->index < 0 || c->load < best->load)
		*best = *c;
	return 0;
}

BEST_PICK(lc, lc_look)
