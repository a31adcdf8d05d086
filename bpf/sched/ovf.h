/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Weighted overflow: the destination of the highest weight, until it has more
 * active connections than its weight; then the next.
 */
#pragma once

static __always_inline long ovf_look(struct candidate *c, struct candidate *best)
{
	if (c->active > c->weight)
		return 0;
	if (best->index < 0 || c->weight > best->weight)
		*best = *c;
	return 0;
}

BEST_PICK(ovf, ovf_look)
