/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Persistence templates. A template remembers which destination clients of a
 * network were given. It is a slot of the connection table like any other: its
 * client is the network with port 0, its VIP that of the service, or the mark of a
 * firewall-mark service; and its protocol has a bit that no packet's has, so no
 * packet ever meets one.
 *
 * A template holds the connections made by it: as long as there are some it does
 * not end, but stays for another minute each time its own comes. The sweep may come
 * by it before it comes by connections that have run out too; so it looks twice,
 * and a pass lies between. The template knows how many it holds; a connection knows how wide the network was (conn.control), which is
 * all it takes to find its template again: by that network, the service and the
 * destination. So nothing an edit of the service does keeps a count from coming
 * back to zero. But a service slot that is given to another service tells nothing
 * about the one before, and templates of that one hold nothing any more.
 *
 * Why it is race-free. All that changes a template after its birth, its life and
 * its count, does so under the lock of its client's births, and looks there
 * whether it is still the one that was found. So of "one more connection" and "it
 * ends, as it holds none" one comes first, and the other sees it. A connection is
 * counted before it is born and counted off after it has ended, both by the CPU
 * that did it; never below zero, so a connection whose template was given up is
 * none to another. Who has found a template meets it as it was or as it is.
 */
#pragma once

#include "find.h"

static __always_inline __u32 template_seconds(const struct conn *t)
{
	return (__u32)t->control << 16 | t->nexthop;
}

static __always_inline void template_set_seconds(struct conn *t, __u32 seconds)
{
	t->control = seconds >> 16;
	t->nexthop = seconds;
}

/* When a time of so many seconds from now is over; clocks compare no further. */
static __always_inline __u32 jiffies_after(__u32 now, __u32 seconds)
{
	__u64 span = (__u64)seconds * conf_hz;

	return now + (span > 0x7fffffff ? 0x7fffffff : span);
}

/* The first bits of an address. */
static __always_inline void addr_truncate(union addr *a, __u32 bits, const __u8 family)
{
	for (__u32 i = 0; i < (family == FAMILY_V6 ? 4 : 1); i++) {
		__u32 have = bits > i * 32 ? bits - i * 32 : 0;

		a->w[i] &= have >= 32 ? ~0 : ~bpf_htonl(~0U >> have);
	}
}

/* The mark of a firewall-mark service where others have their VIP. */
static __always_inline void addr_mark(union addr *a, __u32 mark)
{
	a->q[0] = bpf_htonl(mark);
	a->q[1] = 0;
}

/* The service that a destination was made for, if its slot is still that one's. */
static __always_inline struct service *dst_service(const struct dst *d)
{
	__u32 slot = d->svc;
	struct service *s = bpf_map_lookup_elem(&services, &slot);

	return s && s->incarnation == d->incarnation ? s : NULL;
}

/* Where a connection's template is: its flow, of which the VIP's port says
 * nothing, and its network. */
struct leash {
	struct flow flow;
	union addr net;
	__u32 dst;
};

static __always_inline bool leash_make(struct leash *l, const struct conn *child,
				       const union addr *caddr, const __u8 family)
{
	struct dst *d = dst_get(child->dst);
	struct service *s = d ? dst_service(d) : NULL;
	union addr mark;

	if (!s || !child->control)
		return false;
	if (family == FAMILY_V6)
		l->net = *caddr;
	else
		l->net.w[0] = child->caddr;
	addr_truncate(&l->net, child->control - 1, family);
	l->flow.key = flow_key(addr_digest(&l->net, family), 0, 0);
	l->flow.rport = 0;
	l->flow.reply = false;
	l->flow.proto = child->proto | TEMPLATE;
	l->flow.vaddr = child->vaddr;
	if (s->key.fwmark) {
		addr_mark(&mark, s->key.fwmark);
		l->flow.proto = TEMPLATE;
		l->flow.vaddr = addr_digest(&mark, family);
	}
	l->dst = child->dst;
	return true;
}

/* What a connection tells its template. */
enum telling { TELL_END, TELL_ASSURED };

/* Tells the template in a slot, if it is the one and as retired as wanted. The
 * caller has the lock. */
static __always_inline bool slot_tell(struct bucket6 *b, int i, const struct leash *l, __u8 as,
				      enum telling what, const __u8 family)
{
	struct conn *t = &b->slot[i];
	union life life = life_read(t), next = life;

	if ((life.flags & CONN_RETIRED) != as || t->proto != l->flow.proto ||
	    (*conn_key(t) ^ l->flow.key) & CLIENT_MASK || t->vaddr != l->flow.vaddr ||
	    t->dst != l->dst || !t->nexthop_stamp ||
	    (family == FAMILY_V6 && !addr_equal(&b->ends[i].caddr, &l->net)))
		return false;
	if (what == TELL_END) {
		t->nexthop_stamp--;
		return true;
	}
	next.state |= TEMPLATE_ASSURED;
	return CAS(conn_life(t), life.word, next.word) == life.word;
}

struct tell_walk {
	struct leash leash;
	__u64 hash;
	__u32 buckets; /* to be looked at */
	enum telling what;
	bool told;
};

static __always_inline bool bucket_tell(__u32 bucket, const struct tell_walk *w, __u8 as,
					const __u8 family)
{
	struct bucket6 *b = bucket_get(bucket, family);
	struct birth_lock *lock = birth_lock_get(w->hash);
	bool told = false;

	if (!b || !lock)
		return false;
	bpf_spin_lock(&lock->lock);
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		if (!told && slot_tell(b, i, &w->leash, as, w->what, family))
			told = true;
	bpf_spin_unlock(&lock->lock);
	return told;
}

