/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Locality-based least connection with replication: as lblc, but what is asked for
 * much gets more than one home. An address has a set of destinations, and wlc
 * chooses among them; if the one it chooses is overloaded while another outside is
 * half idle, wlc's choice among all joins the set. A set that did not change for
 * lblcr_expiration loses its busiest member, so that it shrinks when the rush is
 * over. (Linux Virtual Server, "Job Scheduling Algorithms".)
 *
 * Sets are bounded: who joins a full one replaces who has been in it for longest.
 * Members that were removed from the service stay, as they may come back; when a set
 * shrinks they are as busy as by the weight they had.
 *
 * Memory: as lblc.
 */
#pragma once

struct lblcr_walk {
	const struct view *view;
	struct locality_set *set;
	struct locality_work *work;
};

#define NOT_MEMBER LOCALITY_MEMBERS

/* The place of a destination in a set, or NOT_MEMBER. It goes through memory, so
 * that the verifier does not follow each place there could be. */
static __always_inline __u32 set_find(const struct locality_set *set, __u32 dst,
				      struct locality_work *r)
{
	WRITE_ONCE(r->place, NOT_MEMBER);
#pragma clang loop unroll(disable)
	for (int i = 0; i < LOCALITY_MEMBERS && i < set->is.size; i++)
		if (set->is.dst[i] == dst) {
			WRITE_ONCE(r->place, i);
			break;
		}
	return READ_ONCE(r->place);
}

/* Order of load per weight: below zero if a is less busy than b. */
static __always_inline int busier(const struct candidate *a, const struct candidate *b)
{
	__u64 left = a->load * b->weight, right = b->load * a->weight;

	return left < right ? -1 : left > right;
}

static __always_inline bool member_wins(const struct member *m, const struct member *best,
					int order)
{
	return best->c.index < 0 || order < 0 || (!order && m->age > best->age);
}

/* Reads how busy a destination of some weight is. */
static __always_inline bool member_read(struct member *m, __u32 dst, __u32 weight)
{
	struct dst *d = bpf_map_lookup_elem(&dsts, &dst);

	if (!d || !weight)
		return false;
	m->c.weight = weight;
	m->c.active = READ_ONCE(d->active);
	m->c.inactive = READ_ONCE(d->inactive);
	m->c.load = connections(&m->c);
	return true;
}

static long lblcr_step(__u32 i, struct lblcr_walk *w)
{
	struct entry *e = entry_get(w->view, i);
	struct locality_work *r = w->work;
	struct member m = {};

	m.age = e ? set_find(w->set, e->dst, r) : NOT_MEMBER;
	if (m.age >= NOT_MEMBER)
		return 0;
	r->seen |= 1ull << m.age;
	m.c.index = i;
	if (!member_read(&m, e->dst, e->weight))
		return 0;
	if (entry_usable(e) && member_wins(&m, &r->least, busier(&m.c, &r->least.c)))
		r->least = m;
	if (member_wins(&m, &r->most, busier(&r->most.c, &m.c)))
		r->most = m;
	return 0;
}

#define NOBODY 0xffffffff

#define NOBODY 0xffffffff

/* Takes the member at a place out of a set, and then another in; either may be
 * none. One that is in already stays where it is. */
static __always_inline void set_edit(struct locality_set *set, struct locality_work *r, __u32 now)
{
	bpf_spin_lock(&set->lock);
	if (r->joins != NOBODY) {
		__u32 known = set_find(set, r->joins, r);

		if (known != NOT_MEMBER && known != r->leaves)
			WRITE_ONCE(r->joins, NOBODY);
		else if (set->is.size >= LOCALITY_MEMBERS && r->leaves == NOT_MEMBER)
			WRITE_ONCE(r->leaves, 0);
	}
	barrier();
	if (READ_ONCE(r->leaves) < set->is.size) {
#pragma clang loop unroll(disable)
		for (int i = 0; i < LOCALITY_MEMBERS - 1; i++)
			if (i >= READ_ONCE(r->leaves)) {
				WRITE_ONCE(set->is.dst[i], set->is.dst[i + 1]);
			}
		set->is.size--;
		set->is.changed = now;
	}
	if (READ_ONCE(r->joins) != NOBODY) {
		set->is.dst[set->is.size & (LOCALITY_MEMBERS - 1)] = r->joins;
		set->is.size++;
		set->is.changed = now;
	}
	bpf_spin_unlock(&set->lock);
}

