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
 * and a pass lies between. The template knows how many it holds; a connection knows
 * how wide the network was (conn.control), which is all it takes to find its template
 * again: by that network, the service and the destination. Where the address does not
 * say it, as the mask is no prefix or there is a Call-ID, a note does (leash_notes). So
 * nothing an edit of the service does keeps a count from coming back to zero. But a
 * service slot that is given to another service tells nothing about the one before, and
 * templates of that one hold nothing any more. And of two templates of one network to
 * one destination, of which one is retired, that one is told first.
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
					    __u32 now, __u64 hash, __u32 group,
					    const __u8 family)
{
	struct birth_lock *lock = birth_lock_get(hash);
	bool holds = dst_service(d), done;
	union life next = {.gen = seen.gen};
	__u32 dst = t->dst;
	struct call_key call = {
		.client = *conn_key(t), .vaddr = t->vaddr, .proto = t->proto, .family = family,
		.dst = dst,
	};

	if (!lock)
		return false;
	bpf_spin_lock(&lock->lock);
	holds = holds && t->nexthop_stamp;
	if (holds)
		next = life_over(seen, now) ? life_held(seen, now) : seen;
	done = CAS(conn_life(t), seen.word, next.word) == seen.word;
	if (done && next.expires != seen.expires && holds)
		template_set_seconds(t, HELD_SECONDS);
	bpf_spin_unlock(&lock->lock);
	if (!done || holds)
		return false;
	conn_uncount(d, dst, TEMPLATE, seen, group, family);
	if (call.client >> 32 & 0xffff)
		bpf_map_delete_elem(&call_ids, &call);
	return true;
}
