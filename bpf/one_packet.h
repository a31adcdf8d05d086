/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * One-packet scheduling: each packet is scheduled as if it began a connection,
 * and none stays. So that it goes the way of all others, its connection lies
 * behind the table, in a bucket that each CPU has for itself and no look-up
 * reaches, until the next.
 */
#pragma once

#include "birth.h"

/* Not an error: the packet's connection is the CPU's own. No reason has its number. */
#define ONE_PACKET 0x200

static __always_inline __u32 one_packet_bucket(const __u8 family)
{
	return bucket_count(family) + overflow_count(family) + bpf_get_smp_processor_id();
}

/* Makes the connection, which counts as long as thresholds are looked at. */
static __always_inline int one_packet_make(const struct birth *b, const struct pkt *p,
					   struct dst *d, const __u8 family)
{
	struct bucket6 *bucket = bucket_get(one_packet_bucket(family), family);

	if (!bucket)
		return BIRTH_FULL;
	slot_publish(bucket, 0, life_read(&bucket->slot[0]), b, p, b->life, family);
	dst_count(d, b->life.flags, 1);
	dst_came(b->dst, d);
	dst_count(d, b->life.flags, -1);
	dst_left(b->dst, d);
	count(REASON_ONE_PACKET);
	return ONE_PACKET;
}