/* Lets a member that is gone from the service be the busiest. */
static long gone_step(__u32 i, struct lblcr_walk *w)
{
	struct locality_work *r = w->work;
	struct member m = {.age = i};
	struct dst_conf *c;

	if (i >= LOCALITY_MEMBERS)
		return 1;
	c = dst_conf_get(w->set->is.dst[i]);
	if (!c || r->seen >> i & 1 || !member_read(&m, w->set->is.dst[i], c->weight))
		return 0;
	if (member_wins(&m, &r->most, busier(&r->most.c, &m.c)))
		r->most = m;
	return 0;
}

/* The place of the member that a set is to lose as it was unchanged for long. */
static __noinline __u32 set_excess(struct locality_set *set, struct locality_work *r, __u32 now)
{
	struct lblcr_walk w = {.set = set, .work = r};
	__u32 size = READ_ONCE(set->is.size);
	__u32 due = READ_ONCE(set->is.changed) + locality_jiffies(SYSCTL_LBLCR_EXPIRATION);

	if (size < 2 || (__s32)(now - due) <= 0)
		return NOT_MEMBER;
	bpf_loop(size, gone_step, &w, 0);
	return r->most.c.index < 0 ? NOT_MEMBER : r->most.age;
}

/* The position of the member to take, or -1 if wlc has to choose among all. */
static __noinline int set_choose(const struct view *v, struct locality_set *set,
				 struct locality_work *r)
{
	struct lblcr_walk w = {.view = v, .set = set, .work = r};
	int position;

	r->seen = 0;
	r->least.c.index = r->most.c.index = -1;
	bpf_loop(v->count, lblcr_step, &w, 0);
	position = r->least.c.index;
	return position >= 0 && !home_crowded(v, position) ? position : -1;
}

/* The set of the packet's address, unless it has lapsed. */
static __always_inline struct locality_set *set_get(const struct locality_work *r, __u32 now)
{
	struct locality_set *set = bpf_map_lookup_elem(&locality_sets, &r->key);

	if (!set)
		return NULL;
	if (locality_lapsed(r->key.era, READ_ONCE(set->is.used),
			    locality_jiffies(SYSCTL_LBLCR_EXPIRATION), now)) {
		bpf_map_delete_elem(&locality_sets, &r->key);
		return NULL;
	}
	WRITE_ONCE(set->is.used, now);
	return set;
}

static __always_inline int lblcr_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	__u32 now = now_jiffies();
	struct locality_work *r = locality_work(s, p, now);
	struct locality_set *set;
	struct entry *e;
	int position = -1;

	if (!r)
		return -REASON_NO_DESTINATION;
	r->joins = NOBODY;
	set = set_get(r, now);
	if (set)
		position = set_choose(v, set, r);
	if (position < 0) {
		position = home_choose(s, v);
		e = position < 0 ? NULL : entry_get(v, position);
		if (e)
			r->joins = e->dst;
	}
	if (set) {
		WRITE_ONCE(r->leaves, set_excess(set, r, now));
		set_edit(set, r, now);
	} else if (r->joins != NOBODY) {
		r->fresh.used = r->fresh.changed = now;
		r->fresh.size = 1;
		r->fresh.dst[0] = r->joins;
		/* without room it is chosen again the next time */
		bpf_map_update_elem(&locality_sets, &r->key, &r->unlocked, BPF_NOEXIST);
	}
	return position;
}
