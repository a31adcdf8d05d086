/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What user space runs by hand: starting the timer, reading the clock, asking for
 * the mark of a packet. */
#include "base.h"
#include "carry.h"
#include "expire.h"
#include "mark.h"

/* Enums that only user space reads by name; a variable keeps them in BTF. */
const volatile struct {
	enum reason reason;
	enum scheduler scheduler;
	enum places places;
	enum shares shares;
	enum method method;
	enum conn_state conn_state;
	enum conn_flags conn_flags;
	enum conn_packets conn_packets;
	enum dst_slots dst_slots;
	enum template_state template_state;
	enum template_time template_time;
	enum reset_time reset_time;
	enum svc_state svc_state;
	enum svc_flags svc_flags;
	enum dst_flags dst_flags;
	enum tunnel tunnel;
	enum tunnel_flags tunnel_flags;
	enum probe probe;
	enum filter_bits filter_bits;
	enum family family;
	enum attach_mode attach_mode;
	enum abi abi;
	enum sync_role sync_role;
	enum sysctl sysctl;
	enum carried_limits carried_limits;
} abi_enums = {};

MAPPED(clocks, struct clock, 1);
MAPPED(generation_map, struct generation, 1);

SEC("tc")
int evs_start(struct __sk_buff *skb)
{
	return ticker_start();
}

/* Ends what has expired without waiting for the timer. */
SEC("tc")
int evs_sweep(struct __sk_buff *skb)
{
	struct sweep *s = sweep_get();

	if (!s)
		return 1;
	conns_sweep(s, now_jiffies());
	return 0;
}

/* Judges the defences anew, after an edit of the settings. */
SEC("tc")
int evs_defend(struct __sk_buff *skb)
{
	struct settings *set = settings_get();
	struct defence *d = defence_get();

	if (!set || !d)
		return 1;
	defence_judge(d, set, now_of(set));
	return 0;
}

/* Both clocks at one moment: from two readings the caller learns HZ, from one
 * what an expiry means. */
SEC("tc")
int evs_clock(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct clock *c = bpf_map_lookup_elem(&clocks, &zero);

	if (!c)
		return 1;
	c->jiffies = bpf_jiffies64();
	c->nanoseconds = bpf_ktime_get_ns();
	return 0;
}

/* The mark that the rules would give a packet. Its struct pkt stands behind an
 * Ethernet header. */
SEC("tc")
int evs_mark(struct __sk_buff *skb)
{
	struct work *w = work_get();

	if (!w || bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &w->pkt, sizeof(w->pkt)))
		return 0;
	return mark_classify(&w->pkt);
}

/* Carries connections from another table: so many of the records, and whether this
 * table has all of them, are the packet behind an Ethernet header. */
SEC("tc")
int evs_carry(struct __sk_buff *skb)
{
	__u32 words[2];

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), words, sizeof(words)))
		return 1;
	return carry_all(words[0], words[1]);
}

SEC("tc")
int evs_carry_counters(struct __sk_buff *skb)
{
	return carry_counters();
}

char _license[] SEC("license") = "Dual BSD/GPL";
