/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Who gets a new connection: the destination that the scheduler picks, or for a
 * persistent service the one its template names. The first connection of a network
 * of clients makes the template, for as long as the service says; each further one
 * makes it last that long again.
 */
#pragma once

#include "flood.h"
#include "leave.h"
#include "service.h"
#include "sip.h"
#include "template.h"

/* Not an error: nobody has chosen yet. No reason has its number. */
#define SCHEDULE 0x300

static __always_inline const struct version *service_version(const struct service *s)
{
	union unit *u = unit_get(READ_ONCE(s->version) & ((1 << VERSION_UNIT_BITS) - 1));

	return u ? &u->version : NULL;
}

/* How a connection says which template is its own: by a note where its address does
 * not tell, as the mask is no prefix or there is a Call-ID. */
static __always_inline __u8 control_of(const struct making *m, const struct version *v,
				       const __u8 family)
{
	__u32 host = ~bpf_ntohl(v->mask);

	if (m->call.len || (family == FAMILY_V4 && host & (host + 1)))
		return CONTROL_NOTED;
	return v->prefix_len + 1;
}

/* The key of the note lies where the connection to be will have its own. */
static __always_inline struct flow *child_key(struct making *m, const struct pkt *p,
					      const __u8 family)
{
	flow_forward(p, &m->conn.flow, family);
	m->conn.flow.rport = family;
	return &m->conn.flow;
}

/* Notes the template of a connection to be. */
static __always_inline bool leash_note(struct making *m, const struct pkt *p, const __u8 family)
{
	struct leash_note note = {.port = m->pkt.sport};

	if (family == FAMILY_V6)
		note.net = m->pkt.saddr;
	else
		note.net.w[0] = m->pkt.saddr.w[0];
	return !bpf_map_update_elem(&leash_notes, child_key(m, p, family), &note, BPF_ANY);
}

/* Forgets it, as nothing has come of it. */
static __always_inline void choice_forget(struct making *m, const struct pkt *p,
					  const __u8 family)
{
	if (m->choice.control == CONTROL_NOTED)
		bpf_map_delete_elem(&leash_notes, child_key(m, p, family));
}

/*
 * The packet as its template would be found by: from the client's network, to the
 * VIP and to the port if the service has one. Of FTP (RFC 959) one template is for
 * control and data, whose port only the two ends know; of SIP each is for a Call-ID,
 * where others have port 0.
 */
static __always_inline void template_packet(struct making *m, const struct pkt *p,
					    const struct service *s, const struct version *v,
					    const __u8 family)
{
	struct pkt *t = &m->pkt;

	t->family = family;
	t->proto = p->proto | TEMPLATE;
	t->sport = m->call.len ? m->call_digest : 0;
	t->dport = p->dport == s->key.port && p->dport != bpf_htons(FTP_PORT) ? p->dport : 0;
	t->saddr = p->saddr;
	t->daddr = p->daddr;
	if (family == FAMILY_V6)
		addr_truncate(&t->saddr, v->prefix_len, family);
	else
		t->saddr.w[0] &= v->mask;
	if (s->key.fwmark) {
		t->proto = TEMPLATE;
		t->dport = 0;
		addr_mark(&t->daddr, s->key.fwmark);
	}
}

/* Whether a template still leads to its destination. */
static __always_inline bool template_leads(const struct dst *d)
{
	struct settings *set = settings_get();

	if (!(d->flags & DST_AVAILABLE))
		return false;
	return !(d->flags & DST_QUIESCENT) || !set ||
	       !set->sysctl[SYSCTL_EXPIRE_QUIESCENT_TEMPLATE];
}

/* Finds the template and renews it. */
static __always_inline bool template_find(struct making *m, __u32 now, const __u8 family)
{
	struct birth_lock *lock = birth_lock_get(m->template.hash);
	struct dst_conf *c;
	struct conn_ref t;

	if (!lock ||
	    !conn_open(conn_seek(&m->template.flow, &m->pkt, m->template.hash, now, family),
		       &m->template.flow, &m->pkt, now, &t, family))
		return false;
	m->choice.dst = t.conn->dst;
	c = dst_conf_get(m->choice.dst);
	if (!c)
		return false;
	m->choice.method = c->method;
	if (template_leads(t.dst))
		return template_renew(t.conn, t.life, lock, now, m->choice.control);
	template_retire(t.conn, t.life, lock);
	return false;
}

/* Looks for what was decided before: 0 if a template says who gets the packet,
 * SCHEDULE if the scheduler is to, or what became of the packet. */
