// SPDX-License-Identifier: GPL-2.0
/*
 * TCP_TAKEOVER: a process dies, its connections go on.
 *
 * Every test runs with and without the option. Without it the connection must
 * end: a test that cannot see that proves nothing with the option either.
 */
#define _GNU_SOURCE
#include "takeover_wire.h"

#include "kselftest_harness.h"

FIXTURE(takeover)
{
	int cap;
	struct daemon a, b, c;
	struct peer p;
	struct rep rep;
	struct seen seen;
};

FIXTURE_VARIANT(takeover)
{
	int family;
	bool mapped;
	bool on;
};

FIXTURE_VARIANT_ADD(takeover, v4)
{
	.family = AF_INET, .mapped = false, .on = true,
};

FIXTURE_VARIANT_ADD(takeover, v4_off)
{
	.family = AF_INET, .mapped = false, .on = false,
};

FIXTURE_VARIANT_ADD(takeover, v6)
{
	.family = AF_INET6, .mapped = false, .on = true,
};

FIXTURE_VARIANT_ADD(takeover, v6_off)
{
	.family = AF_INET6, .mapped = false, .on = false,
};

FIXTURE_VARIANT_ADD(takeover, v4_mapped)
{
	.family = AF_INET6, .mapped = true, .on = true,
};

FIXTURE_VARIANT_ADD(takeover, v4_mapped_off)
{
	.family = AF_INET6, .mapped = true, .on = false,
};

#define OPT(_val)	(variant->on ? (_val) : 0)

FIXTURE_SETUP(takeover)
{
	ASSERT_EQ(0, wire_up());
	self->cap = wire_capture();
	ASSERT_LE(0, self->cap);
	memset(&self->seen, 0, sizeof(self->seen));

	if (ext("TCPTakeoverExit") < 0)
		SKIP(return, "kernel has no TCP_TAKEOVER");

	ASSERT_EQ(0, daemon_start(&self->a, variant->family));
	ASSERT_EQ(0, daemon_start(&self->b, variant->family));
}

/* Daemons die with the test (PR_SET_PDEATHSIG). */
FIXTURE_TEARDOWN(takeover)
{
}

static int connect_to(struct daemon *d, struct peer *p, int family,
		      struct rep *rep)
{
	int err;

	err = peer_connect(p, family);
	return err ?: d_accept(d, rep);
}

/* "a" has accepted a session and then "b" begins to listen. */
#define BEGIN(_val)							\
do {									\
	int _opt = OPT(_val);						\
									\
	ASSERT_EQ(0, d_listen(&self->a, _opt, 64));			\
	ASSERT_EQ(0, connect_to(&self->a, &self->p,			\
				peer_family(variant->family,		\
					    variant->mapped),		\
				&self->rep));				\
	EXPECT_EQ(_opt, self->rep.takeover);				\
	ASSERT_EQ(0, d_listen(&self->b, _opt, 64));			\
} while (0)

/* The session has gone to @_d, which reads @_n bytes of what is queued and
 * then some that are sent now. Nothing was seen on the wire.
 */
#define EXPECT_KEPT(_d, _n)						\
do {									\
	__u64 _cookie = self->rep.cookie;				\
	struct daemon *_heir = (_d);					\
	int _queued = (_n);						\
									\
	ASSERT_EQ(0, d_accept(_heir, &self->rep));			\
	EXPECT_EQ(_cookie, self->rep.cookie);				\
	EXPECT_EQ(_queued, self->rep.info.tti_bytes_queued);		\
	ASSERT_EQ(1000, peer_send(&self->p, 1000, 0));			\
	EXPECT_EQ(_queued + 1000, d_read(_heir, 0, _queued + 1000));	\
	EXPECT_TRUE(peer_quiet(&self->p));				\
	ASSERT_EQ(0, wire_scan(self->cap, 0, &self->seen));		\
	EXPECT_EQ(0, self->seen.fin);					\
	EXPECT_EQ(0, self->seen.rst);					\
	EXPECT_EQ(0, mib("Tcp", "EstabResets"));			\
	EXPECT_EQ(0, mib("Tcp", "OutRsts"));				\
} while (0)

