// SPDX-License-Identifier: GPL-2.0
/*
 * TCP_TAKEOVER: which connections move, to whom, and which must not.
 *
 * Each rule is shown with the scene in which it applies and with the same
 * scene without it, so that a rule that is never looked at is noticed.
 */
#define _GNU_SOURCE
#include "takeover_wire.h"

#include "kselftest_harness.h"

FIXTURE(rules)
{
	int cap;
	struct daemon a, b, c;
	struct peer p, q;
	struct rep rep;
};

FIXTURE_SETUP(rules)
{
	ASSERT_EQ(0, wire_up());
	self->cap = wire_capture();
	ASSERT_LE(0, self->cap);
	if (ext("TCPTakeoverExit") < 0)
		SKIP(return, "kernel has no TCP_TAKEOVER");
	ASSERT_EQ(0, daemon_start(&self->a, AF_INET));
	ASSERT_EQ(0, daemon_start(&self->b, AF_INET));
	ASSERT_EQ(0, daemon_start(&self->c, AF_INET));
}

FIXTURE_TEARDOWN(rules)
{
}

/* A session, number @_n at @_d, with 100 bytes nobody has read. */
#define SESSION(_d, _n, _p)						\
do {									\
	struct peer *_peer = (_p);					\
									\
	ASSERT_EQ(0, peer_connect(_peer, AF_INET));			\
	ASSERT_EQ(_n, d_accept(_d, &self->rep));			\
	ASSERT_EQ(100, peer_send(_peer, 100, 0));			\
	ASSERT_TRUE(peer_flushed(_peer));				\
} while (0)

#define EXPECT_AT(_d, _n, _p)						\
do {									\
	struct daemon *_heir = (_d);					\
	int _nr = (_n);							\
									\
	ASSERT_EQ(_nr, d_accept(_heir, &self->rep));			\
	EXPECT_EQ(100, d_read(_heir, _nr, 100));			\
	EXPECT_TRUE(peer_quiet(_p));					\
} while (0)

static int setopt(struct daemon *d, int session, int level, int opt, int val)
{
	return ask(d, NULL, OP_SETOPT, session, level, opt, val);
}

static int takeover(struct daemon *d, int session)
{
	return ask(d, NULL, OP_GETOPT, session, SOL_TCP, TCP_TAKEOVER, 0);
}

/* Nobody else is there: exactly what happens without the option. */
TEST_F(rules, lone_daemon)
{
	ASSERT_EQ(0, d_listen(&self->a, T_BOTH, 64));
	SESSION(&self->a, 0, &self->p);
	SESSION(&self->a, 1, &self->q);
	ASSERT_EQ(100, d_read(&self->a, 1, 100));
	d_kill(&self->a);

	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_STREQ("FIN", peer_end(&self->q));
	EXPECT_EQ(0, ext("TCPTakeoverExit"));
	EXPECT_EQ(2, ext("TCPTakeoverFail"));
}

/* The own listener is the last choice, but it is one if it lives on. */
TEST_F(rules, listener_held_elsewhere)
{
	struct daemon first = { 0 }, second = { 0 };
	struct timeval tv = { .tv_sec = DEADLINE_MS / 1000 };
	int sv[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv));
	ASSERT_EQ(0, daemon_start_spare(&first, AF_INET, sv[1]));
	close(sv[1]);
	second.ctl = sv[0];
	setsockopt(second.ctl, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));

	ASSERT_EQ(0, d_listen(&first, T_EXIT, 64));
	second.pid = ask(&first, NULL, OP_FORK, 2, sv[1], 0, 0);
	ASSERT_LT(0, second.pid);
	SESSION(&first, 0, &self->p);
	d_kill(&first);
	EXPECT_AT(&second, 0, &self->p);
	EXPECT_EQ(1, ext("TCPTakeoverExit"));

	/* and with somebody else there it is not chosen */
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	kill(second.pid, SIGKILL);
	EXPECT_EQ(0, d_accept(&self->a, NULL));
	EXPECT_TRUE(peer_quiet(&self->p));
}

