/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The side of the peers: a network namespace of one's own, connections that
 * write a known pattern, and a capture of what the server sends on the wire.
 */
#ifndef TAKEOVER_WIRE_H
#define TAKEOVER_WIRE_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "takeover_daemon.h"

#ifndef SOCK_DESTROY
#define SOCK_DESTROY	21
#endif

struct peer {
	int fd;
	__u64 sent;
	__u16 port;	/* its own, network order */
};

struct seen {
	int fin, rst;	/* segments from the server to this peer */
};

/* Loopback addresses as seen by the peers: "mapped" talks IPv4 to an IPv6
 * listener.
 */
static inline int peer_family(int family, bool mapped)
{
	return mapped ? AF_INET : family;
}

static inline int wire_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo" };
	int fd, err;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
	err = ioctl(fd, SIOCSIFFLAGS, &ifr) ? -errno : 0;
	close(fd);
	return err;
}

static inline int wire_capture(void)
{
	struct sockaddr_ll sll = { .sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL) };
	int fd, size = 64 << 20;

	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	sll.sll_ifindex = if_nametoindex("lo");
	if (bind(fd, (void *)&sll, sizeof(sll)))
		return -errno;
	return fd;
}

/* Adds up what has been captured so far; @port 0: all peers. Returns -1 if the
 * capture is not complete.
 */
static inline int wire_scan(int cap, __u16 port, struct seen *seen)
{
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	unsigned char b[128];
	int n, l4;

	while ((n = recv(cap, b, sizeof(b), MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		if ((b[0] >> 4) == 4 && b[9] == IPPROTO_TCP)
			l4 = (b[0] & 15) * 4;
		else if ((b[0] >> 4) == 6 && b[6] == IPPROTO_TCP)
			l4 = 40;
		else
			continue;
		if (memcmp(b + l4, (__u16 []){ htons(PORT) }, 2) ||
		    (port && memcmp(b + l4 + 2, &port, 2)))
			continue;
		seen->fin += b[l4 + 13] & 1;
		seen->rst += !!(b[l4 + 13] & 4);
	}
	if (getsockopt(cap, SOL_PACKET, PACKET_STATISTICS, &st, &len))
		return -1;
	return st.tp_drops ? -1 : 0;
}

/* Counter @name of the "TcpExt" or "Tcp" block, -1 if there is none. */
static inline long mib(const char *block, const char *name)
{
	static char names[16384], vals[16384];
	const char *file = strcmp(block, "Tcp") ? "/proc/self/net/netstat" :
						  "/proc/self/net/snmp";
	size_t n = strlen(block);
	char *a, *b, *sa, *sb;
	long val = -1;
	FILE *f;

	f = fopen(file, "r");
	if (!f)
		return -1;
	while (fgets(names, sizeof(names), f) && fgets(vals, sizeof(vals), f)) {
		if (strncmp(names, block, n) || names[n] != ':')
			continue;
		a = strtok_r(names, "\n ", &sa);
		b = strtok_r(vals, "\n ", &sb);
		while (a && b) {
			if (!strcmp(a, name))
				val = atol(b);
			a = strtok_r(NULL, "\n ", &sa);
			b = strtok_r(NULL, "\n ", &sb);
		}
	}
	fclose(f);
	return val;
}

static inline long ext(const char *name)
{
	return mib("TcpExt", name);
}

static inline int peer_connect(struct peer *p, int family)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(PORT),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a6);

	p->sent = 0;
	p->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return -errno;
	if (connect(p->fd, family == AF_INET ? (void *)&a4 : (void *)&a6,
		    family == AF_INET ? sizeof(a4) : sizeof(a6)))
		return -errno;
	if (getsockname(p->fd, (void *)&a6, &len))
		return -errno;
	p->port = a6.sin6_port;		/* same place in both */
	return 0;
}

/* Writes the next @len bytes of the pattern; returns how many went out. */
static inline int peer_send(struct peer *p, int len, int flags)
{
	unsigned char buf[16384];
	int done = 0, n, i;

	while (done < len) {
		int now = len - done;

		if (now > (int)sizeof(buf))
			now = sizeof(buf);
		for (i = 0; i < now; i++)
			buf[i] = pattern(p->sent + i);
		n = send(p->fd, buf, now, MSG_NOSIGNAL | flags);
		if (n < 0)
			return done ? done : -errno;
		p->sent += n;
		done += n;
	}
	return done;
}

/* Waits for the end of a connection that is to end: "FIN", "RST" or "none". */
static inline const char *peer_end(struct peer *p)
{
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	char c[64];
	int n;

	do {
		if (poll(&pfd, 1, DEADLINE_MS) < 1)
			return "none";
		n = recv(p->fd, c, sizeof(c), MSG_DONTWAIT);
	} while (n > 0);
	return n ? "RST" : "FIN";
}

/* Nothing has come in so far, good or bad. */
static inline bool peer_quiet(struct peer *p)
{
	char c;

	return recv(p->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == -1 &&
	       errno == EAGAIN;
}

/* All that was sent has been acknowledged by the server's kernel. */
static inline bool peer_flushed(struct peer *p)
{
	struct tcp_info ti;
	int i;

	for (i = 0; i < DEADLINE_MS; i++) {
		socklen_t len = sizeof(ti);

		if (getsockopt(p->fd, SOL_TCP, TCP_INFO, &ti, &len))
			return false;
		if (!ti.tcpi_unacked && !ti.tcpi_notsent_bytes)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

/* SOCK_DESTROY for the server's end of an IPv4 connection. Without its cookie
 * the kernel takes the listener if there is no such connection.
 */
static inline int destroy_server_end(struct peer *p, __u64 cookie)
{
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} msg = {
		.nlh = { .nlmsg_len = sizeof(msg), .nlmsg_type = SOCK_DESTROY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.req = { .sdiag_family = AF_INET,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_states = -1U,
			 .id = { .idiag_sport = htons(PORT),
				 .idiag_dport = p->port } },
	};
	char buf[512];
	struct nlmsghdr *nlh = (void *)buf;
	int fd, err;

	msg.req.id.idiag_cookie[0] = cookie;
	msg.req.id.idiag_cookie[1] = cookie >> 32;
	msg.req.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
	msg.req.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return -errno;
	if (send(fd, &msg, sizeof(msg), 0) < 0 ||
	    recv(fd, buf, sizeof(buf), 0) < (int)sizeof(*nlh))
		err = -errno;
	else
		err = ((struct nlmsgerr *)NLMSG_DATA(nlh))->error;
	close(fd);
	return err;
}

#endif /* TAKEOVER_WIRE_H */
