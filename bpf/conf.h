/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Facts of this load, set once by the loader; the verifier sees constants. */
#pragma once

const volatile __u32 conf_hz = 250;	       /* jiffies per second */
const volatile __u32 conf_cpus = 1;	       /* rows of the stats map */
const volatile __u32 conf_dsts = MAX_DSTS;     /* slots of the dst map */
const volatile __u32 conf_buckets = 2;	       /* a power of two; overflow lies behind */
const volatile __u32 conf_overflow = 16;       /* overflow buckets, a power of two */
const volatile __u64 conf_seed[2] = {1, 1};    /* of the connection hash; odd */