#define EXPECT_LOST(_d, _how)						\
do {									\
	const char *_end = (_how);					\
									\
	EXPECT_STREQ(_end, peer_end(&self->p));				\
	EXPECT_TRUE(d_no_accept(_d));					\
	ASSERT_EQ(0, wire_scan(self->cap, 0, &self->seen));		\
	EXPECT_LT(0, strcmp(_end, "FIN") ? self->seen.rst :		\
					   self->seen.fin);		\
	EXPECT_EQ(0, ext("TCPTakeoverExit"));				\
	EXPECT_EQ(0, ext("TCPTakeoverClose"));				\
} while (0)

TEST_F(takeover, sigkill_unread)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(5000, peer_send(&self->p, 5000, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	EXPECT_EQ(1, ext("TCPTakeoverExit"));
	/* more comes while nobody owns it */
	ASSERT_EQ(3000, peer_send(&self->p, 3000, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	EXPECT_KEPT(&self->b, 8000);
	EXPECT_EQ(1, self->rep.info.tti_count);
	EXPECT_EQ(T_EXIT, self->rep.info.tti_reason);
	EXPECT_EQ(0, self->rep.info.tti_bytes_consumed);
	EXPECT_EQ(T_EXIT, self->rep.takeover);

	/* the heir can end it as always */
	ASSERT_EQ(0, ask(&self->b, NULL, OP_CLOSE, 0, 0, 0, 0));
	EXPECT_STREQ("FIN", peer_end(&self->p));
}

TEST_F(takeover, sigkill_nothing_unread)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(5000, peer_send(&self->p, 5000, 0));
	ASSERT_EQ(5000, d_read(&self->a, 0, 5000));
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "FIN");
		return;
	}
	EXPECT_KEPT(&self->b, 0);
	EXPECT_EQ(5000, self->rep.info.tti_bytes_consumed);
}

TEST_F(takeover, partly_read)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(5000, peer_send(&self->p, 5000, 0));
	ASSERT_EQ(1234, d_read(&self->a, 0, 1234));
	ASSERT_TRUE(peer_flushed(&self->p));
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	/* do_read() checks that byte 1234 is next */
	EXPECT_KEPT(&self->b, 5000 - 1234);
	EXPECT_EQ(1234, self->rep.info.tti_bytes_consumed);
}

TEST_F(takeover, sigsegv)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	tell(&self->a, OP_SEGV, 0, 0, 0, 0);
	d_reap(&self->a);

	if (!variant->on)
		EXPECT_LOST(&self->b, "RST");
	else
		EXPECT_KEPT(&self->b, 100);
}

TEST_F(takeover, exit)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	tell(&self->a, OP_EXIT, 0, 0, 0, 0);
	d_reap(&self->a);

	if (!variant->on)
		EXPECT_LOST(&self->b, "RST");
	else
		EXPECT_KEPT(&self->b, 100);
}

TEST_F(takeover, close)
{
	BEGIN(T_CLOSE);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_CLOSE, 0, 0, 0, 0));

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	EXPECT_KEPT(&self->b, 100);
	EXPECT_EQ(1, ext("TCPTakeoverClose"));
	EXPECT_EQ(T_CLOSE, self->rep.info.tti_reason);
}

/* Any last close includes the one at exit. */
TEST_F(takeover, sigkill_close_mode)
{
	BEGIN(T_CLOSE);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	EXPECT_KEPT(&self->b, 100);
	EXPECT_EQ(T_EXIT, self->rep.info.tti_reason);
}

/* The heir sleeps in poll() before anything happens. */
TEST_F(takeover, wakes_heir)
{
	__u64 cookie;

	BEGIN(T_EXIT);
	cookie = self->rep.cookie;
	if (!variant->on) {
		d_kill(&self->a);
		EXPECT_LOST(&self->b, "FIN");
		return;
	}
	tell(&self->b, OP_ACCEPT, DEADLINE_MS, 0, 0, 0);
	d_kill(&self->a);
	ASSERT_EQ(0, answer(&self->b, &self->rep));
	EXPECT_EQ(cookie, self->rep.cookie);
}

