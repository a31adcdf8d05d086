/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What lblc and lblcr remember of addresses that packets were sent to: each service
 * the destination, or the set of them, that an address is at home with.
 *
 * Memories lie in hashes that take memory as they fill. Which service one is of
 * says its era: the word that the service keeps as its scheduler's memory, drawn
 * when the scheduler came to it. With the scheduler goes the era, and nobody finds its
 * memories again.
 *
 * As in the kernel a memory lapses at the first of the service's half-hourly checks
 * at which it was unused for as long as the setting says. Whether there was such a
 * check follows from the era; the timer, once a minute, only gives the memory back.
 */
#pragma once

#include "base.h"

#define LOCALITIES 65536
#define LOCALITY_SETS 16384
#define LOCALITY_MEMBERS 64 /* of a set; a power of two */

#define LOCALITY_CHECK_SECONDS (30 * 60)
#define LOCALITY_TICK_SECONDS 60
/* When there are more, those unused for so long go first. */
#define LOCALITY_CROWD 16384
#define LOCALITY_IDLE_SECONDS (6 * 60)

/* era: a random number << 32 | jiffies when it began; 0 not begun */
struct locality_key {
	__u64 era;
	union addr addr;
};

struct locality {
	__u32 used; /* jiffies */
	__u32 dst;
};

struct members {
	__u32 used;    /* jiffies */
	__u32 changed; /* jiffies when a member came or went */
	__u32 size;
	__u32 dst[LOCALITY_MEMBERS];	/* who came last stands last */
};

struct locality_set {
	struct bpf_spin_lock lock; /* of what changes the members */
	struct members is;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LOCALITIES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct locality_key);
	__type(value, struct locality);
} localities SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LOCALITY_SETS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct locality_key);
	__type(value, struct locality_set);
} locality_sets SEC(".maps");

static __always_inline __u32 locality_jiffies(enum sysctl setting)
{
	struct settings *set = settings_get();

	return set ? set->sysctl[setting] * conf_hz : 0;
}

/* Whether a memory that was last used then has lapsed. */
static __always_inline bool locality_lapsed(__u64 era, __u32 used, __u32 expiration, __u32 now)
{
	__u32 check = now - (now - (__u32)era) % (LOCALITY_CHECK_SECONDS * conf_hz);

	return (__s32)(check - (used + expiration)) >= 0;
}

/* What the timer does once a minute. */
struct locality_walk {
	__u32 now;
	__u32 expiration;
	__u32 count;
	__u32 crowd; /* so many are to go for want of room */
};

/* Whether a memory is to go. */
static __always_inline bool locality_goes(const struct locality_key *key, __u32 used,
					  struct locality_walk *w)
{
	if (locality_lapsed(key->era, used, w->expiration, w->now))
		return true;
	w->count++;
	if (!w->crowd || w->now - used < LOCALITY_IDLE_SECONDS * conf_hz)
		return false;
	w->crowd--;
	return true;
}

static long locality_tidy(void *map, struct locality_key *key, struct locality *l,
			  struct locality_walk *w)
{
	if (locality_goes(key, READ_ONCE(l->used), w))
		bpf_map_delete_elem(&localities, key);
	return 0;
}

static long locality_set_tidy(void *map, struct locality_key *key, struct locality_set *l,
			      struct locality_walk *w)
{
	if (locality_goes(key, READ_ONCE(l->is.used), w))
		bpf_map_delete_elem(&locality_sets, key);
	return 0;
}

/* How many of so many are to go for want of room. */
static __always_inline __u32 locality_excess(__u32 count)
{
	__u32 excess = count > LOCALITY_CROWD ? (count - LOCALITY_CROWD) / 3 * 4 : 0;

	return excess < LOCALITY_CROWD / 2 ? excess : LOCALITY_CROWD / 2;
}

static __always_inline void localities_tick(struct sweep *s, __u32 now)
{
	struct locality_walk w = {.now = now};

	if (now - s->locality_stamp < LOCALITY_TICK_SECONDS * conf_hz)
		return;
	s->locality_stamp = now;
	w.crowd = locality_excess(s->localities);
	w.expiration = locality_jiffies(SYSCTL_LBLC_EXPIRATION);
	bpf_for_each_map_elem(&localities, locality_tidy, &w, 0);
	s->localities = w.count;
	w.count = 0;
	w.crowd = locality_excess(s->locality_sets);
	w.expiration = locality_jiffies(SYSCTL_LBLCR_EXPIRATION);
	bpf_for_each_map_elem(&locality_sets, locality_set_tidy, &w, 0);
	s->locality_sets = w.count;
}
