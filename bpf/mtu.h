/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* How large a packet a way takes, and what becomes of one that is larger. */
#pragma once

#include "nexthop.h"

/* How large a packet the way of w->route takes; 0 if there is none. Apart from
 * route_ask, as only packets to a server need it. */
__noinline __u32 route_mtu(CTX *ctx)
{
	struct work *w = work_get();

	if (!w || route_lookup(ctx, w, 0xffff) != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0;
	return w->fib.mtu_result;
}

/* What takes less than the interface on the way to a server, as somebody on it said
 * (RFC 1191); known for as long as Linux would (mtu_expires). */
#define PATH_MTU_SECONDS 600
#define PATH_MTU_LEAST 552 /* nobody is believed less (min_pmtu) */

struct path_mtu {
	__u32 mtu;
	__u32 stamp; /* jiffies */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, union addr);
	__type(value, struct path_mtu);
} path_mtus SEC(".maps");

/* Notes how much the way to a server takes, and returns what was thought before, if
 * anything was. */
static __always_inline __u32 path_mtu_learn(struct dst *d, __u32 mtu)
{
	struct path_mtu path = {.mtu = mtu, .stamp = now_jiffies()};
	__u32 known = d->mtu;

	if (path.mtu < PATH_MTU_LEAST)
		path.mtu = PATH_MTU_LEAST;
	if (known && path.mtu >= known)
		return known;
	bpf_map_update_elem(&path_mtus, &d->addr, &path, BPF_ANY);
	d->mtu = path.mtu;
	return known ? known : path.mtu;
}

/* How much the way to a server takes, by the route and by what was heard. */
static __always_inline __u32 path_mtu(CTX *ctx, const struct dst *d)
{
	struct path_mtu *path = bpf_map_lookup_elem(&path_mtus, &d->addr);
	__u32 mtu = route_mtu(ctx);

	if (path && now_jiffies() - path->stamp < PATH_MTU_SECONDS * conf_hz &&
	    (!mtu || path->mtu < mtu))
		return path->mtu;
	return mtu;
}

#define MTU_ALWAYS 576 /* what every way takes (RFC 791) */

/* Whether packets that are too big for a tunnel are refused rather than cut. */
static __always_inline bool pmtu_wanted(void)
{
	struct settings *set = settings_get();

	return set && set->sysctl[SYSCTL_PMTU_DISC];
}

/* Whether a packet that is too big for its way is cut: what DF does not forbid, and
 * errors, as nobody is told about them (RFC 1122). In a tunnel, DF counts only as
 * far as the outer packet has it. Only tc cuts. */
static __always_inline bool pkt_is_cut(const struct pkt *p, bool tunnel)
{
	if (CTX_IS_XDP || p->family != FAMILY_V4)
		return false;
	return !p->whole || p->quote || (tunnel && !pmtu_wanted());
}

/*
 * Compares the packet, which a tunnel makes larger by overhead, with what its way
 * takes: mtu of the route, 0 unknown, and that of the interface. 0, also if it is to
 * be cut, or a reason. A function of its own for the verifier's sake.
 */
__noinline int size_check(CTX *ctx, struct pkt *p, __u32 ifindex, __u32 mtu, __u32 overhead)
{
	__u32 device = 0;

	if (!p)
		return -REASON_TOO_BIG;
	/* without a length to check, the helper says what the device takes */
	if (bpf_check_mtu(ctx, ifindex, &device, 0, 0) >= 0 && (!mtu || device < mtu))
		mtu = device;
	if (!mtu || p->len + overhead <= mtu)
		return 0;
	p->mtu = mtu - overhead;
	if (!pkt_is_cut(p, overhead))
		return -REASON_TOO_BIG;
	p->cut = mtu;
	return 0;
}

static __always_inline int ctx_size_check(CTX *ctx, struct pkt *p, __u32 ifindex, __u32 mtu,
					  __u32 overhead)
{
	if (p->len + overhead <= MTU_ALWAYS || ctx_is_cut_later(ctx))
		return 0;
	return size_check(ctx, p, ifindex, mtu, overhead);
}