TEST_F(takeover, fork_shared)
{
	struct rep rep;
	pid_t holder;

	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	holder = ask(&self->a, &rep, OP_FORK, 1, 0, 0, 0);
	ASSERT_LT(0, holder);
	d_kill(&self->a);

	/* not the last close */
	EXPECT_TRUE(peer_quiet(&self->p));
	EXPECT_TRUE(d_no_accept(&self->b));
	EXPECT_EQ(0, ext("TCPTakeoverExit"));

	kill(holder, SIGKILL);
	if (!variant->on)
		EXPECT_LOST(&self->b, "RST");
	else
		EXPECT_KEPT(&self->b, 100);
}

static int receive_fd(int ctl)
{
	char space[CMSG_SPACE(sizeof(int))], dummy;
	struct iovec iov = { .iov_base = &dummy, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_control = space,
			      .msg_controllen = sizeof(space) };
	int fd = -1;

	if (recvmsg(ctl, &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* The owner dies while the only other reference is in flight. */
TEST_F(takeover, scm_rights_in_flight)
{
	struct pollfd pfd = { .events = POLLIN };
	__u64 pos = 0;
	int fd;

	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	tell(&self->a, OP_PASS, 0, 0, 0, 0);
	pfd.fd = self->a.ctl;
	ASSERT_EQ(1, poll(&pfd, 1, DEADLINE_MS));
	kill(self->a.pid, SIGKILL);
	waitpid(self->a.pid, NULL, 0);

	EXPECT_TRUE(d_no_accept(&self->b));
	fd = receive_fd(self->a.ctl);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ext("TCPTakeoverExit"));
	EXPECT_EQ(100, do_read(fd, &pos, 100, 0));
	/* and we do not exit: a normal close */
	close(fd);
	EXPECT_LOST(&self->b, "FIN");
}

#define MANY	48

/* Two of three die in the same instant. */
TEST_F(takeover, two_die_at_once)
{
	struct peer peers[MANY];
	struct seen seen = { 0 };
	int i, mine[3] = { 0 };

	ASSERT_EQ(0, daemon_start(&self->c, variant->family));
	ASSERT_EQ(0, d_listen(&self->a, OPT(T_EXIT), MANY));
	ASSERT_EQ(0, d_listen(&self->b, OPT(T_EXIT), MANY));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, peer_connect(&peers[i],
					  peer_family(variant->family,
						      variant->mapped)));
		ASSERT_EQ(700, peer_send(&peers[i], 700, 0));
		ASSERT_TRUE(peer_flushed(&peers[i]));
	}
	/* some are accepted, and the rest stays in the queues */
	while (mine[0] < MANY / 4 && !d_no_accept(&self->a))
		mine[0]++;
	while (mine[1] < MANY / 4 && !d_no_accept(&self->b))
		mine[1]++;
	ASSERT_EQ(0, d_listen(&self->c, OPT(T_EXIT), MANY));

	kill(self->a.pid, SIGSTOP);
	kill(self->b.pid, SIGSTOP);
	kill(self->a.pid, SIGKILL);
	kill(self->b.pid, SIGKILL);
	d_reap(&self->a);
	d_reap(&self->b);

	if (!variant->on) {
		for (i = 0; i < MANY; i++)
			EXPECT_STREQ("RST", peer_end(&peers[i]));
		return;
	}
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(i, d_accept(&self->c, NULL));
		EXPECT_EQ(700, d_read(&self->c, i, 700));
		EXPECT_TRUE(peer_quiet(&peers[i]));
	}
	ASSERT_EQ(0, wire_scan(self->cap, 0, &seen));
	EXPECT_EQ(0, seen.fin);
	EXPECT_EQ(0, seen.rst);
}

/* The peer is blocked by a closed window; all of it must come through. */
TEST_F(takeover, zero_window)
{
	int n, all = 0;

	BEGIN(T_EXIT);
	do {
		n = peer_send(&self->p, 1 << 16, MSG_DONTWAIT);
		if (n > 0)
			all += n;
	} while (n > 0);
	ASSERT_LT(1 << 16, all);
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_STREQ("RST", peer_end(&self->p));
		return;
	}
	ASSERT_EQ(0, d_accept(&self->b, &self->rep));
	EXPECT_EQ(all, d_read(&self->b, 0, all));
	ASSERT_EQ(5000, peer_send(&self->p, 5000, 0));
	EXPECT_EQ(5000, d_read(&self->b, 0, 5000));
}

