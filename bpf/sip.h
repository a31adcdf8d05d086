/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The persistence engine `sip`: what a template is known by, beside the client, is
 * the Call-ID of a SIP message over UDP (RFC 3261, section 20.8). Its header is
 * looked for in the first bytes of the message, one byte at a step, by a machine that
 * knows where in a line it is. It reads as IPVS does: names in any case, the short
 * form too, lines ended by CR, LF or both, and an identifier that is a word, or two
 * with an @ between.
 */
#pragma once

#include "making.h"

enum sip_at {
	SIP_LINE,    /* in a line that does not matter */
	SIP_CR,	     /* behind a CR */
	SIP_START,   /* at the start of a line */
	SIP_NAME,    /* in what may be "Call-ID" */
	SIP_SHORT,   /* behind an i that may be all of the name */
	SIP_COLON,   /* behind the name */
	SIP_VALUE,   /* behind the colon */
	SIP_WORD,    /* in the identifier */
	SIP_HOST,    /* behind its @ */
	SIP_HOST_IN, /* and in the second word */
	SIP_FOUND,   /* behind it */
	SIP_NONE,    /* no identifier that could be used */
};

static const char sip_name[8] = "call-id";

#define SIP_NAME_LEN 7

static __always_inline bool is_letter(__u8 c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* What an identifier is made of (RFC 3261, "word"). */
static __always_inline bool is_word(__u8 c)
{
	/* bits of the characters from 32 on, and from 64 on without letters */
	const __u32 low = 1U << ('!' - 32) | 1U << ('"' - 32) | 1U << ('%' - 32) |
			  1U << ('\'' - 32) | 1U << ('(' - 32) | 1U << (')' - 32) |
			  1U << ('*' - 32) | 1U << ('+' - 32) | 1U << ('-' - 32) |
			  1U << ('.' - 32) | 1U << ('/' - 32) | 0x3ffU << ('0' - 32) |
			  1U << (':' - 32) | 1U << ('<' - 32) | 1U << ('>' - 32) |
			  1U << ('?' - 32);

	if (is_letter(c))
		return true;
	if (c < 64)
		return c >= 32 && low >> (c - 32) & 1;
	return c == '[' || c == '\\' || c == ']' || c == '_' || c == '`' || c == '{' ||
	       c == '}' || c == '~';
}

static __always_inline bool is_end(__u8 c)
{
	return c == '\r' || c == '\n';
}

/* Where in a line that does not matter a character leads. */
static __always_inline __u32 sip_line(__u8 c)
{
	return c == '\r' ? SIP_CR : c == '\n' ? SIP_START : SIP_LINE;
}

static __always_inline __u32 sip_start(struct making *m, __u8 c)
{
	m->sip.seen = 1;
	if ((c | 0x20) == 'c')
		return SIP_NAME;
	return (c | 0x20) == 'i' ? SIP_SHORT : SIP_LINE;
}

static __always_inline __u32 sip_colon(__u8 c)
{
	return c == ':' ? SIP_VALUE : c == ' ' || c == '\t' ? SIP_COLON : SIP_NONE;
}

static __always_inline __u32 sip_take(struct making *m, __u8 c, __u32 at)
{
	__u32 len = m->sip.len;

	m->sip.digest = (m->sip.digest ^ c) * 0x100000001b3;
	m->sip.digest ^= m->sip.digest >> 29;
	if (len >= CALL_ID_MAX)
		return SIP_NONE;
	m->call.text[len] = c;
	m->sip.len = len + 1;
	return at;
}

static __always_inline __u32 sip_next(struct making *m, __u8 c)
{
	switch (m->sip.at) {
	case SIP_CR:
		return c == '\n' ? SIP_START : sip_start(m, c);
	case SIP_START:
		return sip_start(m, c);
	case SIP_NAME:
		if ((c | (is_letter(c) ? 0x20 : 0)) != sip_name[m->sip.seen & 7])
			return sip_line(c);
		return ++m->sip.seen == SIP_NAME_LEN ? SIP_COLON : SIP_NAME;
	case SIP_SHORT:
		return is_letter(c) ? SIP_LINE : sip_colon(c);
	case SIP_COLON:
		return sip_colon(c);
	case SIP_VALUE:
		if (c == ' ' || c == '\t')
			return SIP_VALUE;
		return is_word(c) ? sip_take(m, c, SIP_WORD) : sip_line(c);
	case SIP_WORD:
		if (c == '@')
			return sip_take(m, c, SIP_HOST);
		if (is_word(c))
			return sip_take(m, c, SIP_WORD);
		return is_end(c) ? SIP_FOUND : SIP_NONE;
	case SIP_HOST:
		return is_word(c) ? sip_take(m, c, SIP_HOST_IN) : SIP_NONE;
	case SIP_HOST_IN:
		if (is_word(c))
			return sip_take(m, c, SIP_HOST_IN);
		return is_end(c) ? SIP_FOUND : SIP_NONE;
	}
	return sip_line(c);
}

struct sip_walk {
	struct making *making;
};

static long sip_step(__u32 i, struct sip_walk *w)
{
	struct making *m = w->making;

	m->sip.at = sip_next(m, m->text[i & (SIP_READ - 1)]);
	return m->sip.at >= SIP_FOUND;
}

/*
 * Reads the Call-ID of the message at hand into the making: 0, or the reason why
 * there is none. A function of its own for the verifier's sake.
 */
__noinline int sip_read(CTX *ctx, const struct pkt *p)
{
	struct making *m = making_get();
	struct sip_walk w = {.making = m};
	__u32 from, len;
	__u64 digest;

	if (!p || !m || p->quote || p->proto != IPPROTO_UDP)
		return -REASON_NO_CALL_ID;
	from = p->l4 + sizeof(struct udphdr);
	len = L3_OFFSET + p->len;
	if (len <= from)
		return -REASON_NO_CALL_ID;
	len = len - from < SIP_READ ? len - from : SIP_READ;
	/* so that the verifier sees it too, that of Linux 6.1 from 1 on */
	KEEP_VALUE(len);
	len = ((len - 1) & (SIP_READ - 1)) + 1;
	if (ctx_load(ctx, from, m->text, len))
		return -REASON_NO_CALL_ID;
	m->sip.at = SIP_LINE;
	m->sip.len = 0;
	m->sip.digest = conf_seed[0];
	bpf_loop(len, sip_step, &w, 0);
	if (m->sip.at != SIP_FOUND)
		return -REASON_NO_CALL_ID;
	digest = m->sip.digest;
	m->call.len = m->sip.len;
	m->call_digest = digest ^ digest >> 16 ^ digest >> 32 ^ digest >> 48;
	return 0;
}
