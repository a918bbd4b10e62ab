// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
/*
 * Rendezvous hashing on the source address, for kernels without policies: each
 * slot draws a number for the exporter and the best slot that holds a socket
 * wins. When a collector dies only its exporters move, nobody is refused, and
 * when it returns to its slot it gets exactly those back.
 *
 * One instance per (transport, family, port): a socket array only takes
 * sockets of one group. User space fills `members` (slot -> socket) and `shape`;
 * select_weighted also reads `weights` (slot -> share, 0: nothing). A dead
 * socket leaves its slot by itself. Both programs also place requests and
 * unaccepted children of a listener that closes.
 *
 * A draw is splitmix64: the state steps by an odd constant from slot to slot,
 * and the finalizer is a bijection, so that no two slots draw the same number.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define SLOTS		256
#define ATTEMPTS	16	/* slots tried before the kernel's hash decides */
#define IPV4_SADDR	12	/* offset of the source address in the header */
#define IPV6_SADDR	8
#define STEP		0x9e3779b97f4a7c15ULL
#define AF_INET6	10

struct shape {
	__u64 slots;		/* the first ones, in use or not */
	__u64 seed;
};

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct shape);
} shape SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, __u32);
} weights SEC(".maps");

static __always_inline __u64 mix(__u64 x)
{
	x ^= x >> 32;
	x *= STEP;
	x ^= x >> 29;
	x *= STEP;
	return x;
}

/* What the draws of an exporter start from; -1 if the address is not there. */
static __always_inline int digest(struct sk_reuseport_md *md, __u64 seed,
				   __u64 *out)
{
	struct bpf_sock *child = md->migrating_sk;
	__u64 saddr[2] = {};

	if (child && child->family == AF_INET6) {
		saddr[0] = (__u64)child->dst_ip6[1] << 32 | child->dst_ip6[0];
		saddr[1] = (__u64)child->dst_ip6[3] << 32 | child->dst_ip6[2];
	} else if (child) {
		saddr[0] = child->dst_ip4;
	} else if (md->eth_protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes_relative(md, IPV6_SADDR, saddr, 16,
						BPF_HDR_START_NET))
			return -1;
	} else if (bpf_skb_load_bytes_relative(md, IPV4_SADDR, saddr, 4,
					       BPF_HDR_START_NET)) {
		return -1;
	}
	*out = mix(mix(seed ^ saddr[0]) ^ saddr[1]);
	return 0;
}

/* The best slot among those that drew less than @below; -1: there is none. The
 * verifier looks at it once, not once per attempt.
 */
__noinline int next_best(__u64 first, __u32 n, __u64 below)
{
	__u64 draw, state = first, best = 0;
	int slot = -1;
	__u32 i;

	for (i = 0; i < SLOTS && i < n; i++) {
		draw = mix(state);
		if (draw >= best && draw < below) {
			best = draw;
			slot = i;
		}
		state += STEP;
	}
	return slot;
}

SEC("sk_reuseport/migrate")
int select_rendezvous(struct sk_reuseport_md *md)
{
	__u64 draw, state, first, best = 0;
	__u32 zero = 0, slot = 0, i, n;
	struct shape *s;
	int next;

	s = bpf_map_lookup_elem(&shape, &zero);
	if (!s || digest(md, s->seed, &first))
		return SK_PASS;
	n = s->slots;

	state = first;
	for (i = 0; i < SLOTS && i < n; i++) {
		draw = mix(state);
		if (draw >= best) {
			best = draw;
			slot = i;
		}
		state += STEP;
	}

	for (i = 0; i < ATTEMPTS; i++) {
		if (!bpf_sk_select_reuseport(md, &members, &slot, 0))
			return SK_PASS;
		/* That slot is empty. */
		next = next_best(first, n, mix(first + slot * STEP));
		if (next < 0)
			break;
		slot = next;
	}
	return SK_PASS;	/* nobody selected: the kernel's hash decides */
}

