/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The firewall mark of a packet, by the rules of abi_mark.h. Nothing is looked
 * up where there is no rule. */
#pragma once

#include "work.h"

struct mark_walk {
	const struct pkt *pkt;
	__u32 first;
	__u32 mark;
};

static __always_inline bool rule_takes_port(const struct mark_rule *r, const struct pkt *p)
{
	__u16 port = bpf_ntohs(p->dport);

	if (!r->ranges)
		return true;
	if (p->bare)
		return false;
	for (int i = 0; i < MAX_MARK_PORTS && i < r->ranges; i++)
		if (port >= r->port[i].low && port <= r->port[i].high)
			return true;
	return false;
}

static __always_inline bool rule_takes(const struct mark_rule *r, const struct pkt *p)
{
	if (r->proto && r->proto != p->proto)
		return false;
	if ((p->saddr.q[0] ^ r->source.q[0]) & r->source_mask.q[0] ||
	    (p->saddr.q[1] ^ r->source.q[1]) & r->source_mask.q[1])
		return false;
	return rule_takes_port(r, p);
}

static long mark_step(__u32 i, struct mark_walk *w)
{
	__u32 index = w->first + i;
	__u64 *place = bpf_map_lookup_elem(&mark_places, &index);
	struct mark_rule *r;

	if (!place)
		return 1;
	index = *place;
	r = bpf_map_lookup_elem(&mark_rules, &index);
	if (!r)
		return 1;
	if (!rule_takes(r, w->pkt))
		return 0;
	w->mark = r->mark;
	return 1;
}

/*
 * The mark that the rules give a packet, 0 none. What was read belongs to one
 * generation: if the word has moved meanwhile, an edit came between, and the
 * rules are read again. A function of its own to the verifier too.
 */
__noinline __u32 mark_classify(const struct pkt *p)
{
	struct settings *set = settings_get();

	if (!set || !p)
		return 0;
	for (int tries = 0; tries < 3; tries++) {
		__u64 word = READ_ONCE(set->marks);
		struct mark_key key = {
			.bits = MARK_KEY_BITS + (p->family == FAMILY_V6 ? 128 : 32),
			.generation = word >> 32,
			.family = p->family,
		};
		struct mark_walk w = {.pkt = p};
		struct mark_run *run;

		if (!(__u32)word)
			return 0;
		__builtin_memcpy(key.addr, p->daddr.b, sizeof(key.addr));
		run = bpf_map_lookup_elem(&mark_trie, &key);
		if (run) {
			w.first = run->first;
			bpf_loop(run->count, mark_step, &w, 0);
		}
		barrier();
		if (READ_ONCE(set->marks) == word)
			return w.mark;
	}
	return 0;
}
