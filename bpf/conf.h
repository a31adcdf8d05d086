/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Facts of this load, set once by the loader; the verifier sees constants. */
#pragma once

const volatile __u32 conf_hz = 250;	       /* jiffies per second */
const volatile __u32 conf_cpus = 1;	       /* rows of the stats map */
const volatile __u32 conf_dsts = MAX_DSTS;     /* slots of the dst map */
/* By family (conn.h): buckets and, behind them, overflow buckets; powers of two. */
const volatile __u32 conf_buckets4 = 2, conf_overflow4 = 16;
const volatile __u32 conf_buckets6 = 2, conf_overflow6 = 16;
const volatile __u64 conf_seed[2] = {1, 1};    /* of the connection hash; odd */
