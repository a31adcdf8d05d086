/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the decapsulator stands on: its maps, and the bytes of a packet that may
 * be read, which are of one kind at both doors. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../abi_decap.h"
#include "../csum.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decap_conf);
} decap_conf_map SEC(".maps");

/* The addresses that matter, with their roles. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_DECAP_ADDRS);
	__type(key, struct decap_key);
	__type(value, __u32);
} decap_addr_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decap_counters);
} decap_count_map SEC(".maps");

static __always_inline void decap_count(__u32 reason)
{
	__u32 zero = 0;
	struct decap_counters *c = bpf_map_lookup_elem(&decap_count_map, &zero);

	if (c)
		c->count[reason & DECAP_REASON_MASK]++;
}

static __always_inline bool decap_knows(const struct decap_key *key, __u32 role)
{
	__u32 *roles = bpf_map_lookup_elem(&decap_addr_map, key);

	return roles && (*roles & role);
}

/* Headers of a tunnel and the packet inside end within so many bytes. */
#define VIEW_BYTES 256

struct view {
	void *data, *end;
	__u32 len;  /* of the frame, also of what is not in view */
	bool super; /* it stands for several packets, to be cut by nobody */
};

/* Some bytes of the frame, NULL if they are not in view. */
static __always_inline void *view_at(const struct view *v, __u32 offset, __u32 size)
{
	void *p;

	if (offset > VIEW_BYTES)
		return NULL;
	p = v->data + offset;
	/* lest it is computed twice: the verifier knows only what is compared */
	asm volatile("" : "+r"(p));
	return p + size > v->end ? NULL : p;
}

/* Adds up so many 16-bit words. */
static __always_inline bool view_sum(const struct view *v, __u32 offset, const int words, __u32 *sum)
{
	__u16 *at = view_at(v, offset, words * 2);

	if (!at)
		return false;
#pragma unroll
	for (int i = 0; i < words; i++)
		*sum += at[i];
	return true;
}

#define IHL_MAX 15

/* Adds up an IPv4 header with its options. */
static __always_inline bool view_sum_ip4(const struct view *v, __u32 offset, __u32 ihl, __u32 *sum)
{
	if (!view_sum(v, offset, sizeof(struct iphdr) / 2, sum))
		return false;
	for (int i = 5; i < IHL_MAX; i++) {
		if (i >= ihl)
			break;
		if (!view_sum(v, offset + i * 4, 2, sum))
			return false;
		/* lest the compiler finds that ihl bounds the loop: Linux 6.1 does not */
		asm volatile("" : "+r"(i));
	}
	return true;
}

/* A packet in a tunnel, as it becomes known. */
struct decap {
	__u32 at;	     /* offset of what comes next; in the end the packet inside */
	__u32 end;	     /* offset where the outer packet ends */
	__u32 udp;	     /* offset of the UDP header, of GUE */
	__u32 pseudo;	     /* sum of the outer addresses, for a checksum */
	__u16 remcsum_start; /* of GUE's remote checksum, within the packet inside */
	__u16 remcsum_field;
	__u8 outer, inner; /* families */
	__u8 proto;	   /* of what is at `at` */
	__u8 tos;	   /* of the outer header */
	__u8 refused;	   /* reason, if it should be for a VIP */
	__u8 done;	   /* reason to count if all goes well */
	bool remcsum;
};

/* Not a packet of ours at all: nothing to count. */
#define DECAP_NOT_OURS -1
/* Go on. */
#define DECAP_OK -2
