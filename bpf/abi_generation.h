/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which programs serve a table, and what they take over from others; see abi.h. */
#pragma once

/* For people to see, written when the programs are put to work. Ends of text are zero. */
struct generation {
	char version[64]; /* of the evs that they came with */
	char programs[16]; /* a digest of what they were compiled to */
};

/* A connection or template that is carried from one table to another (carry.h). */
struct carried {
	union addr caddr, vaddr;
	__u64 was;  /* its life when it was last carried, 0: it was not */
	__u64 life; /* now, 0: it has ended */
	__u32 dst;
	__u16 cport, vport;
	/* as in struct conn; but nexthop_stamp of a template that was carried before:
	 * how many it holds more */
	__u32 nexthop_stamp;
	__u16 nexthop;
	__u8 proto, control;
	__u8 family;
	__u8 refused; /* the answer: there is no room for it */
	__u8 pad[6];
};

enum carried_limits { CARRIED_MOST = 1024 };

_Static_assert(sizeof(struct carried) == 72, "carried");
