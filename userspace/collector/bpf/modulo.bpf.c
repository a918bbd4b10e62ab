// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 OR MIT
/*
 * Source address modulo N, the way telemetry operators steer a SO_REUSEPORT
 * group today: the exporter's address picks a slot, the slot holds the socket
 * of one collector, and an empty slot refuses the exporter. It exists to be
 * compared with; the policies of the kernel series replace it.
 *
 * One instance per (transport, family, port): a socket array only takes
 * sockets of one group. user space fills `members` (slot -> socket) and
 * `modulo` (its only element is N).
 *
 * The object next to this file is kept in the tree, so that building the
 * collector needs no clang. `make` here builds it again with the toolbox's
 * clang (19), and `make check` fails if that gives other bytes.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define SLOTS		256
#define IPV4_SADDR	12	/* offset of the source address in the header */
#define IPV6_SADDR	8

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
	__type(value, __u32);
} modulo SEC(".maps");

/* Finalizer of murmur3: every input bit reaches every output bit. */
static __always_inline __u32 mix(__u32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return h;
}

SEC("sk_reuseport")
int select_by_source(struct sk_reuseport_md *md)
{
	__u32 zero = 0, words = 1, offset = IPV4_SADDR, hash = 0, slot;
	__u32 saddr[4] = {};
	__u32 *n;

	if (md->eth_protocol == bpf_htons(ETH_P_IPV6)) {
		words = 4;
		offset = IPV6_SADDR;
	} else if (md->eth_protocol != bpf_htons(ETH_P_IP)) {
		return SK_DROP;
	}
	if (bpf_skb_load_bytes_relative(md, offset, saddr,
					words == 4 ? 16 : 4, BPF_HDR_START_NET))
		return SK_DROP;

	/* Chained, so that permuted words of an address differ. */
	hash = mix(saddr[0] + 0x9e3779b9);
	if (words == 4) {
		hash = mix(hash ^ saddr[1]);
		hash = mix(hash ^ saddr[2]);
		hash = mix(hash ^ saddr[3]);
	}

	n = bpf_map_lookup_elem(&modulo, &zero);
	if (!n || !*n)
		return SK_DROP;
	slot = hash % *n;
	if (bpf_sk_select_reuseport(md, &members, &slot, 0))
		return SK_DROP;
	return SK_PASS;
}

char _license[] SEC("license") = "GPL";
