/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What a packet is looked up by, and whether it concerns the table at all. */
#pragma once

#include "filter.h"
#include "frag.h"
#include "leave.h"
#include "options.h"
#include "quote.h"

/*
 * Reads what addresses and ports a packet is looked up by, its own or those of the
 * packet that it is an ICMP error about; and whether its addresses concern us. 0, or
 * LEAVE or REASON_SLOW_PATH.
 */
static __always_inline int packet_read(CTX *ctx, struct pkt *p, __u8 *interest,
				       const __u8 family)
{
	bool whole;

	if (!pkt_parse_l3(ctx, p, family))
		return LEAVE;
	if (family == FAMILY_V6 && ext_is(p->proto) && !pkt_skip_extensions(ctx, p))
		return LEAVE;
	whole = pkt_is_whole(ctx, p);
	if (p->proto == proto_icmp(family) &&
	    (CTX_IS_XDP || p->fragment || !whole || !quote_parse(ctx, p, family)))
		return LEAVE;
	*interest = filter_look(p, family);
	if (!*interest || (*interest == FILTER_ANSWER && (p->fragment || p->quote)))
		return LEAVE;
	if (!whole) {
		ctx_count_left(REASON_MALFORMED);
		return LEAVE;
	}
	if (family == FAMILY_V4 && p->options && CTX_IS_XDP)
		return REASON_SLOW_PATH;
	if (family == FAMILY_V4 && p->options && !options_read(ctx, false))
		return LEAVE;
	if (p->quote)
		return family == FAMILY_V6 || quote_is_right(ctx, p) ? 0 : LEAVE;
	if (p->proto == IPPROTO_AH || p->proto == IPPROTO_ESP) {
		pkt_follow_keys(p);
		return 0;
	}
	return proto_has_ports(p->proto) ? 0 : LEAVE;
}

/* Reads the transport's ports, of a later fragment those of the first: 0, LEAVE,
 * REASON_SLOW_PATH or a reason. */
static __always_inline int ports_read(CTX *ctx, struct pkt *p)
{
	if (p->quote || p->bare)
		return 0;
	if (CTX_IS_XDP && (p->fragment || p->atomic))
		return REASON_SLOW_PATH; /* tc collects them */
	p->bare = p->later;
	if (!p->bare && !pkt_parse_l4(ctx, p)) {
		if (p->fragment) /* nobody honest cuts a header (RFC 1858) */
			return -REASON_FRAGMENT_DROPPED;
		ctx_count_left(REASON_MALFORMED);
		return LEAVE;
	}
	return p->fragment ? ctx_fragment(ctx, p) : 0;
}
