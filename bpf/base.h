/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What every file of the data path stands on. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "conf.h"
#include "maps.h"

#ifndef AF_INET
#define AF_INET 2
#define AF_INET6 10
#endif

#define LOOPBACK 1 /* the index of lo in every network namespace */

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
#define CAS(p, old, new) __sync_val_compare_and_swap(p, old, new)
/* Keeps the compiler from computing a packet pointer twice: the verifier knows
 * only of the one that was compared with the end. */
#define KEEP_POINTER(p) asm volatile("" : "+r"(p))
#define KEEP_VALUE(v) asm volatile("" : "+r"(v))
/* The same for a number that is about to be compared with its bound. */
#define BOUND_VALUE(v)                                                         \
	do {                                                                   \
		if (!__builtin_constant_p(v))                                  \
			KEEP_VALUE(v);                                         \
	} while (0)
#define barrier() asm volatile("" ::: "memory")

static __always_inline bool addr_equal(const union addr *a, const union addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* The time of the table. */
static __always_inline __u32 now_of(const struct settings *set)
{
	return bpf_jiffies64() + set->clock;
}

static __always_inline __u32 now_jiffies(void)
{
	struct settings *set = settings_get();

	return set ? now_of(set) : 0;
}
