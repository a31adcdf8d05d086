/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Generic routing encapsulation (RFC 2784), without key and sequence. */
#pragma once

struct gre_base {
	__u16 flags;
	__u16 protocol;
};

/* What the first flag announces: a checksum over this header and the packet. */
struct gre_check {
	__u16 check;
	__u16 reserved;
};

static __always_inline void gre_write(void *at, const struct wrapping *w)
{
	struct gre_base *gre = at;
	struct gre_check *c = (void *)(gre + 1);

	gre->flags = w->check ? bpf_htons(0x8000) : 0;
	gre->protocol = w->inner == FAMILY_V6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (!w->check)
		return;
	c->check = ~csum_fold(w->sum + gre->flags + gre->protocol);
	c->reserved = 0;
}