/* log2(1 + i / 64) in units of 2^-24. */
static const __u32 logs[65 + 1] = {
	0, 375270, 744810, 1108793, 1467383, 1820738,
	2169009, 2512340, 2850868, 3184728, 3514044, 3838941,
	4159533, 4475935, 4788255, 5096595, 5401057, 5701737,
	5998727, 6292118, 6581994, 6868440, 7151536, 7431359,
	7707984, 7981483, 8251926, 8519380, 8783912, 9045584,
	9304457, 9560591, 9814042, 10064867, 10313120, 10558852,
	10802114, 11042956, 11281425, 11517568, 11751428, 11983051,
	12212479, 12439752, 12664911, 12887994, 13109041, 13328087,
	13545168, 13760320, 13973576, 14184969, 14394532, 14602297,
	14808293, 15012551, 15215099, 15415967, 15615181, 15812769,
	16008758, 16203172, 16396036, 16587377, 16777216, 16777216,
};

/* 1 unit more than -log2(draw / 2^32) in units of 2^-24; the error is below 2^-14.
 * By itself, so that the verifier looks at its branches once, not once per slot:
 * that took a second for each socket.
 */
__noinline __u32 cost(__u32 draw)
{
	__u32 x = draw | 1, power = 31, at, rest;

	if (!(x >> 16)) {
		x <<= 16;
		power -= 16;
	}
	if (!(x >> 24)) {
		x <<= 8;
		power -= 8;
	}
	if (!(x >> 28)) {
		x <<= 4;
		power -= 4;
	}
	if (!(x >> 30)) {
		x <<= 2;
		power -= 2;
	}
	if (!(x >> 31)) {
		x <<= 1;
		power -= 1;
	}
	/* The bits after the leading one: 6 pick from the table, 25 the rest. */
	at = x >> 25 & 63;
	rest = x << 7 >> 16;	/* 16 of the 25 */
	return 1 + ((32 - power) << 24) - logs[at] -
	       ((__u64)(logs[at + 1] - logs[at]) * rest >> 16);
}

/* What a draw costs a slot; it is @price / @weight that counts. */
struct offer {
	__u32 price;
	__u32 weight;
};

static __always_inline struct offer offer(__u64 first, __u32 slot)
{
	__u32 *weight = bpf_map_lookup_elem(&weights, &slot);
	struct offer of = {};

	if (weight)
		of.weight = *weight;
	if (of.weight)
		of.price = cost(mix(first + slot * STEP) >> 32);
	return of;
}

/* A search for the best offer among those that are worse than @price / @weight. */
struct search {
	__u64 first;
	struct offer best;
	__u32 price;
	__u32 weight;
	int slot;
};

static long consider(__u64 i, struct search *s)
{
	struct offer of = offer(s->first, i);

	if (!of.weight ||
	    (__u64)of.price * s->weight <= (__u64)s->price * of.weight)
		return 0;
	if (s->slot < 0 || (__u64)of.price * s->best.weight <
			   (__u64)s->best.price * of.weight) {
		s->best = of;
		s->slot = i;
	}
	return 0;
}

/* The slot with that offer; -1: there is none. The verifier looks at one turn of
 * bpf_loop(), where it would look at each one of a loop.
 */
__noinline int next_offer(__u64 first, __u32 n, __u32 price, __u32 weight)
{
	struct search s = {
		.first = first, .price = price, .weight = weight, .slot = -1,
	};

	bpf_loop(n < SLOTS ? n : SLOTS, consider, &s, 0);
	return s.slot;
}

SEC("sk_reuseport/migrate")
int select_weighted(struct sk_reuseport_md *md)
{
	struct offer best = { .weight = 1 };
	__u32 zero = 0, slot, i, n;
	struct shape *s;
	__u64 first;
	int next;

	s = bpf_map_lookup_elem(&shape, &zero);
	if (!s || digest(md, s->seed, &first))
		return SK_PASS;
	n = s->slots;

	for (i = 0; i < ATTEMPTS; i++) {
		next = next_offer(first, n, best.price, best.weight);
		if (next < 0)
			break;
		slot = next;
		if (!bpf_sk_select_reuseport(md, &members, &slot, 0))
			return SK_PASS;
		best = offer(first, slot);
	}
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
