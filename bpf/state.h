/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The protocol state machines as tables: direction, event, present state, and
 * there stands the next one. They are the states IPVS shows, which follow a
 * connection from outside and forgive what they have not seen.
 */
#pragma once

#include "flood.h"
#include "signals.h"
#include "state_sctp.h"
#include "tell.h"

enum tcp_event { EVENT_SYN, EVENT_FIN, EVENT_ACK, EVENT_RST, EVENT_NONE };

#define NO STATE_NONE
#define ES STATE_ESTABLISHED
#define SS STATE_SYN_SENT
#define SR STATE_SYN_RECV
#define FW STATE_FIN_WAIT
#define TW STATE_TIME_WAIT
#define CL STATE_CLOSE
#define CW STATE_CLOSE_WAIT
#define LA STATE_LAST_ACK
#define LI STATE_LISTEN
#define SA STATE_SYNACK

/* Which way a packet goes; ONE_WAY: from the client, on a connection whose
 * replies we never see. */
enum direction { FORWARD, REPLY, ONE_WAY };

/* STRICT: secure_tcp; who has not answered is not believed as easily. */
enum strictness { USUAL, STRICT };

/* [strictness][direction][event][state] */
static const __u8 tcp_next[2][4][4][16] = {
	[USUAL][FORWARD] = {
		/*               NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA */
		[EVENT_SYN] = {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR},
		[EVENT_FIN] = {CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW},
		[EVENT_ACK] = {ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES},
		[EVENT_RST] = {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR},
	},
	[USUAL][REPLY] = {
		[EVENT_SYN] = {SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR},
		[EVENT_FIN] = {TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW},
		[EVENT_ACK] = {ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES},
		[EVENT_RST] = {CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL},
	},
	[USUAL][ONE_WAY] = {
		[EVENT_SYN] = {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR},
		[EVENT_FIN] = {CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW},
		[EVENT_ACK] = {ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES},
		[EVENT_RST] = {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL},
	},
	[STRICT][FORWARD] = {
		[EVENT_SYN] = {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA},
		[EVENT_FIN] = {CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA},
		[EVENT_ACK] = {ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA},
		[EVENT_RST] = {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL},
	},
	[STRICT][REPLY] = {
		[EVENT_SYN] = {SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA},
		[EVENT_FIN] = {TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW},
		[EVENT_ACK] = {ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES},
		[EVENT_RST] = {CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL},
	},
	[STRICT][ONE_WAY] = {
		[EVENT_SYN] = {SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA},
		[EVENT_FIN] = {CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW},
		[EVENT_ACK] = {ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES},
		[EVENT_RST] = {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL},
	},
};

#undef NO
#undef ES
#undef SS
#undef SR
#undef FW
#undef TW
#undef CL
#undef CW
#undef LA
#undef LI
#undef SA

/* States in which a connection loads its server, as ActiveConn counts them. */
#define ACTIVE_STATES                                                          \
	(1 << STATE_ESTABLISHED | 1 << STATE_SYN_SENT | 1 << STATE_SYN_RECV |   \
	 1 << STATE_SYNACK | 1 << STATE_SCTP_ESTABLISHED)

/* States that show that the server answers; where there are no others, its answer
 * does. */
#define ASSURED_STATES (1 << STATE_ESTABLISHED | 1 << STATE_SCTP_ESTABLISHED)

static __always_inline enum tcp_event tcp_event(__u8 flags)
{
	if (flags & TCP_RST)
		return EVENT_RST;
	if (flags & TCP_SYN)
		return EVENT_SYN;
	if (flags & TCP_FIN)
		return EVENT_FIN;
	if (flags & TCP_ACK)
		return EVENT_ACK;
	return EVENT_NONE;
}

/* Which way a connection's first packet goes. */
static __always_inline enum direction way_first(union life l)
{
	return life_method(l) == METHOD_MASQ ? FORWARD : ONE_WAY;
}

#define PROBE_SECONDS 10 /* how long a probe (probe.h) may be silent */

/* When a connection expires: a probe's soon. */
static __always_inline __u32 probe_expires(__u16 nexthop, __u32 expires, __u32 now)
{
	__u32 soon = now + PROBE_SECONDS * conf_hz;

	return nexthop == NEXTHOP_PROBE && (__s32)(expires - soon) > 0 ? soon : expires;
}

/* Whether the client of a connection is the host itself. */
static __always_inline bool conn_is_home(const struct conn *c)
{
	return c->nexthop >= NEXTHOP_PROBE && c->nexthop != NEXTHOP_ANSWERS;
}

/* Notes that answers come by here. A probe's do from the first. */
static __always_inline void conn_answered(struct conn *c)
{
	if (c->nexthop == NEXTHOP_HOME)
		c->nexthop = NEXTHOP_HOME_ANSWERS;
	else if (c->nexthop < NEXTHOP_PROBE)
		c->nexthop = NEXTHOP_ANSWERS;
}