TEST_F(rules, sibling_without_option)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	ASSERT_EQ(0, d_listen(&self->b, -1, 64));
	d_kill(&self->a);
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_TRUE(d_no_accept(&self->b));
	EXPECT_EQ(1, ext("TCPTakeoverFail"));

	/* twin: it has the option now */
	SESSION(&self->b, 0, &self->q);
	ASSERT_EQ(0, setopt(&self->b, -1, SOL_TCP, TCP_TAKEOVER, T_EXIT));
	SESSION(&self->b, 1, &self->p);
	ASSERT_EQ(0, d_listen(&self->c, T_EXIT, 64));
	d_kill(&self->b);
	/* q was accepted before the option was set: not inherited */
	EXPECT_STREQ("RST", peer_end(&self->q));
	EXPECT_AT(&self->c, 0, &self->p);
}

TEST_F(rules, other_uid)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	/* in the same group, but the option was set by somebody else */
	ASSERT_EQ(0, ask(&self->b, NULL, OP_LISTEN, T_EXIT, 64, 1000, 0));
	d_kill(&self->a);
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_TRUE(d_no_accept(&self->b));

	/* twin: the same one */
	SESSION(&self->b, 0, &self->q);
	ASSERT_EQ(0, ask(&self->c, NULL, OP_LISTEN, T_EXIT, 64, 1000, 0));
	d_kill(&self->b);
	EXPECT_AT(&self->c, 0, &self->q);
}

/* What counts is who set the option, not who calls accept(). */
TEST_F(rules, privileges_dropped)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_SETUID, 65534, 0, 0, 0));
	SESSION(&self->a, 0, &self->p);
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));
	ASSERT_EQ(0, ask(&self->b, NULL, OP_SETUID, 65533, 0, 0, 0));
	d_kill(&self->a);
	EXPECT_AT(&self->b, 0, &self->p);
}

TEST_F(rules, accept_queue_full)
{
	struct peer peers[5];
	int i, kept = 0;

	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	for (i = 0; i < 5; i++)
		SESSION(&self->a, i, &peers[i]);
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 2));
	d_kill(&self->a);

	for (i = 0; i < 5; i++)
		kept += peer_quiet(&peers[i]);
	EXPECT_EQ(2, kept);
	EXPECT_EQ(2, ext("TCPTakeoverExit"));
	EXPECT_EQ(3, ext("TCPTakeoverFail"));
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	ASSERT_EQ(1, d_accept(&self->b, NULL));
	EXPECT_TRUE(d_no_accept(&self->b));
}

TEST_F(rules, exit_mode_plain_close)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	SESSION(&self->a, 1, &self->q);
	ASSERT_EQ(100, d_read(&self->a, 0, 100));
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_CLOSE, 0, 0, 0, 0));
	EXPECT_STREQ("FIN", peer_end(&self->p));
	EXPECT_TRUE(d_no_accept(&self->b));

	/* exec() is not exit() */
	tell(&self->a, OP_EXEC, 0, 0, 0, 0);
	d_reap(&self->a);
	EXPECT_STREQ("RST", peer_end(&self->q));
	EXPECT_EQ(0, ext("TCPTakeoverExit"));
	EXPECT_EQ(0, ext("TCPTakeoverFail"));
}

TEST_F(rules, zero_linger)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	SESSION(&self->a, 1, &self->q);
	ASSERT_EQ(0, ask(&self->a, NULL, OP_LINGER, 0, 0, 0, 0));
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));
	d_kill(&self->a);
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_AT(&self->b, 0, &self->q);
	EXPECT_TRUE(d_no_accept(&self->b));
}

TEST_F(rules, shutdown)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	SESSION(&self->a, 1, &self->q);
	ASSERT_EQ(0, ask(&self->a, NULL, OP_SHUTDOWN, 0, SHUT_WR, 0, 0));
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));
	d_kill(&self->a);
	EXPECT_STREQ("FIN", peer_end(&self->p));
	EXPECT_AT(&self->b, 0, &self->q);
	EXPECT_TRUE(d_no_accept(&self->b));

	SESSION(&self->b, 1, &self->p);
	ASSERT_EQ(0, ask(&self->b, NULL, OP_SHUTDOWN, 1, SHUT_RD, 0, 0));
	ASSERT_EQ(0, d_listen(&self->c, T_EXIT, 64));
	d_kill(&self->b);
	EXPECT_STREQ("RST", peer_end(&self->p));
	ASSERT_EQ(0, d_accept(&self->c, NULL));
	EXPECT_TRUE(peer_quiet(&self->q));
	EXPECT_TRUE(d_no_accept(&self->c));
}

