//go:build ignore

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * The harness: a program that makes a packet and hands it to the program
 * under measurement.
 *
 * BPF_PROG_TEST_RUN runs one program over one buffer again and again. A load
 * balancer measured that way would see one flow, and after the first run a
 * packet it has already translated. So the harness stands in front: each run
 * writes a pristine packet of the next flow over the buffer and tail-calls
 * the target. The cost of a target is the cost of (harness + target) minus
 * that of (harness + the empty program), both run in the same minute over the
 * same flows in the same order.
 *
 * Two things make the difference honest. The flows come from a list that user
 * space fills and the harness reads from front to back, so that it costs the
 * same however many flows there are, and all cache misses left are the
 * target's. And the packet is written with stores that cover every field a
 * target is likely to load in one piece: a load across two recent stores
 * stalls the processor, a price no packet from a network card would have.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The smallest Ethernet frame: 64 bytes, less the 4 of the check sequence. */
#define FRAME_LEN 60

#define OFF_DMAC_LAST 5  /* the last byte of the destination MAC */
#define OFF_IP 14
#define OFF_TTL 22       /* TTL, protocol, header checksum */
#define OFF_IP_CSUM 24
#define OFF_ADDRS 26     /* source and destination address */
#define OFF_PORTS 34     /* source and destination port */
#define OFF_SEQ 38
#define OFF_FLAGS 46
#define OFF_TCP_CSUM 50

/* A frame with the client's address and port left zero, and what is needed to
 * fill them in: the two checksums' sums so far, and where the client goes. */
struct frame {
	__u8 bytes[64];
	__u32 ip_sum;
	__u32 tcp_sum;
	__u32 addr_shift; /* 0: the client is the source; 32: the destination */
	__u32 port_shift; /* 0 or 16 */
};

/* What user space asks for. */
struct run_plan {
	struct frame frames[2];
	__u32 flows;     /* how many entries of the list are walked */
	__u32 alternate; /* 0: frames[0] only; 1: both in turn */
};

/* What happened. */
struct run_tally {
	__u64 runs;
	/* Packets the target has sent on: each run looks at what the run before
	 * left behind, so the last packet of a call is never counted. */
	__u64 forwarded;
	__u32 position;
	__u32 lap;
};

struct run_plan plan;
struct run_tally tally;

/* One flow: the client's address in the low half, its port above it, both in
 * network order. The order of this list is the order of the packets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

#define STORE(type, at, value) (*(volatile type *)(data + (at)) = (value))
#define FRAME(type, at) (*(const type *)(f->bytes + (at)))

static __always_inline __u16 csum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void frame_write(void *data, const struct frame *f, __u64 flow)
{
	__u64 addr = (__u32)flow;
	__u32 port = (flow >> 32) & 0xffff;
	__u32 addr_sum = (addr & 0xffff) + (addr >> 16);
	__u32 ip_csum = csum_fold(f->ip_sum + addr_sum);
	__u32 tcp_csum = csum_fold(f->tcp_sum + addr_sum + port);

	STORE(__u64, 0, FRAME(__u64, 0));
	STORE(__u32, 8, FRAME(__u32, 8));
	STORE(__u16, 12, FRAME(__u16, 12));
	STORE(__u64, OFF_IP, FRAME(__u64, OFF_IP));
	STORE(__u32, OFF_TTL, FRAME(__u16, OFF_TTL) | ip_csum << 16);
	STORE(__u64, OFF_ADDRS, FRAME(__u64, OFF_ADDRS) | addr << (f->addr_shift & 63));
	STORE(__u32, OFF_PORTS, FRAME(__u32, OFF_PORTS) | port << (f->port_shift & 31));
	STORE(__u64, OFF_SEQ, FRAME(__u64, OFF_SEQ));
	STORE(__u32, OFF_FLAGS, FRAME(__u32, OFF_FLAGS));
	STORE(__u32, OFF_TCP_CSUM, tcp_csum);
	STORE(__u32, 54, 0);
	STORE(__u16, 58, 0);
}

/* The place in the list for this run, and on to the next. */
static __always_inline __u32 position_next(void)
{
	__u32 at = tally.position;

	if (at + 1 < plan.flows) {
		tally.position = at + 1;
	} else {
		tally.position = 0;
		tally.lap++;
	}
	return at;
}

SEC("xdp")
int harness(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	const struct frame *f;
	__u32 at, which;
	__u64 *flow;

	if (data + FRAME_LEN > end)
		return XDP_ABORTED;
	tally.forwarded += *(__u8 *)(data + OFF_DMAC_LAST) != plan.frames[0].bytes[OFF_DMAC_LAST];

	/* A target that encapsulates leaves a longer frame behind. */
	if (end - data != FRAME_LEN) {
		if (bpf_xdp_adjust_head(ctx, (int)(end - data) - FRAME_LEN))
			return XDP_ABORTED;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		if (data + FRAME_LEN > end)
			return XDP_ABORTED;
	}

	/* Alternation also turns with every lap, so that each flow is met in
	 * both directions, and never twice in a row. */
	which = tally.lap;
	at = position_next();
	which = (which ^ at) & plan.alternate & 1;
	flow = bpf_map_lookup_elem(&flows, &at);
	if (!flow)
		return XDP_ABORTED;
	f = &plan.frames[which];
	frame_write(data, f, *flow);
	tally.runs++;

	bpf_tail_call(ctx, &target, 0);
	return XDP_ABORTED;
}

/* What is subtracted. */
SEC("xdp")
int empty(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
