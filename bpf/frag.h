/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Fragments. Only the first has ports; it leaves them here for the others of
 * its packet, which so go the same way, each as it comes, and are put together
 * at the far end. The kernel waits until it has them all; who holds the packet
 * in the end sees no difference. A fragment that overtakes the first is kept
 * (kept.h) until that comes. When all of a packet have gone by, it is forgotten:
 * what comes later under its number belongs to another.
 */
#pragma once

#include "pkt.h"

#define FRAGMENTED_PACKETS 16384
#define FRAGMENT_SECONDS 30 /* as long as Linux waits for the rest (ipfrag_time) */

/* What the fragments of a packet have in common (RFC 791, RFC 8200). */
struct frag_key {
	union addr saddr, daddr;
	__u32 id;
	__u8 proto;
	__u8 family;
	__u16 pad;
};

/*
 * What has gone by of a packet: the sum of end² - begin² over its pieces. It is the
 * square of the packet's length when they cover it without a gap, and not when one
 * came twice and another is missing, as each place counts differently.
 */
struct frag_ports {
	__u16 sport, dport;
	__u32 stamp; /* jiffies */
	__u32 cover;
	__u32 total; /* bytes, 0 until the last has come */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTED_PACKETS);
	__type(key, struct frag_key);
	__type(value, struct frag_ports);
} fragments SEC(".maps");

static __always_inline bool frag_fresh(__u32 stamp)
{
	return now_jiffies() - stamp <= FRAGMENT_SECONDS * conf_hz;
}

static __always_inline void frag_key(const struct pkt *p, struct frag_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	if (p->family == FAMILY_V6) {
		key->saddr = p->saddr;
		key->daddr = p->daddr;
	} else {
		key->saddr.w[0] = p->saddr.w[0];
		key->daddr.w[0] = p->daddr.w[0];
	}
	key->id = p->id;
	key->proto = p->proto;
	key->family = p->family;
}

/* Where the piece of a fragment ends in the packet. */
static __always_inline __u32 frag_end(const struct pkt *p)
{
	return p->place + p->len + L3_OFFSET - p->body;
}

/* Notes the ports of a first fragment. This and the next are functions of their
 * own for the verifier's sake. */
__noinline int frag_note(const struct pkt *p)
{
	struct frag_ports ports = {.stamp = now_jiffies()};
	struct frag_key key;

	if (!p)
		return 0;
	frag_key(p, &key);
	ports.sport = p->sport;
	ports.dport = p->dport;
	ports.cover = frag_end(p) * frag_end(p);
	return bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
}

/* Finds the ports of a later fragment: 1, or 0 if the first has not come by. */
__noinline int frag_find(struct pkt *p)
{
	struct settings *set = settings_get();
	struct frag_ports *ports;
	struct frag_key key;
	__u32 end;

	if (!p || !set)
		return 0;
	frag_key(p, &key);
	ports = bpf_map_lookup_elem(&fragments, &key);
	if (!ports || !frag_fresh(ports->stamp))
		return 0;
	p->sport = ports->sport;
	p->dport = ports->dport;
	if (set->retired) /* who follows may count the piece */
		return 1;
	end = frag_end(p);
	if (!p->more)
		WRITE_ONCE(ports->total, end);
	end = end * end - p->place * p->place;
	end += __sync_fetch_and_add(&ports->cover, end);
	if (ports->total && end == ports->total * ports->total)
		bpf_map_delete_elem(&fragments, &key);
	return 1;
}
