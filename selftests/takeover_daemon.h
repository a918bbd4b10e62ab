/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A server process that does what the test tells it, one command at a time,
 * so that tests read as a sequence: "a" accepts, "a" reads, "a" is killed.
 */
#ifndef TAKEOVER_DAEMON_H
#define TAKEOVER_DAEMON_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "takeover_uapi.h"

#define DEADLINE_MS	60000
#define MAX_SESSIONS	256
#define PORT		1790

enum op {
	OP_LISTEN,	/* a: TCP_TAKEOVER or -1, b: backlog, c: fsuid for it */
	OP_ACCEPT,	/* a: wait in ms */
	OP_READ,	/* a: session, b: length; checks the pattern */
	OP_PEEK,	/* a: session, b: length */
	OP_WRITE,	/* a: session, b: length */
	OP_CLOSE,	/* a: session, -1: listener */
	OP_SHUTDOWN,	/* a: session, b: how */
	OP_SETOPT,	/* a: session, b: level, c: option, d: value */
	OP_GETOPT,	/* a: session, b: level, c: option */
	OP_ULP,		/* a: session */
	OP_LINGER,	/* a: session: reset at close */
	OP_SOCKMAP,	/* a: session */
	OP_RELISTEN,	/* a: session: disconnect */
	OP_FORK,	/* a: 1: the child keeps sessions, 2: the listener */
	OP_PASS,	/* a: session: send it to the test as SCM_RIGHTS */
	OP_SETUID,	/* a: uid */
	OP_EXEC,
	OP_EXIT,
	OP_SEGV,
};

struct cmd {
	enum op op;
	int a, b, c, d;
};

struct rep {
	int ret;	/* result or -errno */
	__u64 cookie;
	int takeover;
	struct tcp_takeover_info info;
};

struct daemon {
	pid_t pid;
	int ctl;
};

/* Byte number i of every stream. */
static inline unsigned char pattern(__u64 i)
{
	return (i * 7 + (i >> 8) * 3 + (i >> 16)) & 0xff;
}

static inline int one_opt(int fd, int level, int opt, int val)
{
	return setsockopt(fd, level, opt, &val, sizeof(val)) ? -errno : 0;
}

/* v4-mapped peers reach an IPv6 listener that is not v6only. */
static inline int make_listener(int family, int val, int backlog, int uid)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(PORT) };
	struct sockaddr_in a4 = { .sin_family = AF_INET,
				  .sin_port = htons(PORT) };
	int fd, err;

	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = one_opt(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err)
		err = one_opt(fd, SOL_SOCKET, SO_RCVBUF, 1 << 18);
	if (uid)
		setfsuid(uid);
	if (!err && val >= 0)
		err = one_opt(fd, SOL_TCP, TCP_TAKEOVER, val);
	if (uid)
		setfsuid(0);
	if (!err && bind(fd, family == AF_INET ? (void *)&a4 : (void *)&a6,
			 family == AF_INET ? sizeof(a4) : sizeof(a6)))
		err = -errno;
	if (!err && backlog >= 0 && listen(fd, backlog))
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static inline void fill_rep(int fd, struct rep *rep)
{
	socklen_t len = sizeof(rep->cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &rep->cookie, &len);
	len = sizeof(rep->takeover);
	getsockopt(fd, SOL_TCP, TCP_TAKEOVER, &rep->takeover, &len);
	len = sizeof(rep->info);
	getsockopt(fd, SOL_TCP, TCP_TAKEOVER_INFO, &rep->info, &len);
}

