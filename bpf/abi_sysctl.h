/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The settings that IPVS has under net.ipv4.vs, and EVS's own beside them:
 * where each lies in settings.sysctl. A name in lower case is that of the
 * setting; what it means, its range and its default stand in Go, in a row of
 * datapath.Sysctls. Names that mean nothing here have no place.
 */
#pragma once

enum sysctl {
	/* what the kernel has too */
	SYSCTL_AM_DROPRATE,
	SYSCTL_AMEMTHRESH,
	SYSCTL_BACKUP_ONLY,
	SYSCTL_CACHE_BYPASS,
	SYSCTL_CONN_REUSE_MODE,
	SYSCTL_DROP_ENTRY,
	SYSCTL_DROP_PACKET,
	SYSCTL_EXPIRE_NODEST_CONN,
	SYSCTL_EXPIRE_QUIESCENT_TEMPLATE,
	SYSCTL_LBLC_EXPIRATION, /* seconds, as all times here */
	SYSCTL_LBLCR_EXPIRATION,
	SYSCTL_NAT_ICMP_SEND,
	SYSCTL_PMTU_DISC,
	SYSCTL_RUN_ESTIMATION,
	SYSCTL_SCHEDULE_ICMP,
	SYSCTL_SECURE_TCP,
	SYSCTL_SLOPPY_SCTP,
	SYSCTL_SLOPPY_TCP,
	SYSCTL_SYNC_PERSIST_MODE,
	SYSCTL_SYNC_PORTS,
	SYSCTL_SYNC_QLEN_MAX,
	SYSCTL_SYNC_REFRESH_PERIOD,
	SYSCTL_SYNC_RETRIES,
	SYSCTL_SYNC_SOCK_SIZE,
	SYSCTL_SYNC_THRESHOLD,
	SYSCTL_SYNC_PERIOD, /* the second word of sync_threshold */
	SYSCTL_SYNC_VERSION,
	/* EVS's own */
	SYSCTL_EXPIRE_UDP_ON_QUIESCENT,
	SYSCTL_MSS_CLAMP,
	SYSCTL_TUN_RSS_SOURCE,
	SYSCTL_CONN_TAB_SIZE,
	SYSCTL_COUNT,
};

#define SYSCTL_SLOTS 64 /* room for more without another layout */

_Static_assert(SYSCTL_COUNT <= SYSCTL_SLOTS, "sysctl");
