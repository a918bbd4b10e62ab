/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What include/uapi/linux/tcp.h says about TCP_TAKEOVER, for builds against
 * headers that do not have it.
 */
#ifndef TAKEOVER_UAPI_H
#define TAKEOVER_UAPI_H

#include <linux/types.h>
#include <linux/tcp.h>

#ifndef SOL_TCP
#define SOL_TCP			6
#endif

#ifndef TCP_TAKEOVER
#define TCP_TAKEOVER		47
#define TCP_TAKEOVER_INFO	48

#define TCP_TAKEOVER_EXIT	1
#define TCP_TAKEOVER_CLOSE	2
#define TCP_TAKEOVER_BUDGET_SHIFT	8
#define TCP_TAKEOVER_BUDGET_DEFAULT	2
#define TCP_TAKEOVER_BUDGET_NONE	255

struct tcp_takeover_info {
	__u32	tti_count;
	__u32	tti_reason;
	__u64	tti_bytes_consumed;
	__u64	tti_bytes_queued;
	__u64	tti_bytes_written;
	__u64	tti_bytes_unacked;
	__u32	tti_no_progress;
	__u32	tti_budget;
};
#endif

#define T_EXIT	TCP_TAKEOVER_EXIT
#define T_CLOSE	TCP_TAKEOVER_CLOSE
#define T_BOTH	(T_EXIT | T_CLOSE)
#define T_BUDGET(n)	((n) << TCP_TAKEOVER_BUDGET_SHIFT)

#endif /* TAKEOVER_UAPI_H */
