/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What schedulers need of the table; see abi.h. */
#pragma once

/* The schedulers of the data path. A row here, NAME and name of its function
 * NAME_pick, and the header it stands in are what a new one adds in C. */
#define SCHEDULERS(row)                                                        \
	row(RR, rr)                                                            \
	row(WRR, wrr)                                                          \
	row(LC, lc)                                                            \
	row(WLC, wlc)                                                          \
	row(SED, sed)                                                          \
	row(NQ, nq)                                                            \
	row(FO, fo)                                                            \
	row(OVF, ovf)                                                          \
	row(DH, dh)                                                            \
	row(SH, sh)                                                            \
	row(MH, mh)                                                            \
	row(TWOS, twos)                                                        \
	row(LBLC, lblc)                                                        \
	row(LBLCR, lblcr)

enum scheduler {
	SCHED_NONE, /* known to the table, not yet to the data path */
#define NUMBER(name, function) SCHED_##name,
	SCHEDULERS(NUMBER)
#undef NUMBER
};

/* Flags of sh and mh. */
enum sched_flags {
	SCHED_FALLBACK = 1, /* who would be refused is hashed again */
	SCHED_PORT = 2,	    /* the client's port is hashed too */
};

/*
 * What those who look at every destination need of an entry, packed, as reading is all
 * that they do: its weight, with SHARE_LIMITED if it has an upper threshold. Places
 * that are too many have weight 0.
 */
struct share {
	__u32 dst;
	__u32 weight;
};

#define SHARE_LIMITED 0x80000000

enum shares { SHARES_PER_UNIT = 4 };

/* The tables of those that hash: how many places, each the position of an entry. */
enum places {
	DH_PLACES = 256,
	SH_PLACES = 256,
	MH_PLACES = 4093,
	PLACES_PER_UNIT = 16,
	NO_PLACE = 0xffff,
};
