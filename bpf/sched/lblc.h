/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Locality-based least connection: an address stays with the destination that wlc
 * once chose for it, so that a cache has what was asked for before; unless that
 * destination is out, or overloaded while another is half idle: then wlc chooses
 * anew. For clusters of caches, whose service is that of many addresses.
 * (Linux Virtual Server, "Job Scheduling Algorithms".)
 *
 * Memory: the era of the service's localities (locality.h).
 */
#pragma once

/* It begins here only if user space could not read the clock. */
static __always_inline __u64 locality_era(struct service *s, __u32 now)
{
	__u64 era = READ_ONCE(s->sched_state), fresh, won;

	if (era)
		return era;
	fresh = (__u64)(bpf_get_prandom_u32() | 1) << 32 | now;
	won = CAS(&s->sched_state, 0, fresh);
	return won ? won : fresh;
}

/* A member of a set; of equally good ones the newest wins. */
struct member {
	struct candidate c;
	__u32 age; /* place in the set */
};

/* What a choice needs at hand. It lies in a map: there the verifier asks nothing of
 * sums, and the stack is small. */
struct locality_work {
	struct locality_key key;
	struct locality home; /* to be remembered */
	/* lblcr */
	struct member least, most;
	__u64 seen;  /* members that are destinations, a bit by place */
	__u32 place; /* in the set, of what was looked for */
	__u32 leaves, joins; /* the set: a place in it, a destination */
	__u32 unlocked; /* and what follows it: a set to be remembered */
	struct members fresh;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locality_work);
} locality_works SEC(".maps");

/* With the key of the packet's address filled in. */
static __always_inline struct locality_work *locality_work(struct service *s,
							   const struct pkt *p, __u32 now)
{
	__u32 zero = 0;
	struct locality_work *r = bpf_map_lookup_elem(&locality_works, &zero);

	if (!r)
		return NULL;
	r->key.era = locality_era(s, now);
	r->key.addr = p->daddr;
	if (p->family != FAMILY_V6) {
		r->key.addr.w[1] = 0;
		r->key.addr.q[1] = 0;
	}
	return r;
}

struct home_walk {
	const struct view *view;
	__u32 dst;
	__s32 position; /* of dst */
	__u32 idle;	/* there is a destination not half as busy as its weight */
};

/* Out of the loop that looks for one destination. */
static long home_step(__u32 i, struct home_walk *w)
{
	struct entry *e = entry_get(w->view, i);

	if (!e || e->dst != w->dst)
		return 0;
	w->position = i;
	return 1;
}

static long idle_step(__u32 i, struct home_walk *w)
{
	struct entry *e = entry_get(w->view, i);
	struct dst *d = e ? bpf_map_lookup_elem(&dsts, &e->dst) : NULL;

	if (!d || (__u64)READ_ONCE(d->active) * 2 >= e->weight)
		return 0;
	w->idle = 1;
	return 1;
}

/* Whether a destination has more than it should while another is half idle. */
static __noinline bool home_crowded(const struct view *v, __u32 position)
{
	struct home_walk w = {.view = v};
	struct entry *e = entry_get(v, position);
	struct dst *d = e ? bpf_map_lookup_elem(&dsts, &e->dst) : NULL;

	if (!d || READ_ONCE(d->active) <= e->weight)
		return false;
	bpf_loop(v->count, idle_step, &w, 0);
	return w.idle;
}

/* The position of a destination that may go on to be an address's home, or -1. */
static __noinline int home_find(const struct view *v, __u32 dst)
{
	struct home_walk w = {.view = v, .dst = dst, .position = -1};
	struct entry *e;

	bpf_loop(v->count, home_step, &w, 0);
	if (w.position < 0)
		return -1;
	e = entry_get(v, w.position);
	return e && e->weight && !home_crowded(v, w.position) ? w.position : -1;
}

static __noinline int home_choose(struct service *s, const struct view *v)
{
	return wlc_pick(s, v, NULL);
}

static __always_inline int lblc_pick(struct service *s, const struct view *v, const struct pkt *p)
{
	__u32 now = now_jiffies(), expiration = locality_jiffies(SYSCTL_LBLC_EXPIRATION);
	struct locality_work *r = locality_work(s, p, now);
	struct locality *l;
	struct entry *e;
	int position;

	if (!r)
		return -REASON_NO_DESTINATION;
	l = bpf_map_lookup_elem(&localities, &r->key);
	if (l && !locality_lapsed(r->key.era, READ_ONCE(l->used), expiration, now)) {
		WRITE_ONCE(l->used, now);
		position = home_find(v, READ_ONCE(l->dst));
		if (position >= 0)
			return position;
	}
	position = home_choose(s, v);
	if (position < 0)
		return position;
	e = entry_get(v, position);
	if (!e)
		return -REASON_NO_DESTINATION;
	if (l) {
		WRITE_ONCE(l->dst, e->dst);
		WRITE_ONCE(l->used, now);
		return position;
	}
	r->home.used = now;
	r->home.dst = e->dst;
	/* without room it is chosen again the next time */
	bpf_map_update_elem(&localities, &r->key, &r->home, BPF_NOEXIST);
	return position;
}
