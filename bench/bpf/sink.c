//go:build ignore

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0)
/*
 * The sink: where packets that were forwarded end. It counts and drops them. XDP
 * is the cheapest end for all, also for packets that the kernel's stack sent on.
 *
 * Counted is what comes with the server's address; a router that floods or a
 * stack that asks for neighbours would count for nothing.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define SHOWN 128

struct arrivals {
	__u64 packets;
	__u64 strangers; /* to another address */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct arrivals);
} arrived SEC(".maps");

/* What user space sets: the last two bytes of the server's MAC address, as they
 * lie in memory; and whether frames are to be kept. */
__u16 mine;
__u16 keeping;

/* The last frame that was kept, its beginning. */
struct kept {
	__u32 length;
	__u8 bytes[SHOWN];
};
struct kept last;

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 zero = 0, length = end - data;
	struct arrivals *a = bpf_map_lookup_elem(&arrived, &zero);

	if (!a || data + 14 > end)
		return XDP_DROP;
	if (*(__u16 *)(data + 4) != mine) {
		a->strangers++;
		return XDP_DROP;
	}
	a->packets++;
	if (keeping) {
		last.length = length;
		if (length > SHOWN)
			length = SHOWN;
		if (length >= 14)
			bpf_xdp_load_bytes(ctx, 0, last.bytes, length);
	}
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
