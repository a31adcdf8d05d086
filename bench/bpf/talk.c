//go:build ignore

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * Two ends of TCP conversations that cost next to nothing, so that what is measured
 * is who stands between them. The client's end answers a SYN/ACK by a request, and
 * the end of the answer by its own; the server's end answers a SYN, a request with
 * all there is to say and the end, and the client's end. All that they need to know
 * is in the packet that they answer:
 *
 *	client   SYN          request        FIN
 *	server        SYN/ACK        data+FIN     ACK
 *
 * Numbers and checksums are right, since a proxy between them speaks TCP with both.
 * Whatever calls for no answer is dropped. Request and answer have six bytes, which
 * make the smallest frame of Ethernet full.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SAID 6
#define FRAME_LEN (ETH_HLEN + 20 + 20 + SAID)
#define SERVER_BEGINS 2000
#define WINDOW 65535

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

/* What the client's end has seen. */
struct talked {
	__u64 answers;
	__u64 resets;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct talked);
} talks SEC(".maps");

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
	__u8 said[SAID];
} __attribute__((packed));
_Static_assert(sizeof(struct frame) == FRAME_LEN, "the smallest frame");

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* What has come: the flags of a segment and how much it says; 0 if it is none. */
static __always_inline __u32 segment_read(struct xdp_md *ctx, __u32 *said)
{
	void *end = (void *)(long)ctx->data_end;
	struct frame *f = (void *)(long)ctx->data;

	if ((void *)f + offsetof(struct frame, said) > end)
		return 0;
	if (f->eth.h_proto != bpf_htons(ETH_P_IP) || f->ip.protocol != IPPROTO_TCP || f->ip.ihl != 5)
		return 0;
	*said = bpf_ntohs(f->ip.tot_len) - sizeof(f->ip) - f->tcp.doff * 4;
	return ((__u8 *)&f->tcp)[13];
}

/* Turns the frame round, with flags, and something said or nothing; what came took so
 * many numbers of the sequence. */
static __always_inline int segment_answer(struct xdp_md *ctx, __u8 flags, __u32 said, __u32 took)
{
	__u32 length = ctx->data_end - ctx->data;
	__u8 mac[ETH_ALEN];
	struct frame *f;
	__be32 word;
	__be16 port;
	__u32 sum;

	if (length != FRAME_LEN && bpf_xdp_adjust_tail(ctx, FRAME_LEN - (int)length))
		return XDP_ABORTED;
	f = (void *)(long)ctx->data;
	if ((void *)(f + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;

	__builtin_memcpy(mac, f->eth.h_dest, ETH_ALEN);
	__builtin_memcpy(f->eth.h_dest, f->eth.h_source, ETH_ALEN);
	__builtin_memcpy(f->eth.h_source, mac, ETH_ALEN);

	word = f->ip.saddr;
	f->ip.saddr = f->ip.daddr;
	f->ip.daddr = word;
	f->ip.tos = 0;
	f->ip.tot_len = bpf_htons(40 + said);
	f->ip.id = 0;
	f->ip.frag_off = bpf_htons(0x4000);
	f->ip.ttl = 64;
	f->ip.check = 0;
	f->ip.check = csum_fold(bpf_csum_diff(NULL, 0, (void *)&f->ip, sizeof(f->ip), 0));

	port = f->tcp.source;
	f->tcp.source = f->tcp.dest;
	f->tcp.dest = port;
	word = f->tcp.seq;
	f->tcp.seq = flags & SYN ? bpf_htonl(SERVER_BEGINS) : f->tcp.ack_seq;
	f->tcp.ack_seq = bpf_htonl(bpf_ntohl(word) + took);
	((__u8 *)&f->tcp)[12] = 5 << 4;
	((__u8 *)&f->tcp)[13] = flags;
	f->tcp.window = bpf_htons(WINDOW);
	f->tcp.check = 0;
	f->tcp.urg_ptr = 0;
	__builtin_memset(f->said, said ? 'x' : 0, SAID);

	/* addresses; protocol and length; all but the last two bytes; these */
	sum = bpf_csum_diff(NULL, 0, (void *)f + offsetof(struct frame, ip.saddr), 8,
			    bpf_htons(IPPROTO_TCP) + bpf_htons(20 + said));
	sum = bpf_csum_diff(NULL, 0, (void *)&f->tcp, 24, sum);
	sum = (sum & 0xffff) + (sum >> 16) + *(__u16 *)&f->said[4];
	f->tcp.check = csum_fold(sum);
	/* not XDP_TX: veth would wait for an XDP program at its other end */
	return bpf_redirect(ctx->ingress_ifindex, 0);
}

SEC("xdp")
int client_end(struct xdp_md *ctx)
{
	__u32 zero = 0, said = 0, flags = segment_read(ctx, &said);
	struct talked *t = bpf_map_lookup_elem(&talks, &zero);

	if (!flags || !t)
		return XDP_PASS;
	if (flags & RST) {
		t->resets++;
		return XDP_DROP;
	}
	if (flags & SYN)
		return segment_answer(ctx, PSH | ACK, SAID, 1);
	if (said)
		t->answers++;
	if (flags & FIN)
		return segment_answer(ctx, FIN | ACK, 0, said + 1);
	return XDP_DROP;
}

SEC("xdp")
int server_end(struct xdp_md *ctx)
{
	__u32 said = 0, flags = segment_read(ctx, &said);

	if (!flags)
		return XDP_PASS;
	if (flags & RST)
		return XDP_DROP;
	if (flags & SYN)
		return segment_answer(ctx, SYN | ACK, 0, 1);
	if (said)
		return segment_answer(ctx, FIN | PSH | ACK, SAID, said + !!(flags & FIN));
	if (flags & FIN)
		return segment_answer(ctx, ACK, 0, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
