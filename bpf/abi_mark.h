/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Rules that give packets a firewall mark, for the services that are found by
 * one. Rules lie in the order in which they are tried: the longest destination
 * prefix first, among equals that which was given first. A trie knows for each
 * destination prefix that occurs which rules can match beneath it: its own and
 * those of shorter prefixes around it.
 *
 * An edit writes everything anew under the next generation, in the half of the
 * arrays that the present one does not use, and commits it by storing
 * settings.marks: generation << 32 | number of rules.
 */
#pragma once

#define MAX_MARK_RULES 1024
#define MAX_MARK_PLACES 4096
#define MAX_MARK_PORTS 16

struct port_range {
	__u16 low, high; /* both included, host order */
};

struct mark_rule {
	union addr source, source_mask;
	union addr destination;
	__u32 mark;
	__u8 bits; /* of the destination's prefix */
	__u8 family;
	__u8 proto; /* 0 any */
	__u8 ranges; /* of destination ports, 0 any */
	struct port_range port[MAX_MARK_PORTS];
};

/* Key of the trie, whose first word says how many bits of the rest count. */
struct mark_key {
	__u32 bits;
	__u32 generation;
	__u32 family;
	__u8 addr[16];
};

#define MARK_KEY_BITS 64 /* of generation and family */

/* The rules for a prefix: a run of mark_places, each the place of a rule. */
struct mark_run {
	__u32 first, count;
};

_Static_assert(sizeof(struct mark_rule) == 120, "mark_rule");
_Static_assert(sizeof(struct mark_key) == 28, "mark_key");
