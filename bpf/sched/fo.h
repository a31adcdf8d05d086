/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Weighted failover: everything to the destination of the highest weight; the
 * others stand by for when it is taken out.
 */
#pragma once

static __always_inline long fo_look(struct candidate *c, struct candidate *best)
{
	if (best->index < 0 || c->weight > best->weight)
		*best = *c;
	return 0;
}

BEST_PICK(fo, fo_look)
