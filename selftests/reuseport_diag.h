/* SPDX-License-Identifier: GPL-2.0 */
/* What sock_diag says about a socket: a dump, and the attribute
 * INET_DIAG_REUSEPORT taken apart.
 */
#ifndef REUSEPORT_DIAG_H
#define REUSEPORT_DIAG_H

#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include "reuseport_lab.h"

#define DIAG_UDP	0x080	/* TCP_CLOSE: an unconnected one */
#define DIAG_LISTEN	0x400
#define DIAG_ALL	0xffffffff	/* bound and idle TCP sockets too */

struct diag {
	int seen;		/* messages about the socket */
	int attrs;		/* INET_DIAG_REUSEPORT in them */
	int strange;		/* attributes in there that are not known */
	bool mark;		/* INET_DIAG_MARK: the reader had CAP_NET_ADMIN */
	bool has[INET_DIAG_REUSEPORT_MAX + 1];
	__u32 group;
	__u32 members;
	char policy[64];
	__u64 id;
	__u32 weight;
	__u32 flags;
	__u64 selections;
};

static inline __u64 cookie_of(int fd)
{
	socklen_t len = sizeof(__u64);
	__u64 cookie = 0;

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len);
	return cookie;
}

static inline int diag_open(void)
{
	int size = 4 << 20;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			NETLINK_SOCK_DIAG);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return fd;
}

/* Takes a value only if it has just the length it should have. */
static inline void diag_value(struct diag *d, const struct rtattr *a,
			      void *to, size_t len)
{
	if (RTA_PAYLOAD(a) != len) {
		d->strange++;
		return;
	}
	memcpy(to, RTA_DATA(a), len);
	d->has[a->rta_type] = true;
}

static inline void diag_nest(struct diag *d, struct rtattr *nest)
{
	struct rtattr *a = RTA_DATA(nest);
	int left = RTA_PAYLOAD(nest);

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		switch (a->rta_type) {
		case INET_DIAG_REUSEPORT_GROUP:
			diag_value(d, a, &d->group, 4);
			break;
		case INET_DIAG_REUSEPORT_MEMBERS:
			diag_value(d, a, &d->members, 4);
			break;
		case INET_DIAG_REUSEPORT_POLICY:
			snprintf(d->policy, sizeof(d->policy), "%.*s",
				 (int)RTA_PAYLOAD(a), (char *)RTA_DATA(a));
			d->has[a->rta_type] = true;
			break;
		case INET_DIAG_REUSEPORT_ID:
			diag_value(d, a, &d->id, 8);
			break;
		case INET_DIAG_REUSEPORT_WEIGHT:
			diag_value(d, a, &d->weight, 4);
			break;
		case INET_DIAG_REUSEPORT_FLAGS:
			diag_value(d, a, &d->flags, 4);
			break;
		case INET_DIAG_REUSEPORT_SELECTIONS:
			diag_value(d, a, &d->selections, 8);
			break;
		case INET_DIAG_REUSEPORT_PAD:
			break;
		default:
			d->strange++;
		}
	}
	d->strange += left != 0;
}

static inline void diag_message(struct diag *d, struct nlmsghdr *nlh,
				__u64 cookie)
{
	struct inet_diag_msg *msg = NLMSG_DATA(nlh);
	struct rtattr *a = (void *)(msg + 1);
	int left = nlh->nlmsg_len - NLMSG_LENGTH(sizeof(*msg));

	if (msg->id.idiag_cookie[0] != (__u32)cookie ||
	    msg->id.idiag_cookie[1] != (__u32)(cookie >> 32))
		return;

	d->seen++;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == INET_DIAG_MARK)
			d->mark = true;
		if ((a->rta_type & ~NLA_F_NESTED) != INET_DIAG_REUSEPORT)
			continue;
		d->attrs++;
		if (a->rta_type & NLA_F_NESTED)
			diag_nest(d, a);
	}
}

/* Asks for all sockets, or for the one @req says, and keeps what is told about
 * the one with @cookie. Returns the number of messages or -errno.
 */
static inline int diag_run(int nl, struct inet_diag_req_v2 *req, bool dump,
			   __u64 cookie, struct diag *d)
{
	static __thread char buf[65536];
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} ask = {
		.nlh = { .nlmsg_len = sizeof(ask),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0) },
		.req = *req,
	};
	struct nlmsghdr *nlh;
	int n, messages = 0;

	memset(d, 0, sizeof(*d));
	if (send(nl, &ask, sizeof(ask), 0) < 0)
		return -errno;
	for (;;) {
		n = recv(nl, buf, sizeof(buf), 0);
		if (n < 0)
			return -errno;
		for (nlh = (void *)buf; NLMSG_OK(nlh, n);
		     nlh = NLMSG_NEXT(nlh, n)) {
			if (nlh->nlmsg_type == NLMSG_DONE)
				return messages;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return ((struct nlmsgerr *)
					NLMSG_DATA(nlh))->error ?: -EPROTO;
			diag_message(d, nlh, cookie);
			messages++;
			if (!dump)
				return messages;
		}
	}
}

static inline int diag_family(int kind)
{
	return is_six(kind) || kind == DUAL ? AF_INET6 : AF_INET;
}

/* What a dump of sockets of that kind says about @fd. */
static inline int diag_dump(int nl, int kind, __u32 states, int fd,
			    struct diag *d)
{
	struct inet_diag_req_v2 req = {
		.sdiag_family = diag_family(kind),
		.sdiag_protocol = is_tcp(kind) ? IPPROTO_TCP : IPPROTO_UDP,
		.idiag_ext = 0xff,
		.idiag_states = states,
	};

	return diag_run(nl, &req, true, cookie_of(fd), d);
}

/* The same by a request for just that socket, which must be alone in its
 * group: the kernel looks the address up.
 */
static inline int diag_one(int nl, int kind, int fd, struct diag *d)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	__u64 cookie = cookie_of(fd);
	struct inet_diag_req_v2 req = {
		.sdiag_family = diag_family(kind),
		.sdiag_protocol = is_tcp(kind) ? IPPROTO_TCP : IPPROTO_UDP,
		.idiag_ext = 0xff,
		.idiag_states = DIAG_ALL,
		.id = { .idiag_cookie = { cookie, cookie >> 32 } },
	};

	if (getsockname(fd, (void *)&ss, &len))
		return -errno;
	/* The port is at one place in both families. UDP has the two ends the
	 * other way round, for historical reasons.
	 */
	req.id.idiag_sport = ((struct sockaddr_in *)&ss)->sin_port;
	if (!is_tcp(kind)) {
		req.id.idiag_dport = req.id.idiag_sport;
		req.id.idiag_sport = htons(9);
	}
	return diag_run(nl, &req, false, cookie, d);
}

#endif /* REUSEPORT_DIAG_H */
