/* SPDX-License-Identifier: GPL-2.0 */
/* What the headers of the C library do not know yet. */
#ifndef REUSEPORT_UAPI_H
#define REUSEPORT_UAPI_H

#include <linux/inet_diag.h>
#include <linux/types.h>
#include <netinet/in.h>
#include <sys/socket.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP		262
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND		78
#endif

#ifdef SO_REUSEPORT_POLICY
#include <linux/reuseport.h>
#else
#define SO_REUSEPORT_POLICY		86
#define SO_REUSEPORT_MEMBER		87

#define REUSEPORT_POLICY_NAME_MAX	16
#define REUSEPORT_KEY_SADDR		1
#define REUSEPORT_KEY_SPORT		2
#define REUSEPORT_KEY_PAYLOAD		4
#define REUSEPORT_MEMBER_DRAIN		1

struct reuseport_policy_req {
	char	name[REUSEPORT_POLICY_NAME_MAX];
	__u32	key;
	__u32	flags;
	__u8	seed[16];
	__u32	idle_ms;
	__u32	deadline_ms;
	__u32	bound;
};

struct reuseport_member {
	__aligned_u64	id;
	__u32		weight;
	__u32		flags;
};

struct reuseport_member_stats {
	struct reuseport_member	member;
	__aligned_u64		selections;
};
#endif

#ifndef INET_DIAG_REUSEPORT_MAX
#define INET_DIAG_REUSEPORT		23
enum inet_diag_reuseport {
	INET_DIAG_REUSEPORT_UNSPEC,
	INET_DIAG_REUSEPORT_GROUP,
	INET_DIAG_REUSEPORT_MEMBERS,
	INET_DIAG_REUSEPORT_POLICY,
	INET_DIAG_REUSEPORT_ID,
	INET_DIAG_REUSEPORT_WEIGHT,
	INET_DIAG_REUSEPORT_FLAGS,
	INET_DIAG_REUSEPORT_SELECTIONS,
	INET_DIAG_REUSEPORT_PAD,
};

#define INET_DIAG_REUSEPORT_MAX		INET_DIAG_REUSEPORT_PAD
#endif

#endif /* REUSEPORT_UAPI_H */
