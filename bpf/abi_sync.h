/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The synchronisation of connections, as the data path and Go both know it. */
#pragma once

/* What was asked of a synchronisation daemon. */
struct sync_daemon {
	union addr group;
	char interface[16];
	__u16 max_len;
	__u16 port; /* host order */
	__u8 running;
	__u8 sync_id;
	__u8 ttl;
	__u8 family; /* of group */
};

enum sync_role { SYNC_MASTER, SYNC_BACKUP, SYNC_ROLES };
