/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps: which socket of the group got the datagram, or the connection, of each
 * exporter.
 */
#ifndef REUSEPORT_MAP_H
#define REUSEPORT_MAP_H

#include "reuseport_lab.h"

/* --- maps --------------------------------------------------------------- */

static inline int send_from(int fd, int kind, int exporter, const void *data, int len)
{
	char cbuf[CMSG_SPACE(sizeof(struct in6_pktinfo))] = {};
	struct sockaddr_storage src, dst;
	struct iovec iov = { (void *)data, len };
	struct msghdr msg = {
		.msg_name = &dst,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = cbuf,
	};
	struct cmsghdr *c = (void *)cbuf;

	exporter_addr(&src, kind, exporter, 0);
	msg.msg_namelen = server_addr(&dst, kind, false);
	if (is_six(kind)) {
		struct in6_pktinfo *pi = (void *)CMSG_DATA(c);

		msg.msg_controllen = CMSG_SPACE(sizeof(*pi));
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(*pi));
		pi->ipi6_addr = ((struct sockaddr_in6 *)&src)->sin6_addr;
	} else {
		struct in_pktinfo *pi = (void *)CMSG_DATA(c);

		msg.msg_controllen = CMSG_SPACE(sizeof(*pi));
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(*pi));
		pi->ipi_spec_dst = ((struct sockaddr_in *)&src)->sin_addr;
	}
	return sendmsg(fd, &msg, 0) == len ? 0 : -1;
}

static inline int open_sender(int kind, int port)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6,
				     .sin6_port = htons(port) };
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port) };
	int fd;

	fd = socket(is_six(kind) ? AF_INET6 : AF_INET,
		    SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (is_six(kind))
		set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	if (is_six(kind) ? bind(fd, (void *)&sin6, sizeof(sin6)) :
			   bind(fd, (void *)&sin, sizeof(sin))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Reads what there is; the payload starts with the number of the exporter.
 * Returns the number of datagrams or -1 if one came twice.
 */
static inline int collect(struct group *g, short *map, int n)
{
	int i, got = 0;
	__u32 who;

	for (i = 0; i < g->n; i++) {
		while (g->fd[i] >= 0 &&
		       recv(g->fd[i], &who, sizeof(who), 0) >= 4) {
			if ((int)who >= n || map[who] >= 0)
				return -1;
			map[who] = i;
			got++;
		}
	}
	return got;
}

static inline int wait_readable(struct group *g, int extra)
{
	struct pollfd p[MAX_SOCKS + 1];
	int i;

	for (i = 0; i < g->n; i++)
		p[i] = (struct pollfd){ g->fd[i], POLLIN, 0 };
	p[g->n] = (struct pollfd){ extra, POLLIN | POLLERR, 0 };
	return poll(p, g->n + 1, DEADLINE_MS);
}

static inline int map_udp(struct group *g, int kind, short *map, int n, int port)
{
	int fd = open_sender(kind, port), sent = 0, got = 0, c;
	__u32 who;

	if (fd < 0)
		return -1;
	while (got < n) {
		for (; sent < n && sent - got < BATCH; sent++) {
			who = sent;
			if (send_from(fd, kind, sent, &who, sizeof(who)))
				goto err;
		}
		if (wait_readable(g, -1) <= 0)
			goto err;
		c = collect(g, map, n);
		if (c < 0)
			goto err;
		got += c;
	}
	close(fd);
	return 0;
err:
	close(fd);
	return -1;
}

static inline int connect_from(int kind, int exporter, int port, bool nonblock)
{
	struct sockaddr_storage src, dst;
	struct linger lin = { 1, 0 };
	socklen_t len;
	int fd;

	fd = socket(is_six(kind) ? AF_INET6 : AF_INET,
		    SOCK_STREAM | SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0),
		    0);
	if (fd < 0)
		return -1;
	if (is_six(kind))
		set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin));
	len = exporter_addr(&src, kind, exporter, port);
	if (bind(fd, (void *)&src, len))
		goto err;
	len = server_addr(&dst, kind, false);
	if (connect(fd, (void *)&dst, len) && errno != EINPROGRESS)
		goto err;
	return fd;
err:
	close(fd);
	return -1;
}

/* Which exporter is at the other end. */
static inline int peer_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	if (getpeername(fd, (void *)&ss, &len))
		return -1;
	if (ss.ss_family == AF_INET6) {
		struct in6_addr *a = &((struct sockaddr_in6 *)&ss)->sin6_addr;

		return a->s6_addr[14] << 8 | a->s6_addr[15];
	}
	return ntohl(((struct sockaddr_in *)&ss)->sin_addr.s_addr) - 0x7f010001;
}

/* Accepts what there is. */
static inline int accept_all(struct group *g, short *map, int n)
{
	int i, fd, who, got = 0;

	for (i = 0; i < g->n; i++) {
		while (g->fd[i] >= 0 && (fd = accept(g->fd[i], 0, 0)) >= 0) {
			who = peer_of(fd);
			close(fd);
			if (who < 0 || who >= n || map[who] >= 0)
				return -1;
			map[who] = i;
			got++;
		}
	}
	return got;
}

static inline int accept_until(struct group *g, short *map, int n, int want)
{
	int got = 0, c;

	while (got < want) {
		if (wait_readable(g, -1) <= 0)
			return -1;
		c = accept_all(g, map, n);
		if (c < 0)
			return -1;
		got += c;
	}
	return 0;
}

static inline int map_tcp(struct group *g, int kind, short *map, int n, int port)
{
	int i, fd, ret;

	for (i = 0; i < n; i++) {
		fd = connect_from(kind, i, port, false);
		if (fd < 0)
			return -1;
		ret = accept_until(g, map, n, 1);
		close(fd);
		if (ret)
			return -1;
	}
	return 0;
}

static inline int map_group(struct group *g, int kind, short *map, int n, int port)
{
	int i;

	for (i = 0; i < n; i++)
		map[i] = -1;
	return is_tcp(kind) ? map_tcp(g, kind, map, n, port) :
			      map_udp(g, kind, map, n, port);
}

static inline int count(const short *map, int n, int who)
{
	int i, c = 0;

	for (i = 0; i < n; i++)
		c += map[i] == who;
	return c;
}

static inline int differ(const short *a, const short *b, int n)
{
	int i, c = 0;

	for (i = 0; i < n; i++)
		c += a[i] != b[i];
	return c;
}

#endif /* REUSEPORT_MAP_H */