/* The buckets of a client one after the other, the two choices first; and all of
 * them again, as of two templates that it can be the retired one is the older. */
static __always_inline long tell_step(__u32 i, struct tell_walk *w, const __u8 family)
{
	__u8 as = i < w->buckets ? CONN_RETIRED : CONN_LIVE;
	__u32 bucket;

	if (i >= w->buckets)
		i -= w->buckets;
	if (i == 0)
		bucket = bucket_first(w->hash, family);
	else if (i == 1)
		bucket = bucket_second(w->hash, family);
	else
		bucket = overflow_bucket(overflow_group(w->hash, family), i - 2, family);
	w->told = bucket_tell(bucket, w, as, family);
	return w->told;
}

static long tell_step4(__u32 i, struct tell_walk *w)
{
	return tell_step(i, w, FAMILY_V4);
}

static long tell_step6(__u32 i, struct tell_walk *w)
{
	return tell_step(i, w, FAMILY_V6);
}

static __always_inline int template_tell(const struct conn *child, const union addr *caddr,
					 int what, const __u8 family)
{
	struct tell_walk w = {.what = what, .buckets = 2};
	__u32 group, *hint;

	if (!leash_make(&w.leash, child, caddr, family))
		return 0;
	w.hash = client_hash(&w.leash.flow);
	group = overflow_group(w.hash, family);
	hint = bpf_map_lookup_elem(&overflow_hints, &group);
	if (hint && READ_ONCE(*hint))
		w.buckets += OVERFLOW_RUN;
	bpf_loop(2 * w.buckets, family == FAMILY_V6 ? tell_step6 : tell_step4, &w, 0);
	return w.told;
}

/* Tells the template of a connection; of one that has ended, by a copy of it.
 * Functions of their own for the verifier's sake. */
__noinline int template_tell4(const struct conn *child, int what)
{
	return child ? template_tell(child, NULL, what, FAMILY_V4) : 0;
}

__noinline int template_tell6(const struct conn *child, const union addr *caddr, int what)
{
	return child && caddr ? template_tell(child, caddr, what, FAMILY_V6) : 0;
}

static __always_inline void conn_tell(const struct conn *child, const union addr *caddr,
				      enum telling what, const __u8 family)
{
	if (family == FAMILY_V6)
		template_tell6(child, caddr, what);
	else
		template_tell4(child, what);
}

/* What remains of a connection that ends. */
struct remains {
	struct conn conn;
	union addr caddr; /* IPv6 */
};

/* Ends a connection whose life was l, and tells its template. False if another CPU
 * was first. */
static __always_inline bool conn_finish(struct conn *c, struct conn_ends *ends, struct dst *d,
					union life l, __u32 group, struct remains *r,
					const __u8 family)
{
	r->conn = *c;
	if (family == FAMILY_V6)
		r->caddr = ends->caddr;
	if (!conn_end(c, d, l, group))
		return false;
	if (r->conn.control)
		conn_tell(&r->conn, &r->caddr, TELL_END, family);
	return true;
}

/* Makes a template that was found valid last its time again, for one connection
 * more if it is to hold it. False: it has ended or was retired meanwhile. */
static __always_inline bool template_renew(struct conn *t, union life seen,
					   struct birth_lock *lock, __u32 now, bool holds)
{
	union life old, next;
	bool renewed = false;

	bpf_spin_lock(&lock->lock);
	old = life_read(t);
	if (old.gen == seen.gen && (old.flags & CONN_RETIRED) == CONN_LIVE) {
		next = old;
		next.expires = jiffies_after(now, template_seconds(t));
		next.state &= ~TEMPLATE_DUE;
		renewed = CAS(conn_life(t), old.word, next.word) == old.word;
		if (renewed && holds)
			t->nexthop_stamp++;
	}
	bpf_spin_unlock(&lock->lock);
	return renewed;
}

/* Sees to it that a template is found no more. It stays as long as it would have,
 * with what it holds. */
static __always_inline void template_retire(struct conn *t, union life seen,
					    struct birth_lock *lock)
{
	union life old, next;

	bpf_spin_lock(&lock->lock);
	old = life_read(t);
	if (old.gen == seen.gen && (old.flags & CONN_RETIRED) == CONN_LIVE) {
		next = old;
		next.flags |= CONN_RETIRED;
		CAS(conn_life(t), old.word, next.word);
	}
	bpf_spin_unlock(&lock->lock);
}

/* The life of a template that has run out while it holds connections: due, and a
 * pass later another minute, however long ago it ran out. */
static __always_inline union life life_held(union life l, __u32 now)
{
	__u32 minute = HELD_SECONDS * conf_hz;

	if (l.state & TEMPLATE_DUE)
		l.expires += ((now - l.expires) / minute + 1) * minute;
	l.state ^= TEMPLATE_DUE;
	return l;
}

/* Ends a template that has run out, unless it holds connections. True: it has
 * ended. */
static __always_inline bool template_expire(struct conn *t, struct dst *d, union life seen,
					    __u32 now, __u64 hash, __u32 group)
{
	struct birth_lock *lock = birth_lock_get(hash);
	bool holds = dst_service(d), done;
	union life next = {.gen = seen.gen};
	__u32 dst = t->dst;

	if (!lock)
		return false;
	bpf_spin_lock(&lock->lock);
	holds = holds && t->nexthop_stamp;
	if (holds)
		next = life_held(seen, now);
	done = CAS(conn_life(t), seen.word, next.word) == seen.word;
	if (done && next.expires != seen.expires && holds)
		template_set_seconds(t, HELD_SECONDS);
	bpf_spin_unlock(&lock->lock);
	if (!done || holds)
		return false;
	conn_uncount(d, dst, TEMPLATE, seen, group);
	return true;
}
