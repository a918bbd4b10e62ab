/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A lab for SO_REUSEPORT_POLICY and SO_REUSEPORT_MEMBER: a network namespace
 * with exporters and the members of a group.
 *
 * Exporters are source addresses in 127/8 or fd00::/64, collectors are the
 * sockets of one group.
 */
#ifndef REUSEPORT_LAB_H
#define REUSEPORT_LAB_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "reuseport_uapi.h"

#define MAX_SOCKS	300
#define MAX_EXPORTERS	4096
#define BATCH		64
#define PORT		4739
#define EXPORTER_PORT	20000
#define DEADLINE_MS	20000

enum { UDP4, UDP6, TCP4, TCP6, DUAL };		/* DUAL: IPv4 to a v6 socket */

static const char seed_a[16] = "seed of the lab.";
static const char seed_b[16] = "another seed ...";

struct group {
	int n;
	int fd[MAX_SOCKS];
};

struct opts {
	int kind;
	__u64 id;			/* 0 with weight 0: no MEMBER at all */
	__u32 weight;
	__u32 flags;
	const char *policy;		/* NULL: none */
	__u32 key;
	const char *seed;
};

/* How many of something, and how many on a kernel whose detectors make all of it
 * slow: there the log is what a test is for.
 */
static inline int many(int usually, int slow)
{
	return getenv("TELESTEER_SLOW") ? slow : usually;
}

static inline bool is_tcp(int kind)
{
	return kind == TCP4 || kind == TCP6;
}

static inline bool is_six(int kind)
{
	return kind == UDP6 || kind == TCP6;
}

/* --- the namespace ------------------------------------------------------ */

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	close(fd);
	return ret;
}

/* Each address of fd00::/64 is local. */
static inline int add_local_route(void)
{
	struct {
		struct nlmsghdr n;
		struct rtmsg r;
		char buf[128];
	} req = {
		.n.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
		.n.nlmsg_type = RTM_NEWROUTE,
		.n.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK,
		.r.rtm_family = AF_INET6,
		.r.rtm_dst_len = 64,
		.r.rtm_table = RT_TABLE_LOCAL,
		.r.rtm_protocol = RTPROT_BOOT,
		.r.rtm_scope = RT_SCOPE_HOST,
		.r.rtm_type = RTN_LOCAL,
	};
	struct {
		struct nlmsghdr n;
		struct nlmsgerr e;
		char buf[256];
	} ack;
	struct in6_addr dst;
	struct rtattr *a;
	int lo = 1, fd, ret = -1;

	inet_pton(AF_INET6, "fd00::", &dst);
	a = (void *)((char *)&req + NLMSG_ALIGN(req.n.nlmsg_len));
	a->rta_type = RTA_DST;
	a->rta_len = RTA_LENGTH(sizeof(dst));
	memcpy(RTA_DATA(a), &dst, sizeof(dst));
	req.n.nlmsg_len = NLMSG_ALIGN(req.n.nlmsg_len) + RTA_ALIGN(a->rta_len);
	a = (void *)((char *)&req + req.n.nlmsg_len);
	a->rta_type = RTA_OIF;
	a->rta_len = RTA_LENGTH(sizeof(lo));
	memcpy(RTA_DATA(a), &lo, sizeof(lo));
	req.n.nlmsg_len += RTA_ALIGN(a->rta_len);

	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (fd < 0)
		return -1;
	if (send(fd, &req, req.n.nlmsg_len, 0) >= 0 &&
	    recv(fd, &ack, sizeof(ack), 0) > 0)
		ret = ack.e.error;
	close(fd);
	return ret;
}

static inline int new_netns(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	struct rlimit nofile = { 8192, 8192 };
	int fd, ret;

	setrlimit(RLIMIT_NOFILE, &nofile);
	if (unshare(CLONE_NEWNET))
		return -1;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0)
		return -1;
	ret = ioctl(fd, SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
	ret |= ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return ret ?: add_local_route();
}

static inline int drop_capability(int cap)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	if (syscall(__NR_capget, &h, d))
		return -1;
	d[cap / 32].effective &= ~(1U << cap % 32);
	return syscall(__NR_capset, &h, d);
}

static inline long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* A counter of /proc/net/netstat, of this thread's namespace. */
static inline long long mib(const char *name)
{
	char head[8192], line[8192], *h, *l, *hs, *ls;
	long long val = -1;
	FILE *f = fopen("/proc/thread-self/net/netstat", "r");

	if (!f)
		return -1;
	while (val < 0 && fgets(head, sizeof(head), f) &&
	       fgets(line, sizeof(line), f)) {
		h = strtok_r(head, "\n ", &hs);
		l = strtok_r(line, "\n ", &ls);
		while (h && l) {
			if (!strcmp(h, name)) {
				val = atoll(l);
				break;
			}
			h = strtok_r(NULL, "\n ", &hs);
			l = strtok_r(NULL, "\n ", &ls);
		}
	}
	fclose(f);
	return val;
}

