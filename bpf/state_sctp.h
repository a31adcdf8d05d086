/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The states of an SCTP association as IPVS follows it from between its ends (RFC
 * 9260, section 4). The tables name what changes; where they are silent, a packet
 * leaves the state as it is.
 */
#pragma once

#include "conn.h"
#include "pkt.h"

enum sctp_event {
	SCTP_EVENT_DATA, /* all that is not named here */
	SCTP_EVENT_INIT,
	SCTP_EVENT_INIT_ACK,
	SCTP_EVENT_COOKIE_ECHO,
	SCTP_EVENT_COOKIE_ACK,
	SCTP_EVENT_SHUTDOWN,
	SCTP_EVENT_SHUTDOWN_ACK,
	SCTP_EVENT_SHUTDOWN_COMPLETE,
	SCTP_EVENT_ERROR,
	SCTP_EVENT_ABORT,
};

/* By the type of a packet's first chunk. */
static const __u8 sctp_events[16] = {
	[1] = SCTP_EVENT_INIT, [2] = SCTP_EVENT_INIT_ACK, [6] = SCTP_EVENT_ABORT,
	[7] = SCTP_EVENT_SHUTDOWN, [8] = SCTP_EVENT_SHUTDOWN_ACK, [9] = SCTP_EVENT_ERROR,
	[10] = SCTP_EVENT_COOKIE_ECHO, [11] = SCTP_EVENT_COOKIE_ACK,
	[14] = SCTP_EVENT_SHUTDOWN_COMPLETE,
};

/* The states by their row in the tables: 0 none, the others from 1. */
#define SCTP_ROW(state) ((state) - STATE_SCTP_INIT1 + 1)
#define NO 0
#define I1 SCTP_ROW(STATE_SCTP_INIT1)
#define IN SCTP_ROW(STATE_SCTP_INIT)
#define CS SCTP_ROW(STATE_SCTP_COOKIE_SENT)
#define CR SCTP_ROW(STATE_SCTP_COOKIE_REPLIED)
#define CW SCTP_ROW(STATE_SCTP_COOKIE_WAIT)
#define CO SCTP_ROW(STATE_SCTP_COOKIE)
#define CE SCTP_ROW(STATE_SCTP_COOKIE_ECHOED)
#define ES SCTP_ROW(STATE_SCTP_ESTABLISHED)
#define SS SCTP_ROW(STATE_SCTP_SHUTDOWN_SENT)
#define SR SCTP_ROW(STATE_SCTP_SHUTDOWN_RECEIVED)
#define SA SCTP_ROW(STATE_SCTP_SHUTDOWN_ACK_SENT)
#define RJ SCTP_ROW(STATE_SCTP_REJECTED)
#define CL SCTP_ROW(STATE_SCTP_CLOSED)

/* [direction][event][row]: the next row, 0 the same */
static const __u8 sctp_next[4][16][16] = {
	[0] = { /* from the client, the server's answers come by */
		[SCTP_EVENT_DATA] = {[NO] = ES},
		[SCTP_EVENT_INIT] = {[NO] = I1, [I1] = IN, [RJ] = IN, [CL] = IN},
		[SCTP_EVENT_INIT_ACK] = {[NO] = CW, [I1] = CW, [IN] = CW, [CW] = CO},
		[SCTP_EVENT_COOKIE_ECHO] = {[NO] = CR, [I1] = IN, [CS] = CR},
		[SCTP_EVENT_COOKIE_ACK] = {[NO] = ES, [CE] = ES},
		[SCTP_EVENT_SHUTDOWN] = {[NO] = SR, [ES] = SR},
		[SCTP_EVENT_SHUTDOWN_ACK] = {[NO] = CL, [I1] = IN, [SS] = CL, [SA] = CL},
		[SCTP_EVENT_SHUTDOWN_COMPLETE] = {[NO] = CL, [I1] = CL, [IN] = CL, [SA] = CL},
		[SCTP_EVENT_ERROR] = {[NO] = CL, [CE] = CL},
		[SCTP_EVENT_ABORT] = {[NO ... CR] = CL, [CW] = RJ, [CO ... CL] = CL},
	},
	[1] = { /* from the server */
		[SCTP_EVENT_DATA] = {[NO] = ES},
		[SCTP_EVENT_INIT] = {[NO ... CE] = CW, [SS ... CL] = CW},
		[SCTP_EVENT_INIT_ACK] = {[NO] = CS, [I1] = CS, [IN] = CS},
		[SCTP_EVENT_COOKIE_ECHO] = {[NO ... CE] = CE},
		[SCTP_EVENT_COOKIE_ACK] = {[NO ... ES] = ES},
		[SCTP_EVENT_SHUTDOWN] = {[NO ... SS] = SS},
		[SCTP_EVENT_SHUTDOWN_ACK] = {[NO ... CR] = SA, [SS] = SA, [SR] = SA},
		[SCTP_EVENT_SHUTDOWN_COMPLETE] = {[NO] = CL},
		[SCTP_EVENT_ERROR] = {[NO ... CR] = CL},
		[SCTP_EVENT_ABORT] = {[NO] = CL, [I1] = RJ, [IN ... CL] = CL},
	},
	[2] = { /* from the client, the server's answers go another way */
		[SCTP_EVENT_DATA] = {[NO] = ES, [CW] = ES},
		[SCTP_EVENT_INIT] = {[NO] = I1, [I1 ... CW] = IN, [RJ] = IN, [CL] = IN},
		[SCTP_EVENT_INIT_ACK] = {[NO ... CW] = CE},
		[SCTP_EVENT_COOKIE_ECHO] = {[NO ... CW] = ES},
		[SCTP_EVENT_COOKIE_ACK] = {[NO] = ES, [CS] = ES, [CR] = ES, [CO] = ES, [CE] = ES},
		[SCTP_EVENT_SHUTDOWN] = {[NO] = SR, [ES] = SR},
		[SCTP_EVENT_SHUTDOWN_ACK] = {[NO] = CL, [I1] = IN, [ES] = CL, [SS] = CL, [SA] = CL},
		[SCTP_EVENT_SHUTDOWN_COMPLETE] = {[NO ... CR] = CL, [SR] = CL, [SA] = CL},
		[SCTP_EVENT_ERROR] = {[NO] = CL},
		[SCTP_EVENT_ABORT] = {[NO ... CR] = CL, [CW] = RJ, [CO ... CL] = CL},
	},
};

#undef NO
#undef I1
#undef IN
#undef CS
#undef CR
#undef CW
#undef CO
#undef CE
#undef ES
#undef SS
#undef SR
#undef SA
#undef RJ
#undef CL

static __always_inline __u8 sctp_state_next(__u8 direction, __u8 chunk, __u8 state)
{
	__u8 row = state < STATE_SCTP_INIT1 ? 0 : SCTP_ROW(state);
	__u8 event = chunk < sizeof(sctp_events) ? sctp_events[chunk] : SCTP_EVENT_DATA;
	__u8 next = sctp_next[direction & 3][event & 15][row & 15];

	return next ? next - 1 + STATE_SCTP_INIT1 : state;
}
