/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What connections tell the templates that hold them: that they have ended, or were
 * answered. Why CPUs do not get in each other's way stands in template.h. */
#pragma once

#include "template.h"

/* What remains of a connection that ends. */
struct remains {
	struct conn conn;
	union addr caddr; /* IPv6 */
};

/* Where a connection's template is: its flow, of which the VIP's port says
 * nothing, and its network. */
struct leash {
	struct flow flow;
	union addr net;
	__u32 dst;
	__u32 now;
};

/* Which template a connection holds, where its own address does not say so: by a mask
 * that is no prefix, and by Call-ID. Where there is no room, it holds none. */
struct leash_note {
	union addr net;
	__u16 port; /* a digest of the Call-ID, 0 none */
	__u16 pad[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow); /* of the client's packets, rport: the family */
	__type(value, struct leash_note);
} leash_notes SEC(".maps");

static __always_inline void leash_key(struct flow *key, const struct conn *c, const __u8 family)
{
	key->key = flow_key(c->caddr, c->cport, c->vport);
	key->vaddr = c->vaddr;
	key->rport = family;
	key->proto = c->proto;
	key->reply = false;
}

/* What is known of a connection that has ended is needed no more, so the key lies there:
 * the stack is small. */
static __always_inline void leash_forget(struct remains *r, const __u8 family)
{
	struct flow *key = (struct flow *)&r->caddr;

	if (r->conn.control != CONTROL_NOTED)
		return;
	leash_key(key, &r->conn, family);
	bpf_map_delete_elem(&leash_notes, key);
}

/* The network of a connection's template, and of a Call-ID the port. */
static __always_inline bool leash_network(struct leash *l, const struct conn *child,
					  const union addr *caddr, __u16 *port, const __u8 family)
{
	struct leash_note *n;

	*port = 0;
	if (child->control != CONTROL_NOTED) {
		if (family == FAMILY_V6)
			l->net = *caddr;
		else
			l->net.w[0] = child->caddr;
		addr_truncate(&l->net, child->control - 1, family);
		return true;
	}
	leash_key(&l->flow, child, family);
	n = bpf_map_lookup_elem(&leash_notes, &l->flow);
	if (!n)
		return false;
	l->net = n->net;
	*port = n->port;
	return true;
}

static __always_inline bool leash_make(struct leash *l, const struct conn *child,
				       const union addr *caddr, const __u8 family)
{
	struct dst *d = dst_get(child->dst);
	struct service *s = d ? dst_service(d) : NULL;
	union addr mark;
	__u16 port;

	if (!s || !child->control || !leash_network(l, child, caddr, &port, family))
		return false;
	l->flow.key = flow_key(addr_digest(&l->net, family), port, 0);
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
	l->now = now_jiffies();
	return true;
}

/* What a connection tells its template: that it has ended, also before its time, or
 * was answered. */
enum telling { TELL_END, TELL_DROPPED, TELL_ASSURED };

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
	if (what == TELL_ASSURED) {
		next.state |= TEMPLATE_ASSURED;
		return CAS(conn_life(t), life.word, next.word) == life.word;
	}
	t->nexthop_stamp--;
	if (what == TELL_DROPPED && !t->nexthop_stamp && !(life.state & TEMPLATE_ASSURED)) {
		next.expires = l->now; /* as in IPVS, nobody was ever answered by it */
		CAS(conn_life(t), life.word, next.word);
	}
	return true;
}

struct tell_walk {
	struct leash leash;
	__u64 hash;
	__u16 buckets; /* to be looked at */
	__u8 what;     /* enum telling; packed, as all this is on the stack */
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

/* The buckets of a client one after the other; and all of them again, as of two
 * templates that it can be the retired one is the older. */
static __always_inline long tell_step(__u32 i, struct tell_walk *w, const __u8 family)
{
	__u8 as = i < w->buckets ? CONN_RETIRED : CONN_LIVE;

	if (i >= w->buckets)
		i -= w->buckets;
	w->told = bucket_tell(client_bucket(w->hash, i, family), w, as, family);
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

/* Ends a connection whose life was l, and tells its template how. It still counts.
 * False if another CPU was first. */
static __always_inline bool conn_part(struct conn *c, struct conn_ends *ends, union life l,
				      enum telling what, struct remains *r, const __u8 family)
{
	r->conn = *c;
	if (family == FAMILY_V6)
		r->caddr = ends->caddr;
	if (!conn_end(c, l))
		return false;
	if (r->conn.control) {
		conn_tell(&r->conn, &r->caddr, what, family);
		leash_forget(r, family);
	}
	return true;
}

/* The same, and takes it out of the counts. */
static __always_inline bool conn_finish(struct conn *c, struct conn_ends *ends, struct dst *d,
					union life l, __u32 group, enum telling what,
					struct remains *r, const __u8 family)
{
	if (!conn_part(c, ends, l, what, r, family))
		return false;
	conn_uncount(d, r->conn.dst, 0, l, group, family);
	return true;
}

/* Ends what lies in a slot and has the life l: a connection, or a template unless it
 * holds some. */
static __always_inline bool slot_finish(struct bucket6 *b, __u32 place, struct dst *d,
					union life l, __u32 now, enum telling what,
					struct remains *r, const __u8 family)
{
	struct conn *c = &b->slot[place];
	/* the group in the overflow region is that of the client */
	__u64 hash = conn_hash(c);
	__u32 group = overflow_group(hash, family);

	if (c->proto & TEMPLATE)
		return template_expire(c, d, l, now, hash, group, family);
	return conn_finish(c, family == FAMILY_V6 ? &b->ends[place] : NULL, d, l, group, what, r,
			   family);
}