/* --- addresses ---------------------------------------------------------- */

static inline socklen_t exporter_addr(struct sockaddr_storage *ss, int kind,
				      int i, int port)
{
	struct sockaddr_in6 *sin6 = (void *)ss;
	struct sockaddr_in *sin = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (is_six(kind)) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		inet_pton(AF_INET6, "fd00::1:0", &sin6->sin6_addr);
		sin6->sin6_addr.s6_addr[14] = i >> 8;
		sin6->sin6_addr.s6_addr[15] = i;
		return sizeof(*sin6);
	}
	sin->sin_family = AF_INET;
	sin->sin_port = htons(port);
	sin->sin_addr.s_addr = htonl(0x7f010001 + i);
	return sizeof(*sin);
}

static inline socklen_t server_addr(struct sockaddr_storage *ss, int kind, bool bound)
{
	struct sockaddr_in6 *sin6 = (void *)ss;
	struct sockaddr_in *sin = (void *)ss;

	memset(ss, 0, sizeof(*ss));
	if (is_six(kind) || (bound && kind == DUAL)) {
		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(PORT);
		if (!bound)
			inet_pton(AF_INET6, "fd00::1", &sin6->sin6_addr);
		return sizeof(*sin6);
	}
	sin->sin_family = AF_INET;
	sin->sin_port = htons(PORT);
	if (!bound)
		sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*sin);
}

/* --- members ------------------------------------------------------------ */

static inline int set_int(int fd, int level, int name, int val)
{
	return setsockopt(fd, level, name, &val, sizeof(val));
}

static inline int set_policy(int fd, const char *name, __u32 key, const char *seed)
{
	struct reuseport_policy_req req = { .key = key };

	snprintf(req.name, sizeof(req.name), "%s", name);
	if (seed)
		memcpy(req.seed, seed, sizeof(req.seed));
	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT_POLICY, &req,
			  sizeof(req));
}

static inline int set_member(int fd, __u64 id, __u32 weight, __u32 flags)
{
	struct reuseport_member m = { id, weight, flags };

	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT_MEMBER, &m, sizeof(m));
}

static inline int get_member(int fd, struct reuseport_member_stats *st)
{
	socklen_t len = sizeof(*st);

	return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT_MEMBER, st, &len);
}

static inline int set_drain(int fd, bool on)
{
	struct reuseport_member_stats st;

	if (get_member(fd, &st))
		return -1;
	return set_member(fd, st.member.id, st.member.weight,
			  on ? REUSEPORT_MEMBER_DRAIN : 0);
}

static inline unsigned long long selections(int fd)
{
	struct reuseport_member_stats st = {};

	get_member(fd, &st);
	return st.selections;
}

static inline const char *policy_of(int fd)
{
	static char name[REUSEPORT_POLICY_NAME_MAX];
	socklen_t len = sizeof(name);

	if (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT_POLICY, name, &len))
		return "error";
	return name;
}

static inline int key_of(int fd)
{
	struct reuseport_policy_req req;
	socklen_t len = sizeof(req);

	if (getsockopt(fd, SOL_SOCKET, SO_REUSEPORT_POLICY, &req, &len) ||
	    len != sizeof(req))
		return -1;
	return req.key;
}

static inline int open_socket(int kind)
{
	int family = is_six(kind) || kind == DUAL ? AF_INET6 : AF_INET;
	int type = is_tcp(kind) ? SOCK_STREAM : SOCK_DGRAM;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, kind != DUAL);
	if (!is_tcp(kind))
		set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20);
	return fd;
}

static inline int open_member(const struct opts *o)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	fd = open_socket(o->kind);
	if (fd < 0)
		return -1;
	if ((o->id || o->weight) && set_member(fd, o->id, o->weight, o->flags))
		goto err;
	if (o->policy && set_policy(fd, o->policy, o->key, o->seed))
		goto err;
	len = server_addr(&ss, o->kind, true);
	if (bind(fd, (void *)&ss, len))
		goto err;
	if (is_tcp(o->kind) && listen(fd, 1024))
		goto err;
	return fd;
err:
	close(fd);
	return -1;
}

static inline void close_group(struct group *g)
{
	int i;

	for (i = 0; i < g->n; i++) {
		if (g->fd[i] >= 0)
			close(g->fd[i]);
		g->fd[i] = -1;
	}
}

/* n members with the ids 11, 12, ... */
static inline int open_group(struct group *g, int n, const struct opts *tmpl)
{
	struct opts o = *tmpl;
	int i;

	g->n = n;
	for (i = 0; i < n; i++)
		g->fd[i] = -1;
	for (i = 0; i < n; i++) {
		o.id = tmpl->id ? tmpl->id + i : 0;
		g->fd[i] = open_member(&o);
		if (g->fd[i] < 0)
			return -1;
	}
	return 0;
}

#endif /* REUSEPORT_LAB_H */