static __always_inline int service_consult(const struct pkt *p, const struct service *s,
					   __u32 now, const __u8 family)
{
	const struct version *v = service_version(s);
	struct making *m = making_get();
	struct choice *c;

	if (!v || !m)
		return -REASON_NO_DESTINATION;
	c = &m->choice;
	__builtin_memset(c, 0, sizeof(*c));
	c->one_packet = v->flags & SVC_ONEPACKET && p->proto == IPPROTO_UDP;
	if (c->one_packet && CTX_IS_XDP)
		return REASON_SLOW_PATH; /* which would schedule it once more */
	if (!(v->flags & SVC_PERSISTENT)) /* of FTP's data nothing is known */
		return s->key.fwmark || p->dport == s->key.port ? SCHEDULE : LEAVE;
	c->persistent = true;
	if (!c->one_packet)
		c->control = control_of(m, v, family);
	if (p->dport != s->key.port)
		c->flags = CONN_SAME_PORT;
	template_packet(m, p, s, v, family);
	if (c->control == CONTROL_NOTED && !leash_note(m, p, family))
		c->control = 0; /* it holds none */
	flow_forward(&m->pkt, &m->template.flow, family);
	m->template.hash = client_hash(&m->template.flow);
	return template_find(m, now, family) ? 0 : SCHEDULE;
}

/* Remembers a Call-ID as that of a template. */
static __always_inline void call_note(const struct making *m, const __u8 family)
{
	struct call_key key = {
		.client = m->template.flow.key, .vaddr = m->template.flow.vaddr,
		.proto = m->template.flow.proto, .family = family, .dst = m->choice.dst,
	};

	bpf_map_update_elem(&call_ids, &key, &m->call, BPF_ANY);
}

/* Makes a template of what the scheduler has chosen. */
static __always_inline int template_make(const struct service *s, __u32 now, const __u8 family)
{
	const struct version *v = service_version(s);
	struct making *m = making_get();
	struct birth *b;
	struct dst *d;
	int rc;

	if (!v || !m)
		return -REASON_NO_DESTINATION;
	d = dst_get(m->choice.dst);
	if (!d)
		return -REASON_NO_DESTINATION;
	b = &m->template;
	b->dst = m->choice.dst;
	b->now = now;
	b->life.word = 0;
	b->life.flags = CONN_LIVE;
	b->life.expires = jiffies_after(now, v->timeout);
	b->control = v->timeout >> 16;
	b->nexthop = v->timeout;
	b->nexthop_stamp = m->choice.control != 0;
	rc = conn_birth(b, &m->pkt, family);
	if (rc == BIRTH_NEW) {
		__sync_fetch_and_add(&d->persistent, 1);
		dst_came(b->dst, d);
		count(REASON_NEW_TEMPLATE);
		if (m->call.len)
			call_note(m, family);
		return 0;
	}
	/* another CPU has just made it */
	return rc == BIRTH_EXISTS && template_find(m, now, family) ? 0 : -REASON_TABLE_FULL;
}

/* Functions of their own for the verifier's sake. */
__noinline int service_consult4(const struct pkt *p, const struct service *s, __u32 now)
{
	return p && s ? service_consult(p, s, now, FAMILY_V4) : -REASON_NO_DESTINATION;
}

__noinline int service_consult6(const struct pkt *p, const struct service *s, __u32 now)
{
	return p && s ? service_consult(p, s, now, FAMILY_V6) : -REASON_NO_DESTINATION;
}

__noinline int template_make4(const struct service *s, __u32 now)
{
	return s ? template_make(s, now, FAMILY_V4) : -REASON_NO_DESTINATION;
}

__noinline int template_make6(const struct service *s, __u32 now)
{
	return s ? template_make(s, now, FAMILY_V6) : -REASON_NO_DESTINATION;
}

/* Chooses a destination for a new connection, and holds the template if there is
 * one: 0, or what became of the packet. */
static __always_inline int service_choose(CTX *ctx, const struct pkt *p, struct service *s,
					  struct making *m, __u32 now, const __u8 family)
{
	const struct version *v = service_version(s);
	int rc;

	m->call.len = 0;
	if (v && v->engine[0] && v->flags & SVC_PERSISTENT) {
		if (CTX_IS_XDP)
			return REASON_SLOW_PATH;
		rc = sip_read(ctx, p);
		if (rc)
			return rc;
	}
	rc = family == FAMILY_V6 ? service_consult6(p, s, now) : service_consult4(p, s, now);
	if (rc != SCHEDULE)
		return rc;
	rc = service_pick(s, p, &m->entry);
	if (rc) /* what may be data of FTP is not refused for want of a server */
		return s->key.port == bpf_htons(FTP_PORT) && p->dport != s->key.port ? LEAVE : rc;
	m->choice.dst = m->entry.dst;
	m->choice.method = m->entry.method;
	if (!m->choice.persistent)
		return 0;
	rc = family == FAMILY_V6 ? template_make6(s, now) : template_make4(s, now);
	if (rc == -REASON_TABLE_FULL && room_made(&m->template, family))
		rc = family == FAMILY_V6 ? template_make6(s, now) : template_make4(s, now);
	return rc;
}