/* The peer is done and so was the owner: nothing to take over. */
TEST_F(rules, fin_received_all_read)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	ASSERT_EQ(100, d_read(&self->a, 0, 100));
	ASSERT_EQ(0, shutdown(self->p.fd, SHUT_WR));
	ASSERT_TRUE(peer_flushed(&self->p));
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));
	d_kill(&self->a);
	EXPECT_STREQ("FIN", peer_end(&self->p));
	EXPECT_TRUE(d_no_accept(&self->b));
	EXPECT_EQ(0, ext("TCPTakeoverFail"));
}

/* What another process could not carry on clears the option for good: done to
 * session 0, and session 1 is the twin.
 */
#define TWO_SESSIONS()							\
do {									\
	ASSERT_EQ(0, d_listen(&self->a, T_BOTH, 64));			\
	SESSION(&self->a, 0, &self->p);					\
	SESSION(&self->a, 1, &self->q);					\
} while (0)

#define EXPECT_CLEARED()						\
do {									\
	EXPECT_EQ(0, takeover(&self->a, 0));				\
	EXPECT_EQ(-EPERM, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER,	\
				 T_EXIT));				\
	EXPECT_EQ(T_BOTH, takeover(&self->a, 1));			\
	ASSERT_EQ(0, d_listen(&self->b, T_BOTH, 64));			\
	d_kill(&self->a);						\
	EXPECT_STRNE("none", peer_end(&self->p));			\
	EXPECT_AT(&self->b, 0, &self->q);				\
	EXPECT_TRUE(d_no_accept(&self->b));				\
} while (0)

TEST_F(rules, ulp_clears)
{
	TWO_SESSIONS();
	if (ask(&self->a, NULL, OP_ULP, 0, 0, 0, 0))
		SKIP(return, "no TLS in this kernel");
	EXPECT_CLEARED();
}

TEST_F(rules, sockmap_clears)
{
	TWO_SESSIONS();
	if (ask(&self->a, NULL, OP_SOCKMAP, 0, 0, 0, 0) < 0)
		SKIP(return, "no sockmap in this kernel");
	EXPECT_CLEARED();
}

TEST_F(rules, zerocopy_clears)
{
	TWO_SESSIONS();
	ASSERT_EQ(0, setopt(&self->a, 0, SOL_SOCKET, SO_ZEROCOPY, 1));
	EXPECT_CLEARED();
}

TEST_F(rules, repair_clears)
{
	TWO_SESSIONS();
	if (setopt(&self->a, 0, SOL_TCP, TCP_REPAIR, 1))
		SKIP(return, "no TCP_REPAIR in this kernel");
	ASSERT_EQ(0, setopt(&self->a, 0, SOL_TCP, TCP_REPAIR, -1));
	EXPECT_CLEARED();
}

/* The owner may have what its listener had, and less. */
TEST_F(rules, narrowing)
{
	int val = T_BOTH | T_BUDGET(5);

	ASSERT_EQ(0, d_listen(&self->a, val, 64));
	SESSION(&self->a, 0, &self->p);
	EXPECT_EQ(val, takeover(&self->a, 0));

	EXPECT_EQ(0, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER, 0));
	EXPECT_EQ(0, takeover(&self->a, 0));
	EXPECT_EQ(0, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER, T_CLOSE));
	EXPECT_EQ(T_CLOSE, takeover(&self->a, 0));
	EXPECT_EQ(0, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER, val));
	EXPECT_EQ(-EPERM, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER,
				 T_BOTH | T_BUDGET(6)));
	EXPECT_EQ(-EPERM, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER,
				 T_BOTH | T_BUDGET(255)));
	EXPECT_EQ(0, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER,
			    T_BOTH | T_BUDGET(4)));
	EXPECT_EQ(-EINVAL, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER, 4));
	EXPECT_EQ(-EINVAL, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER,
				  1 << 16));
	EXPECT_EQ(-EINVAL, setopt(&self->a, -1, SOL_TCP, TCP_TAKEOVER, -1));

	/* what the listener gets later is not for those that exist */
	EXPECT_EQ(0, setopt(&self->a, -1, SOL_TCP, TCP_TAKEOVER, T_EXIT));
	SESSION(&self->a, 1, &self->q);
	EXPECT_EQ(0, setopt(&self->a, -1, SOL_TCP, TCP_TAKEOVER, T_BOTH));
	EXPECT_EQ(-EPERM, setopt(&self->a, 1, SOL_TCP, TCP_TAKEOVER, T_BOTH));
	EXPECT_EQ(T_EXIT, takeover(&self->a, 1));
}

