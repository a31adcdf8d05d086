/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The encapsulations. Each says how many bytes stand between the outer IP
 * header and the packet, which protocol the outer header names, and writes
 * those bytes.
 */
#pragma once

#include "../base.h"

/* What an encapsulation is given to write its header from. */
struct wrapping {
	const struct dst *dst;
	__u32 flow; /* of the packet inside, for who spreads load by ports */
	__u16 len;  /* of what follows the outer IP header */
	__u8 inner; /* family of the packet inside */
};

static __always_inline __u8 proto_of_family(__u8 family)
{
	return family == FAMILY_V6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

#include "ipip.h"

#include "gre.h"
#include "gue.h"

/* The list: type, bytes between, protocol (0: that of the family inside), writer. */
#define ENCAPSULATIONS(row)                                                    \
	row(IPIP, 0, 0, ipip_write)                                            \
	row(GRE, sizeof(struct gre_base), IPPROTO_GRE, gre_write)              \
	row(GUE, sizeof(struct udphdr) + sizeof(struct gue_base), IPPROTO_UDP, gue_write)

#define ENCAP_MAX (sizeof(struct udphdr) + sizeof(struct gue_base))

static __always_inline __u32 encap_bytes(__u8 tunnel)
{
	switch (tunnel) {
#define BYTES(name, bytes, proto, write)                                       \
	case TUNNEL_##name:                                                    \
		return bytes;
		ENCAPSULATIONS(BYTES)
#undef BYTES
	}
	return 0;
}

static __always_inline __u8 encap_proto(__u8 tunnel, __u8 inner)
{
	switch (tunnel) {
#define PROTO(name, bytes, proto, write)                                       \
	case TUNNEL_##name:                                                    \
		return proto ? proto : proto_of_family(inner);
		ENCAPSULATIONS(PROTO)
#undef PROTO
	}
	return 0;
}

static __always_inline void encap_write(__u8 tunnel, void *at, const struct wrapping *w)
{
	switch (tunnel) {
#define WRITE(name, bytes, proto, write)                                       \
	case TUNNEL_##name:                                                    \
		write(at, w);                                                  \
		break;
		ENCAPSULATIONS(WRITE)
#undef WRITE
	}
}
