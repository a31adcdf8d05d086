/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The table in the kernel. Sizes marked 1 are set by the loader. */
#pragma once

#define MAPPED(map_name, value_type, entries)                                  \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(max_entries, entries);                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                             \
		__type(key, __u32);                                            \
		__type(value, value_type);                                     \
	} map_name SEC(".maps")

MAPPED(settings_map, struct settings, 1);
MAPPED(services, struct service, MAX_SERVICES);
MAPPED(units, union unit, MAX_UNITS);
MAPPED(dsts, struct dst, MAX_DSTS);
MAPPED(dst_confs, struct dst_conf, MAX_DSTS);
MAPPED(filter_map, struct filter, 1);
MAPPED(conns4, struct bucket4, 1);
MAPPED(conns6, struct bucket6, 1);
MAPPED(nexthops, struct nexthop, MAX_NEXTHOPS);
MAPPED(stats_map, struct stats, 1); /* CPU * conf_dsts + dst */
MAPPED(estimators, struct estimator, MAX_DSTS);
MAPPED(sweep_map, struct sweep, 1);

/* How many connections of each group of buckets sit in the overflow region. */
MAPPED(overflow_hints, __u32, OVERFLOW_HINTS);

/* The half-open connections: how many, of IPv4 and IPv6, and their rings, one behind
 * the other; a place holds the number and the gen of a slot. */
MAPPED(floods, struct flood, 2);
MAPPED(half_ring, __u64, 1);

/* From the identity of a service to its slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, struct svc_key);
	__type(value, __u32);
} service_index SEC(".maps");

/* The Call-IDs of templates, to show them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct call_key);
	__type(value, struct call_id);
} call_ids SEC(".maps");

/* Serialises the birth of connections of one client (see conn.h). */
struct birth_lock {
	struct bpf_spin_lock lock;
};

#define BIRTH_LOCKS 4096

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BIRTH_LOCKS);
	__type(key, __u32);
	__type(value, struct birth_lock);
} birth_locks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters_map SEC(".maps");

/* The interfaces that have a mode of attachment of their own. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct ifname);
	__type(value, __u32);
} attach_modes SEC(".maps");

/* Interfaces that a frame may be redirected to by XDP, by ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u32);
} xdp_ports SEC(".maps");

/* The same where it is found sooner: an interface's place is the low bits of its ifindex,
 * and has it unless another was attached later. */
#define XDP_PLACES 1024

MAPPED(xdp_places, __u64, XDP_PLACES);

/* An address of each attached interface, by family << 32 | ifindex: what its errors
 * are sent from. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, union addr);
} link_addrs SEC(".maps");

/* The IPv6 addresses of the host. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, union addr);
	__type(value, __u32);
} own_addrs SEC(".maps");
/* The masqueraded servers' addresses, ports and protocols (0 for all), while
 * nat_icmp_send needs to know them. The mark in the key is 0. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DSTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct svc_key);
	__type(value, __u32);
} masq_ports SEC(".maps");

/* Rules of firewall marks; two generations, of which one is in force. */
MAPPED(mark_rules, struct mark_rule, 2 * MAX_MARK_RULES);
MAPPED(mark_places, __u64, 2 * MAX_MARK_PLACES);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2 * MAX_MARK_RULES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mark_key);
	__type(value, struct mark_run);
} mark_trie SEC(".maps");

static __always_inline struct settings *settings_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&settings_map, &zero);
}

static __always_inline struct sweep *sweep_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&sweep_map, &zero);
}

static __always_inline void count(enum reason reason)
{
	__u32 zero = 0;
	struct counters *c = bpf_map_lookup_elem(&counters_map, &zero);

	if (c)
		c->count[reason & REASON_MASK]++;
}