/* Which way another one goes. A server that need not answer by the director may do so
 * all the same: from then on both sides are seen. */
static __always_inline enum direction way_of(struct conn *c, union life l, bool reply)
{
	if (life_method(l) == METHOD_MASQ)
		return reply ? REPLY : FORWARD;
	if (reply)
		conn_answered(c);
	else if (c->nexthop < NEXTHOP_PROBE || c->nexthop == NEXTHOP_HOME)
		return ONE_WAY;
	return reply ? REPLY : FORWARD;
}

static __always_inline __u8 state_next(const struct pkt *p, __u8 way, __u8 state,
				       const struct settings *set)
{
	enum tcp_event event;
	__u32 strict;

	if (p->proto == IPPROTO_UDP)
		return STATE_UDP;
	if (p->proto == IPPROTO_SCTP)
		return sctp_state_next(way, p->flags, state);
	event = tcp_event(p->flags);
	if (event == EVENT_NONE)
		return STATE_CLOSE;
	/* 2 and 3 are at work; without a branch, as the verifier would follow both */
	strict = set->sysctl[SYSCTL_SECURE_TCP] / 2 % 2;
	KEEP_VALUE(strict); /* Linux 6.1 knows no bounds of what is joined from two */
	return tcp_next[strict % 2][way % 4][event % 4][state % 16];
}

/* The packets counted after one more. */
static __always_inline __u8 packets_after(__u8 state, bool reply)
{
	__u8 packets = state & PACKETS_MASK;

	return packets && !reply ? (__u8)(packets + PACKET_ONE) : packets;
}

/* The life after a packet: its state, and the time it may stay in it. */
static __always_inline union life life_after(union life l, const struct pkt *p,
					     enum direction way, __u32 now,
					     const struct settings *set)
{
	__u8 state = state_next(p, way, l.state & STATE_MASK, set);

	l.state = state | packets_after(l.state, way == REPLY);
	if (ACTIVE_STATES >> state & 1)
		l.flags &= ~CONN_INACTIVE;
	else
		l.flags |= CONN_INACTIVE;
	if ((ASSURED_STATES | (way == REPLY) << STATE_UDP) >> state & 1)
		l.flags |= CONN_ASSURED;
	l.expires = now + set->timeout[state & STATE_MASK] * conf_hz;
	return l;
}

/* The same for a connection that is stepped. A function of its own for the verifier's
 * sake, which else follows each state to the end of the program. */
__noinline __u64 life_next(const struct pkt *p, __u64 life, __u32 way, __u32 now)
{
	const struct settings *set = settings_get();
	union life l = {.word = life};

	return p && set && !life_resets(l) ? life_after(l, p, way, now, set).word : life;
}

/* Tells the template, if there is one, that a server has answered. */
static __always_inline void conn_assure(const struct conn_ref *ref, const __u8 family)
{
	if (ref->conn->control)
		conn_tell(ref->conn, family == FAMILY_V6 ? &ref->ends->caddr : NULL,
			  TELL_ASSURED, family);
}

/*
 * Steps a connection. A packet that changes nothing but the expiry, and that
 * by less than an eighth of a second, writes nothing: most packets of a busy
 * connection leave its cache line clean. The loop stays one: unrolled, it takes more
 * of the stack than there is.
 */
static __always_inline void conn_step(struct conn_ref *ref, const struct pkt *p, bool reply,
				      __u32 now, const __u8 family)
{
	enum direction way = way_of(ref->conn, ref->life, reply);
	union life old = ref->life, next;

#pragma clang loop unroll(disable)
	for (int tries = 0; tries < 3; tries++) {
		next.word = life_next(p, old.word, way, now);
		next.expires = probe_expires(ref->conn->nexthop, next.expires, now);
		if (next.state == old.state && next.flags == old.flags &&
		    next.expires - old.expires < conf_hz / 8)
			return;
		ref->life.word = CAS(conn_life(ref->conn), old.word, next.word);
		if (ref->life.word == old.word) {
			ref->life = next;
			if ((next.flags ^ old.flags) & CONN_INACTIVE) {
				dst_count(ref->dst, old.flags, -1);
				dst_count(ref->dst, next.flags, 1);
			}
			half_stepped(ref->conn, old, next, family);
			signals_count(p, old.word, next.word, ref->conn->dst, reply);
			if (next.flags & ~old.flags & CONN_ASSURED)
				conn_assure(ref, family);
			return;
		}
		if (ref->life.gen != old.gen || !life_valid(ref->life, now))
			return; /* it ended meanwhile, or is to */
		old = ref->life;
	}
}
