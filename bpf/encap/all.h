/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The encapsulations. Each says how many bytes stand between the outer IP
 * header and the packet, which protocol the outer header names, which options ask
 * for a checksum and how many bytes more that takes, and writes those bytes.
 */
#pragma once

#include "../csum.h"
#include "../work.h"

static __always_inline __u8 proto_of_family(__u8 family)
{
	return family == FAMILY_V6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
}

#include "ipip.h"

#include "gre.h"
#include "gue.h"

/* The list: type, bytes between, options that ask for a checksum, bytes it takes,
 * protocol (0: that of the family inside), writer. */
#define ENCAPSULATIONS(row)                                                    \
	row(IPIP, 0, 0, 0, 0, ipip_write)                                      \
	row(GRE, sizeof(struct gre_base), TUNNEL_CSUM, sizeof(struct gre_check), IPPROTO_GRE, gre_write) \
	row(GUE, sizeof(struct udphdr) + sizeof(struct gue_base), TUNNEL_CSUM | TUNNEL_REMCSUM, 0, \
	    IPPROTO_UDP, gue_write)

#define ENCAP_MAX (sizeof(struct udphdr) + sizeof(struct gue_base))

/* Whether the tunnel has a checksum over all it carries. */
static __always_inline bool encap_checks(const struct dst *d)
{
	switch (d->tunnel) {
#define CHECKS(name, bytes, options, more, proto, write)                       \
	case TUNNEL_##name:                                                    \
		return d->tunnel_flags & (options);
		ENCAPSULATIONS(CHECKS)
#undef CHECKS
	}
	return false;
}

static __always_inline __u32 encap_bytes(const struct dst *d)
{
	switch (d->tunnel) {
#define BYTES(name, bytes, options, more, proto, write)                        \
	case TUNNEL_##name:                                                    \
		return (bytes) + (d->tunnel_flags & (options) ? (more) : 0);
		ENCAPSULATIONS(BYTES)
#undef BYTES
	}
	return 0;
}

static __always_inline __u8 encap_proto(__u8 tunnel, __u8 inner)
{
	switch (tunnel) {
#define PROTO(name, bytes, options, more, proto, write)                                       \
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
#define WRITE(name, bytes, options, more, proto, write)                                       \
	case TUNNEL_##name:                                                    \
		write(at, w);                                                  \
		break;
		ENCAPSULATIONS(WRITE)
#undef WRITE
	}
}