/* A collector asks for CLOSE only while it drains. */
TEST_F(rules, clear_and_set_again)
{
	ASSERT_EQ(0, d_listen(&self->a, T_BOTH, 64));
	SESSION(&self->a, 0, &self->p);
	SESSION(&self->a, 1, &self->q);
	ASSERT_EQ(0, setopt(&self->a, 0, SOL_TCP, TCP_TAKEOVER, T_EXIT));
	ASSERT_EQ(0, setopt(&self->a, 1, SOL_TCP, TCP_TAKEOVER, T_EXIT));
	ASSERT_EQ(0, setopt(&self->a, 1, SOL_TCP, TCP_TAKEOVER, T_BOTH));
	ASSERT_EQ(0, d_listen(&self->b, T_BOTH, 64));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_CLOSE, 0, 0, 0, 0));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_CLOSE, 1, 0, 0, 0));
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_AT(&self->b, 0, &self->q);
	EXPECT_EQ(T_BOTH, self->rep.takeover);
}

/* There is no listener to go back to for who has called connect(). */
TEST_F(rules, active_open)
{
	struct sockaddr un = { .sa_family = AF_UNSPEC };
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(PORT),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd, val;
	socklen_t len = sizeof(val);

	ASSERT_EQ(0, d_listen(&self->a, T_BOTH, 64));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, one_opt(fd, SOL_TCP, TCP_TAKEOVER, T_BOTH));
	ASSERT_EQ(0, getsockopt(fd, SOL_TCP, TCP_TAKEOVER, &val, &len));
	EXPECT_EQ(T_BOTH, val);
	ASSERT_EQ(0, connect(fd, (void *)&sin, sizeof(sin)));
	ASSERT_EQ(0, getsockopt(fd, SOL_TCP, TCP_TAKEOVER, &val, &len));
	EXPECT_EQ(0, val);
	EXPECT_EQ(-EPERM, one_opt(fd, SOL_TCP, TCP_TAKEOVER, T_EXIT));

	/* a child that was disconnected has nothing to inherit */
	ASSERT_EQ(0, d_accept(&self->a, &self->rep));
	ASSERT_EQ(T_BOTH, self->rep.takeover);
	ASSERT_EQ(0, ask(&self->a, NULL, OP_RELISTEN, 0, 0, 0, 0));
	EXPECT_EQ(0, takeover(&self->a, 0));

	ASSERT_EQ(0, connect(fd, &un, sizeof(un)));
	EXPECT_EQ(EINVAL, setsockopt(fd, SOL_TCP, TCP_TAKEOVER, &val, 3) ?
			  errno : 0);
	close(fd);
}

/* The budget: owners that look and take nothing, and then are gone. */
static int look_and_die(struct daemon *d, struct daemon *heir, int val,
			struct rep *rep, bool look)
{
	int err;

	if (look && ask(d, NULL, OP_PEEK, 0, 50, 0, 0) != 50)
		return -EIO;
	err = daemon_start(heir, AF_INET);
	if (!err)
		err = d_listen(heir, val, 64);
	d_kill(d);
	if (!err)
		err = ask(heir, rep, OP_ACCEPT, 0, 0, 0, 0);
	return err;
}

static int hops(struct daemon *d, int val, int max, struct rep *rep, bool look)
{
	struct daemon heir;
	int n;

	for (n = 0; n < max; n++) {
		if (look_and_die(d, &heir, val, rep, look))
			break;
		*d = heir;
	}
	return n;
}

TEST_F(rules, budget)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	EXPECT_EQ(TCP_TAKEOVER_BUDGET_DEFAULT, self->rep.info.tti_budget);
	EXPECT_EQ(2, hops(&self->a, T_EXIT, 5, &self->rep, true));
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_EQ(1, ext("TCPTakeoverBudget"));
	EXPECT_EQ(2, ext("TCPTakeoverExit"));
}

