/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the data path knows of a packet, once it is parsed. */
#pragma once

#include "base.h"

struct pkt {
	union addr saddr, daddr;
	__u32 len; /* of the IP packet, bytes */
	__u32 id;  /* of fragments, network order */
	__u32 mark;
	__u16 sport, dport;
	__u16 l4;    /* offset of the transport header */
	__u16 quote; /* of an ICMP error: offset of the packet it quotes, else 0 */
	__u16 mtu;   /* what it was too big for */
	__u16 cut;   /* to be sent in pieces of at most so many bytes, 0: whole */
	__u16 body;  /* of a fragment: offset of its piece in the frame */
	__u16 place; /* of a fragment: offset of its piece in the packet */
	__u8 family;
	__u8 proto;
	__u8 ttl;
	__u8 flags;    /* of TCP; of SCTP the type of the first chunk */
	bool fragment; /* the first or a later one */
	bool later;    /* a fragment behind the first */
	bool more;     /* a fragment that others follow */
	bool atomic;   /* a fragment that is the whole packet, its header the first behind IPv6's */
	bool bare;     /* without a transport header of ours: later, or AH or ESP */
	bool whole;    /* must not be cut: DF */
	bool options;  /* of IPv4 */
	bool home;     /* sent by the director itself */
	bool reply;    /* from the server, to the client */
	bool born;     /* its connection was made for it, and has stepped already */
};