/* The peer has said all it had to say. */
TEST_F(takeover, fin_received)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_EQ(0, shutdown(self->p.fd, SHUT_WR));
	ASSERT_TRUE(peer_flushed(&self->p));
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	ASSERT_EQ(0, d_accept(&self->b, &self->rep));
	EXPECT_EQ(100, self->rep.info.tti_bytes_queued);
	/* asks for more than there is: the rest is the end of file */
	EXPECT_EQ(100, d_read(&self->b, 0, 200));
	EXPECT_EQ(0, d_read(&self->b, 0, 1));
	ASSERT_EQ(0, ask(&self->b, &self->rep, OP_GETOPT, 0, SOL_TCP,
			 TCP_NODELAY, 0));
	EXPECT_EQ(100, self->rep.info.tti_bytes_consumed);
	EXPECT_TRUE(peer_quiet(&self->p));
	ASSERT_EQ(0, ask(&self->b, NULL, OP_CLOSE, 0, 0, 0, 0));
	EXPECT_STREQ("FIN", peer_end(&self->p));
}

/* Never accepted by anybody; it moves on, but it was not taken over. */
TEST_F(takeover, unaccepted_child)
{
	ASSERT_EQ(0, d_listen(&self->a, OPT(T_EXIT), 64));
	ASSERT_EQ(0, peer_connect(&self->p, peer_family(variant->family,
							variant->mapped)));
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	ASSERT_EQ(0, d_listen(&self->b, OPT(T_EXIT), 64));
	d_kill(&self->a);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	ASSERT_EQ(0, d_accept(&self->b, &self->rep));
	EXPECT_EQ(0, self->rep.info.tti_count);
	EXPECT_EQ(0, self->rep.info.tti_reason);
	EXPECT_EQ(100, d_read(&self->b, 0, 100));
	EXPECT_EQ(0, ext("TCPTakeoverExit"));
	EXPECT_EQ(1, ext("TCPMigrateReqSuccess"));
}

/* A handshake without its last step: TCP_DEFER_ACCEPT drops the bare ACK. */
TEST_F(takeover, handshake)
{
	ASSERT_EQ(0, d_listen(&self->a, OPT(T_EXIT), 64));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_SETOPT, -1, SOL_TCP,
			 TCP_DEFER_ACCEPT, 30));
	ASSERT_EQ(0, peer_connect(&self->p, peer_family(variant->family,
							variant->mapped)));
	ASSERT_EQ(0, d_listen(&self->b, OPT(T_EXIT), 64));
	d_kill(&self->a);
	peer_send(&self->p, 100, 0);

	if (!variant->on) {
		EXPECT_LOST(&self->b, "RST");
		return;
	}
	ASSERT_EQ(0, d_accept(&self->b, &self->rep));
	EXPECT_EQ(100, d_read(&self->b, 0, 100));
}

/* What waits at an heir that is closed goes to the next one. */
TEST_F(takeover, heir_closes)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	ASSERT_EQ(0, daemon_start(&self->c, variant->family));
	d_kill(&self->a);
	ASSERT_EQ(0, d_listen(&self->c, OPT(T_EXIT), 64));
	/* a plain close, although the option only says EXIT */
	ASSERT_EQ(0, ask(&self->b, NULL, OP_CLOSE, -1, 0, 0, 0));

	if (!variant->on) {
		EXPECT_LOST(&self->c, "RST");
		return;
	}
	EXPECT_KEPT(&self->c, 100);
	EXPECT_EQ(1, self->rep.info.tti_count);
	EXPECT_EQ(1, ext("TCPMigrateReqSuccess"));
}

/* The last one closes what it cannot pass on with a FIN, not with a reset. */
TEST_F(takeover, last_heir_closes)
{
	BEGIN(T_EXIT);
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	d_kill(&self->a);
	if (variant->on) {
		EXPECT_EQ(1, ext("TCPTakeoverExit"));
		EXPECT_TRUE(peer_quiet(&self->p));
	}
	d_kill(&self->b);

	EXPECT_STREQ(variant->on ? "FIN" : "RST", peer_end(&self->p));
	ASSERT_EQ(0, wire_scan(self->cap, 0, &self->seen));
	if (variant->on) {
		EXPECT_EQ(0, self->seen.rst);
		EXPECT_EQ(1, ext("TCPTakeoverFail"));
	}
}

TEST_HARNESS_MAIN
