/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What user space runs by hand: starting the timer, reading the clock. */
#include "base.h"
#include "expire.h"

/* Types that only user space reads by name. */
#define EMIT_TYPE(type) ((void)(type *)0)

MAPPED(clocks, struct clock, 1);

SEC("tc")
int evs_start(struct __sk_buff *skb)
{
	EMIT_TYPE(enum reason);
	EMIT_TYPE(enum scheduler);
	EMIT_TYPE(enum method);
	EMIT_TYPE(enum conn_state);
	EMIT_TYPE(enum conn_flags);
	EMIT_TYPE(enum svc_state);
	EMIT_TYPE(enum svc_flags);
	EMIT_TYPE(enum dst_flags);
	EMIT_TYPE(enum filter_bits);
	EMIT_TYPE(enum family);
	return ticker_start();
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

char _license[] SEC("license") = "Dual BSD/GPL";
