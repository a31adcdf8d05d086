/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What a CPU works with while it makes a connection. */
#pragma once

#include "birth.h"
#include "tell.h"
#include "work.h"

/* Whom a packet that begins a connection is given to, and how. */
struct choice {
	__u32 dst;
	__u8 method;	 /* as configured */
	__u8 control;	 /* of the connection, as in struct conn */
	__u8 flags;	 /* of the connection, further ones */
	__u8 one_packet; /* it is to be a connection of one packet */
	__u8 persistent; /* it is to have a template */
};

#define SIP_READ 1024 /* bytes of a message that are looked at; a power of two */

/* Where in a message the reader is; in a map, so that the verifier does not follow it. */
struct sip_reader {
	__u64 digest;
	__u32 at;   /* enum sip_at */
	__u32 seen; /* letters of the name */
	__u32 len;  /* of the identifier */
};

enum outlived { OUTLIVED_NONE, OUTLIVED_PLAIN, OUTLIVED_NOTED };

/* What it takes to make a connection, and its template. It lies in a map, as the
 * stack is small. */
struct making {
	struct pkt pkt; /* the packet as its template would be found by */
	struct birth template, conn;
	struct remains remains; /* of the connection before */
	/* the packet shall not meet it: it is ended, but counts until the next does */
	__u32 outlived; /* enum outlived */
	__u32 left_dst, left_group;
	union life left;
	struct sip_reader sip;
	struct call_id call; /* len 0: none is asked for */
	__u16 call_digest;
	__u8 text[SIP_READ]; /* of a message */
	struct choice choice;
	struct entry entry;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct making);
} makings SEC(".maps");

static __always_inline struct making *making_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&makings, &zero);
}
