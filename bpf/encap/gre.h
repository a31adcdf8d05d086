/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Generic routing encapsulation (RFC 2784), without key and sequence. */
#pragma once

struct gre_base {
	__u16 flags;
	__u16 protocol;
};

static __always_inline void gre_write(void *at, const struct wrapping *w)
{
	struct gre_base *gre = at;

	gre->flags = 0;
	gre->protocol = w->inner == FAMILY_V6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
}