TEST_F(rules, budget_of_one)
{
	int val = T_EXIT | T_BUDGET(1);

	ASSERT_EQ(0, d_listen(&self->a, val, 64));
	SESSION(&self->a, 0, &self->p);
	EXPECT_EQ(1, hops(&self->a, val, 5, &self->rep, true));
	EXPECT_STREQ("RST", peer_end(&self->p));
}

TEST_F(rules, budget_none)
{
	int val = T_EXIT | T_BUDGET(TCP_TAKEOVER_BUDGET_NONE);

	ASSERT_EQ(0, d_listen(&self->a, val, 64));
	SESSION(&self->a, 0, &self->p);
	EXPECT_EQ(70, hops(&self->a, val, 70, &self->rep, true));
	EXPECT_EQ(70, self->rep.info.tti_count);
	EXPECT_EQ(70, self->rep.info.tti_no_progress);
	EXPECT_EQ(TCP_TAKEOVER_BUDGET_NONE, self->rep.info.tti_budget);
	EXPECT_TRUE(peer_quiet(&self->p));
}

TEST_F(rules, budget_progress_resets)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	ASSERT_EQ(2, hops(&self->a, T_EXIT, 2, &self->rep, true));
	EXPECT_EQ(2, self->rep.info.tti_no_progress);
	ASSERT_EQ(1, d_read(&self->a, 0, 1));
	ASSERT_EQ(1, hops(&self->a, T_EXIT, 1, &self->rep, true));
	EXPECT_EQ(0, self->rep.info.tti_no_progress);
	EXPECT_EQ(1, self->rep.info.tti_bytes_consumed);
	EXPECT_EQ(3, self->rep.info.tti_count);
	EXPECT_EQ(2, hops(&self->a, T_EXIT, 5, &self->rep, true));
}

/* An idle session, or one nobody had time to look at, is not to blame. */
TEST_F(rules, ten_takeovers_idle)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	ASSERT_EQ(0, peer_connect(&self->p, AF_INET));
	ASSERT_EQ(0, d_accept(&self->a, &self->rep));
	EXPECT_EQ(10, hops(&self->a, T_EXIT, 10, &self->rep, false));
	EXPECT_EQ(10, self->rep.info.tti_count);
	EXPECT_EQ(0, self->rep.info.tti_no_progress);
	EXPECT_TRUE(peer_quiet(&self->p));
}

TEST_F(rules, ten_takeovers_not_looked_at)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	EXPECT_EQ(10, hops(&self->a, T_EXIT, 10, &self->rep, false));
	EXPECT_EQ(0, self->rep.info.tti_no_progress);
	EXPECT_EQ(100, d_read(&self->a, 0, 100));
}

/* Nobody is to blame, but it does not go on forever. */
TEST_F(rules, takeovers_without_a_read_are_bounded)
{
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	SESSION(&self->a, 0, &self->p);
	EXPECT_EQ(64, hops(&self->a, T_EXIT, 70, &self->rep, false));
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_EQ(1, ext("TCPTakeoverBudget"));
}

/* Two daemons that close whatever they get do not do so forever. */
TEST_F(rules, hard_cap)
{
	struct daemon *d = &self->a, *e = &self->b, *t;
	int n, count = 0;

	ASSERT_EQ(0, d_listen(&self->a, T_CLOSE, 64));
	SESSION(&self->a, 0, &self->p);
	ASSERT_EQ(0, d_listen(&self->b, T_CLOSE, 64));
	for (n = 0; n < 100; n++) {
		int session = n / 2;

		ASSERT_EQ(0, ask(d, NULL, OP_CLOSE, session, 0, 0, 0));
		if (ask(e, &self->rep, OP_ACCEPT, 0, 0, 0, 0) < 0)
			break;
		count = self->rep.info.tti_count;
		t = d;
		d = e;
		e = t;
	}
	EXPECT_EQ(64, n);
	EXPECT_EQ(64, count);
	EXPECT_STREQ("RST", peer_end(&self->p));
	EXPECT_EQ(1, ext("TCPTakeoverBudget"));
}

TEST_HARNESS_MAIN
