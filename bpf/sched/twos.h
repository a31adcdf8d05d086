/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The power of two choices: of two destinations drawn at random, each as likely as
 * its weight, the one with the fewer connections for its weight. Two draws are
 * enough to keep the fullest nearly as empty as the rest.
 * (Mitzenmacher, Richa, Sitaraman, "The Power of Two Random Choices: A Survey of
 * Techniques and Results", 2001.)
 *
 * A draw is a number up to the sum of weights, that sum included as in the kernel,
 * which leaves the first destination one chance more.
 */
#pragma once

/* In a map, where the verifier asks nothing of sums. */
struct twos {
	__u64 total;
	__s64 draw[2];
	struct candidate choice[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct twos);
} twos_map SEC(".maps");

struct twos_walk {
	const struct view *view;
	struct twos *twos;
};

static long twos_total_step(__u32 i, struct twos_walk *w)
{
	struct entry *e = entry_get(w->view, i);

	if (e && entry_usable(e))
		w->twos->total += e->weight;
	return 0;
}

static __always_inline void twos_draw(__s64 *draw, struct candidate *choice,
				      const struct candidate *c)
{
	*draw -= c->weight;
	if (*draw <= 0 && choice->index < 0)
		*choice = *c;
}

static long twos_step(__u32 i, struct twos_walk *w)
{
	struct twos *t = w->twos;
	struct candidate c = {};

	if (!candidate_read(w->view, i, &c))
		return 0;
	c.load = connections(&c);
	twos_draw(&t->draw[0], &t->choice[0], &c);
	twos_draw(&t->draw[1], &t->choice[1], &c);
	return t->choice[0].index >= 0 && t->choice[1].index >= 0;
}

static __always_inline int twos_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	__u32 zero = 0;
	struct twos *t = bpf_map_lookup_elem(&twos_map, &zero);
	struct twos_walk w = {.view = v, .twos = t};

	if (!t)
		return -REASON_NO_DESTINATION;
	t->total = 0;
	bpf_loop(v->count, twos_total_step, &w, 0);
	if (!t->total)
		return -REASON_NO_DESTINATION;
	for (int k = 0; k < 2; k++) {
		t->draw[k] = bpf_get_prandom_u32() % (t->total + 1);
		t->choice[k].index = -1;
	}
	bpf_loop(v->count, twos_step, &w, 0);
	if (t->choice[1].index >= 0 && lighter(&t->choice[1], &t->choice[0]))
		return t->choice[1].index;
	return t->choice[0].index < 0 ? -REASON_NO_DESTINATION : t->choice[0].index;
}