static inline int do_accept(int lfd, int wait_ms)
{
	struct pollfd pfd = { .fd = lfd, .events = POLLIN };
	struct timeval tv = { .tv_sec = DEADLINE_MS / 1000 };
	int fd;

	if (poll(&pfd, 1, wait_ms) < 1)
		return -EAGAIN;
	fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

/* Returns the number of bytes that were as they should be. */
static inline int do_read(int fd, __u64 *pos, int len, int flags)
{
	unsigned char buf[65536];
	int done = 0, n, i;

	while (done < len) {
		int want = len - done;

		if (want > (int)sizeof(buf))
			want = sizeof(buf);
		n = recv(fd, buf, want, flags);
		if (n < 0)
			return done ? done : -errno;
		if (!n)
			return done;
		for (i = 0; i < n; i++)
			if (buf[i] != pattern(*pos + done + i))
				return -EBADMSG;
		done += n;
		if (flags & MSG_PEEK)
			return done;
	}
	*pos += done;
	return done;
}

static inline int do_sockmap(int fd)
{
#ifdef __NR_bpf
	struct {
		__u32 type, key_size, value_size, max_entries;
		char rest[100];
	} create = { .type = 15 /* BPF_MAP_TYPE_SOCKMAP */, .key_size = 4,
		     .value_size = 4, .max_entries = 1 };
	struct {
		__u32 map_fd, pad;
		__u64 key, value, flags;
	} update = { 0 };
	__u32 key = 0, value = fd;
	int map;

	map = syscall(__NR_bpf, 0 /* BPF_MAP_CREATE */, &create, 72);
	if (map < 0)
		return -errno;
	update.map_fd = map;
	update.key = (uintptr_t)&key;
	update.value = (uintptr_t)&value;
	if (syscall(__NR_bpf, 2 /* BPF_MAP_UPDATE_ELEM */, &update,
		    sizeof(update)))
		return -errno;
	return map;
#else
	return -EOPNOTSUPP;
#endif
}

static inline int do_pass(int ctl, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 }, dummy = 0;
	struct iovec iov = { .iov_base = &dummy, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = space,
			      .msg_controllen = sizeof(space) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(ctl, &msg, 0) < 0 ? -errno : 0;
}

static inline void daemon_main(int ctl, int family)
{
	struct linger lin = { .l_onoff = 1 };
	struct sockaddr sa = { .sa_family = AF_UNSPEC };
	int fds[MAX_SESSIONS], n = 0, lfd = -1, fd, i;
	__u64 pos[MAX_SESSIONS] = { 0 };
	struct cmd cmd;
	struct rep rep;

	while (recv(ctl, &cmd, sizeof(cmd), 0) == sizeof(cmd)) {
		memset(&rep, 0, sizeof(rep));
		fd = cmd.a == -1 ? lfd : cmd.a < n ? fds[cmd.a] : -1;

		switch (cmd.op) {
		case OP_LISTEN:
			lfd = make_listener(family, cmd.a, cmd.b, cmd.c);
			rep.ret = lfd < 0 ? lfd : 0;
			break;
		case OP_ACCEPT:
			fd = do_accept(lfd, cmd.a);
			rep.ret = fd;
			if (fd < 0)
				break;
			fill_rep(fd, &rep);
			pos[n] = rep.info.tti_bytes_consumed;
			fds[n] = fd;
			rep.ret = n++;
			break;
		case OP_READ:
			rep.ret = do_read(fd, &pos[cmd.a], cmd.b, 0);
			break;
		case OP_PEEK:
			rep.ret = do_read(fd, &pos[cmd.a], cmd.b, MSG_PEEK);
			break;
		case OP_WRITE: {
			char buf[1024] = { 0 };

			rep.ret = send(fd, buf, cmd.b, MSG_NOSIGNAL);
			if (rep.ret < 0)
				rep.ret = -errno;
			break;
		}
		case OP_CLOSE:
			rep.ret = close(fd) ? -errno : 0;
			break;
		case OP_SHUTDOWN:
			rep.ret = shutdown(fd, cmd.b) ? -errno : 0;
			break;
		case OP_SETOPT:
			rep.ret = one_opt(fd, cmd.b, cmd.c, cmd.d);
			break;
		case OP_GETOPT: {
			socklen_t len = sizeof(rep.ret);

			if (getsockopt(fd, cmd.b, cmd.c, &rep.ret, &len))
				rep.ret = -errno;
			fill_rep(fd, &rep);
			break;
		}
		case OP_ULP:
			rep.ret = setsockopt(fd, SOL_TCP, TCP_ULP, "tls", 3) ?
				  -errno : 0;
			break;
		case OP_LINGER:
			rep.ret = setsockopt(fd, SOL_SOCKET, SO_LINGER, &lin,
					     sizeof(lin)) ? -errno : 0;
			break;
		case OP_SOCKMAP:
			rep.ret = do_sockmap(fd);
			break;
		case OP_RELISTEN:
			rep.ret = connect(fd, &sa, sizeof(sa)) ? -errno : 0;
			break;
		case OP_FORK:
			rep.ret = fork();
			if (rep.ret)
				break;
			prctl(PR_SET_PDEATHSIG, 0);
			if (cmd.a == 1) {
				/* holds the sessions and nothing else */
				close(lfd);
				close(ctl);
				for (;;)
					pause();
			}
			/* becomes a daemon with the same listener */
			for (i = 0; i < n; i++)
				close(fds[i]);
			n = 0;
			close(ctl);
			ctl = cmd.b;
			continue;
		case OP_PASS:
			rep.ret = do_pass(ctl, fd);
			break;
		case OP_SETUID:
			rep.ret = setuid(cmd.a) ? -errno : 0;
			break;
		case OP_EXEC:
			execl("/bin/true", "true", NULL);
			rep.ret = -errno;
			break;
		case OP_EXIT:
			exit(0);
		case OP_SEGV:
			raise(SIGSEGV);
		}
		if (send(ctl, &rep, sizeof(rep), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

/* @spare: socket that a second daemon forked off this one will use. */
static inline int daemon_start_spare(struct daemon *d, int family, int spare)
{
	struct timeval tv = { .tv_sec = DEADLINE_MS / 1000 };
	struct rlimit no_core = { 0 };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return -errno;
	d->pid = fork();
	if (d->pid < 0)
		return -errno;
	if (!d->pid) {
		int fd, max = sv[1] > spare ? sv[1] : spare;

		/* Hold nothing of the test: its peers must see the FIN. */
		for (fd = 3; fd <= max + MAX_SESSIONS; fd++)
			if (fd != sv[1] && fd != spare)
				close(fd);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setrlimit(RLIMIT_CORE, &no_core);
		daemon_main(sv[1], family);
	}
	close(sv[1]);
	d->ctl = sv[0];
	setsockopt(d->ctl, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return 0;
}

static inline int daemon_start(struct daemon *d, int family)
{
	return daemon_start_spare(d, family, -1);
}

static inline void tell(struct daemon *d, enum op what, int a, int b, int c,
			int e)
{
	struct cmd cmd = { what, a, b, c, e };

	if (send(d->ctl, &cmd, sizeof(cmd), MSG_NOSIGNAL) < 0)
		perror("tell");
}

static inline int answer(struct daemon *d, struct rep *rep)
{
	struct rep dummy;

	if (!rep)
		rep = &dummy;
	memset(rep, 0, sizeof(*rep));
	if (recv(d->ctl, rep, sizeof(*rep), 0) != sizeof(*rep))
		return rep->ret = -EPIPE;
	return rep->ret;
}

static inline int ask(struct daemon *d, struct rep *rep, enum op what, int a,
		      int b, int c, int e)
{
	tell(d, what, a, b, c, e);
	return answer(d, rep);
}

static inline int d_accept(struct daemon *d, struct rep *rep)
{
	return ask(d, rep, OP_ACCEPT, DEADLINE_MS, 0, 0, 0);
}

/* Nothing is in the queue and nothing can be on its way. */
static inline bool d_no_accept(struct daemon *d)
{
	return ask(d, NULL, OP_ACCEPT, 0, 0, 0, 0) == -EAGAIN;
}

static inline int d_read(struct daemon *d, int session, int len)
{
	return ask(d, NULL, OP_READ, session, len, 0, 0);
}

static inline int d_listen(struct daemon *d, int val, int backlog)
{
	return ask(d, NULL, OP_LISTEN, val, backlog, 0, 0);
}

/* Task work, and so the hand-over, is done before the parent hears of it. */
static inline void d_reap(struct daemon *d)
{
	waitpid(d->pid, NULL, 0);
	close(d->ctl);
}

static inline void d_kill(struct daemon *d)
{
	kill(d->pid, SIGKILL);
	d_reap(d);
}

#endif /* TAKEOVER_DAEMON_H */
