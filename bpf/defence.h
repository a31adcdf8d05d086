/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What is done when the table fills up: drop_entry, drop_packet and secure_tcp, which
 * are off (0), automatic (1, and 2 while they are at work), or always at work (3).
 *
 * The kernel looks at the machine's free memory; here all memory is taken beforehand,
 * so what counts is that of the free slots. It is short when of either family less is
 * free than amemthresh pages; and, lest a small table be short of it for ever, less
 * than a quarter of the table. The timer judges once a second, and an edit of the
 * settings at once, by what its last pass over the table counted.
 */
#pragma once

#include "conn.h"

#define PAGE_BYTES 4096
#define DEFENCE_PART 4 /* of a table: the part that need not be free */

enum defence_mode { DEFENCE_READY = 1, DEFENCE_AT_WORK = 2 }; /* 3 is always */

#define SPARE_MOST 7 /* packets, as far as they are counted (enum conn_packets) */

struct defence {
	__s32 drop_rate; /* of packets, one in so many; 0 none */
	__s32 drop_turn; /* and so many until the next */
	__u32 stamp;	 /* jiffies when it was last judged; of the table's clock */
	__u32 swept;	 /* likewise, when a sweep at once last dropped connections */
	__u32 used[2];	 /* slots of IPv4 and IPv6, at the last count */
	/* the same in the pass under way: of the timer, and of who does not wait for it */
	__u32 ticking[2], sweeping[2];
	__s32 turn[SPARE_MOST + 1]; /* of idle connections with so many packets, until one goes */
};

MAPPED(defence_map, struct defence, 1);

static __always_inline struct defence *defence_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&defence_map, &zero);
}

/* Whether a defence is at work. */
static __always_inline bool defence_works(const struct settings *set, enum sysctl setting)
{
	return READ_ONCE(set->sysctl[setting]) & DEFENCE_AT_WORK;
}

/* One family's part in how short memory is: the pages that there are to be and of them
 * those that are missing; less of the first and more of the second is worse. */
static __always_inline __u32 pages_missing(__u64 buckets, __u32 size, __u32 used, __s32 amemthresh,
					   __u32 *wanted)
{
	__u64 bytes = buckets * size, each = size / SLOTS_PER_BUCKET;
	__u32 free = (bytes - used * each) / PAGE_BYTES;
	__u32 part = bytes / PAGE_BYTES / DEFENCE_PART;

	*wanted = amemthresh < 0 ? 0 : amemthresh;
	if (*wanted > part)
		*wanted = part;
	return free < *wanted ? *wanted - free : 0;
}

/* The automatic modes show whether they are at work. Compared and swapped, as a person
 * may set the mode in the same moment. */
static __always_inline void mode_follow(struct settings *set, enum sysctl setting, bool need)
{
	CAS(&set->sysctl[setting], need ? DEFENCE_READY : DEFENCE_AT_WORK,
	    need ? DEFENCE_AT_WORK : DEFENCE_READY);
}

/* Judges anew. Of packets the automatic mode drops the more the less is free: all of
 * them when nothing is. */
static __always_inline void defence_judge(struct defence *d, struct settings *set, __u32 now)
{
	__s32 amemthresh = set->sysctl[SYSCTL_AMEMTHRESH];
	__u32 wanted4, wanted6, missing4, missing6, rate = 0, rate6;
	__u32 mode = READ_ONCE(set->sysctl[SYSCTL_DROP_PACKET]);

	missing4 = pages_missing(conf_buckets4 + conf_overflow4, sizeof(struct bucket4),
				 d->used[0], amemthresh, &wanted4);
	missing6 = pages_missing(conf_buckets6 + conf_overflow6, sizeof(struct bucket6),
				 d->used[1], amemthresh, &wanted6);
	if (missing4)
		rate = wanted4 / missing4;
	if (missing6) {
		rate6 = wanted6 / missing6;
		rate = rate && rate < rate6 ? rate : rate6;
	}
	mode_follow(set, SYSCTL_DROP_ENTRY, rate);
	mode_follow(set, SYSCTL_DROP_PACKET, rate);
	mode_follow(set, SYSCTL_SECURE_TCP, rate);
	if (mode == 3) {
		d->drop_rate = set->sysctl[SYSCTL_AM_DROPRATE];
	} else {
		d->drop_rate = mode ? rate : 0;
		if (d->drop_rate)
			d->drop_turn = rate;
	}
	d->stamp = now;
}

/* Takes over the number of slots in use that a pass over a family's table has counted. */
static __always_inline void defence_counted(const __u8 family, __u32 *count)
{
	struct defence *d = defence_get();

	if (d)
		d->used[family == FAMILY_V6] = *count;
	*count = 0;
}

/* Once a second, judges by what is known of the table: that it is empty, or what the
 * last pass over it counted. */
static __always_inline void defence_tick(bool empty, __u32 now)
{
	struct settings *set = settings_get();
	struct defence *d = defence_get();

	if (!set || !d || now - d->stamp < conf_hz)
		return;
	if (empty)
		d->used[0] = d->used[1] = 0;
	defence_judge(d, set, now);
}

/*
 * Whether a packet that would begin a connection is dropped, as one in so many is. A
 * packet for which another program has the last word gives its turn back.
 */
static __always_inline bool packet_dropped(void)
{
	struct defence *d = defence_get();
	__s32 rate = d ? READ_ONCE(d->drop_rate) : 0;

	if (!rate || __sync_fetch_and_add(&d->drop_turn, -1) > 1)
		return false;
	WRITE_ONCE(d->drop_turn, rate);
	return true;
}

static __always_inline void packet_undropped(void)
{
	struct defence *d = defence_get();

	if (d && READ_ONCE(d->drop_rate))
		__sync_fetch_and_add(&d->drop_turn, 1);
}
