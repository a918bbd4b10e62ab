// SPDX-License-Identifier: GPL-2.0
/*
 * SO_REUSEPORT_POLICY and SO_REUSEPORT_MEMBER: arguments, errors, and races.
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_map.h"
#include <pthread.h>
#include <sys/stat.h>

#include "kselftest_harness.h"

static short map_a[MAX_EXPORTERS];

/* --- the options ---------------------------------------------------------------- */

FIXTURE(opt) {
	int udp, tcp;
};

FIXTURE_SETUP(opt)
{
	ASSERT_EQ(0, new_netns());
	self->udp = open_socket(UDP4);
	self->tcp = open_socket(TCP6);
	ASSERT_LE(0, self->udp);
	ASSERT_LE(0, self->tcp);
}

FIXTURE_TEARDOWN(opt)
{
	close(self->udp);
	close(self->tcp);
}

static int raw_set(int fd, int name, const void *p, int len)
{
	return setsockopt(fd, SOL_SOCKET, name, p, len) ? errno : 0;
}

TEST_F(opt, policy_arguments)
{
	struct {
		struct reuseport_policy_req r;
		char more[8];
	} x = { .r = { .name = "source" } };
	struct reuseport_policy_req back;
	socklen_t len;
	char name[16];
	int o = SO_REUSEPORT_POLICY;

	/* names */
	EXPECT_EQ(0, raw_set(self->udp, o, "source", 6));
	EXPECT_EQ(0, raw_set(self->udp, o, "source", 7));
	EXPECT_EQ(0, raw_set(self->tcp, o, "source\0garbage", 14));
	EXPECT_EQ(ENOENT, raw_set(self->udp, o, "sourc", 5));
	EXPECT_EQ(ENOENT, raw_set(self->udp, o, "source/..", 9));
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, "sixteen letters.", 16));
	EXPECT_EQ(EFAULT, raw_set(self->udp, o, (void *)8, 6));
	EXPECT_STREQ("source", policy_of(self->udp));	/* still */
	EXPECT_EQ(0, raw_set(self->udp, o, "", 1));
	EXPECT_STREQ("", policy_of(self->udp));
	EXPECT_EQ(0, raw_set(self->udp, o, "", 0));

	/* lengths of the structure */
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 17));
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 39));
	EXPECT_EQ(0, raw_set(self->udp, o, &x, 40));
	EXPECT_EQ(0, raw_set(self->udp, o, &x, 52));
	EXPECT_EQ(0, raw_set(self->udp, o, &x, 60));
	x.more[3] = 1;
	EXPECT_EQ(E2BIG, raw_set(self->udp, o, &x, 60));
	EXPECT_EQ(EFAULT, raw_set(self->udp, o, (void *)8, 40));

	/* its fields */
	x.r.flags = 1;
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 40));
	x.r.flags = 0;
	x.r.key = 8;
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 40));
	x.r.key = REUSEPORT_KEY_SPORT;
	memcpy(x.r.seed, seed_a, 16);
	memcpy(x.r.name + 8, "garbage", 7);
	EXPECT_EQ(0, raw_set(self->udp, o, &x, 40));
	memset(x.r.name, 'x', 16);
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 40));

	/* what "source" does not know */
	back = (struct reuseport_policy_req){ .name = "source" };
	EXPECT_EQ(0, raw_set(self->tcp, o, &back, sizeof(back)));
	back.idle_ms = 1;
	EXPECT_EQ(EOPNOTSUPP, raw_set(self->tcp, o, &back, sizeof(back)));
	/* not there if it is short of it */
	EXPECT_EQ(0, raw_set(self->tcp, o, &back, 40));
	back.idle_ms = 0;
	back.deadline_ms = 1;
	EXPECT_EQ(EOPNOTSUPP, raw_set(self->tcp, o, &back, sizeof(back)));
	back.deadline_ms = 0;
	back.bound = 1;
	EXPECT_EQ(EOPNOTSUPP, raw_set(self->tcp, o, &back, sizeof(back)));

	/* and back */
	memset(&back, 0xff, sizeof(back));
	len = sizeof(back);
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, o, &back, &len));
	EXPECT_EQ(52, len);
	EXPECT_EQ(0, memcmp(back.name, "source\0\0\0\0\0\0\0\0\0", 16));
	EXPECT_EQ(REUSEPORT_KEY_SADDR | REUSEPORT_KEY_SPORT, back.key);
	EXPECT_EQ(0, memcmp(back.seed, seed_a, 16));
	len = 100;
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, o, &x, &len) ? errno : 0);
	EXPECT_EQ(52, len);
	len = 16;
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, o, name, &len));
	EXPECT_EQ(16, len);
	EXPECT_STREQ("source", name);
	len = 3;
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, o, name, &len));
	EXPECT_EQ(3, len);

	/* The seed of the kernel is its own business. */
	EXPECT_EQ(0, raw_set(self->udp, o, "source", 6));
	len = sizeof(back);
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, o, &back, &len));
	memset(name, 0, sizeof(name));
	EXPECT_EQ(0, memcmp(back.seed, name, 16));
}

TEST_F(opt, member_arguments)
{
	struct {
		struct reuseport_member m;
		char more[8];
	} x = { .m = { 5, 6, 0 } };
	struct reuseport_member_stats st;
	__u64 cookie;
	socklen_t len;
	int o = SO_REUSEPORT_MEMBER;

	/* defaults */
	len = sizeof(cookie);
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, SO_COOKIE, &cookie,
				&len));
	ASSERT_EQ(0, get_member(self->udp, &st));
	EXPECT_EQ(cookie, st.member.id);
	EXPECT_EQ(1, st.member.weight);
	EXPECT_EQ(0, st.member.flags);
	EXPECT_EQ(0, st.selections);

	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 0));
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 15));
	EXPECT_EQ(0, raw_set(self->udp, o, &x, 16));
	EXPECT_EQ(0, raw_set(self->tcp, o, &x, 24));
	x.more[0] = 1;
	EXPECT_EQ(E2BIG, raw_set(self->udp, o, &x, 24));
	EXPECT_EQ(EFAULT, raw_set(self->udp, o, (void *)8, 16));
	x.m.flags = 2;
	EXPECT_EQ(EINVAL, raw_set(self->udp, o, &x, 16));

	ASSERT_EQ(0, get_member(self->udp, &st));
	EXPECT_EQ(5, st.member.id);
	EXPECT_EQ(6, st.member.weight);
	len = 16;
	memset(&st, 0, sizeof(st));
	ASSERT_EQ(0, getsockopt(self->udp, SOL_SOCKET, o, &st, &len));
	EXPECT_EQ(16, len);
	EXPECT_EQ(5, st.member.id);
	len = 15;
	EXPECT_EQ(-1, getsockopt(self->udp, SOL_SOCKET, o, &st, &len));
	EXPECT_EQ(EINVAL, errno);

	/* id 0: the cookie again */
	EXPECT_EQ(0, set_member(self->udp, 0, 1, REUSEPORT_MEMBER_DRAIN));
	ASSERT_EQ(0, get_member(self->udp, &st));
	EXPECT_EQ(cookie, st.member.id);
	EXPECT_EQ(REUSEPORT_MEMBER_DRAIN, st.member.flags);
}

TEST_F(opt, wrong_sockets)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct reuseport_member_stats st;
	struct reuseport_member m = { 1, 1, 0 };
	socklen_t len = sizeof(sin);
	int fd, peer, child;

	/* no SO_REUSEPORT, unbound and bound */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	EXPECT_EQ(EINVAL, raw_set(fd, SO_REUSEPORT_POLICY, "source", 6));
	EXPECT_EQ(EINVAL, raw_set(fd, SO_REUSEPORT_MEMBER, &m, 16));
	EXPECT_EQ(EINVAL, raw_set(fd, SO_REUSEPORT_POLICY, "", 1));
	EXPECT_EQ(-1, get_member(fd, &st));
	ASSERT_EQ(0, bind(fd, (void *)&sin, sizeof(sin)));
	set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	EXPECT_EQ(EINVAL, raw_set(fd, SO_REUSEPORT_POLICY, "source", 6));
	EXPECT_EQ(EINVAL, raw_set(fd, SO_REUSEPORT_MEMBER, &m, 16));
	close(fd);

	/* a connected one has left its group */
	ASSERT_EQ(0, bind(self->udp, (void *)&sin, sizeof(sin)));
	EXPECT_EQ(0, raw_set(self->udp, SO_REUSEPORT_MEMBER, &m, 16));
	ASSERT_EQ(0, getsockname(self->udp, (void *)&sin, &len));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ASSERT_EQ(0, connect(self->udp, (void *)&sin, sizeof(sin)));
	EXPECT_EQ(EINVAL, raw_set(self->udp, SO_REUSEPORT_MEMBER, &m, 16));

	/* an accepted one has none */
	fd = open_member(&(struct opts){ .kind = TCP4, .id = 1, .weight = 1 });
	ASSERT_LE(0, fd);
	peer = connect_from(TCP4, 1, EXPORTER_PORT, false);
	ASSERT_LE(0, peer);
	ASSERT_LT(0, wait_readable(&(struct group){ 1, { fd } }, -1));
	child = accept(fd, NULL, NULL);
	ASSERT_LE(0, child);
	EXPECT_EQ(EINVAL, raw_set(child, SO_REUSEPORT_MEMBER, &m, 16));
	EXPECT_EQ(EINVAL, raw_set(child, SO_REUSEPORT_POLICY, "source", 6));
	EXPECT_EQ(0, raw_set(fd, SO_REUSEPORT_MEMBER, &m, 16));	/* control */
	close(child);
	close(peer);
	close(fd);

	/* other protocols */
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	EXPECT_EQ(EOPNOTSUPP, raw_set(fd, SO_REUSEPORT_POLICY, "source", 6));
	EXPECT_EQ(EOPNOTSUPP, raw_set(fd, SO_REUSEPORT_MEMBER, &m, 16));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	if (fd >= 0) {
		EXPECT_NE(0, raw_set(fd, SO_REUSEPORT_POLICY, "source", 6));
		EXPECT_NE(0, raw_set(fd, SO_REUSEPORT_MEMBER, &m, 16));
		close(fd);
	}
}

TEST_F(opt, available)
{
	char buf[256] = {};
	int fd = open("/proc/sys/net/core/reuseport_available_policies",
		      O_RDONLY);

	ASSERT_LE(0, fd);
	ASSERT_LT(0, read(fd, buf, sizeof(buf) - 1));
	close(fd);
	EXPECT_NE(NULL, strstr(buf, "source"));
	EXPECT_EQ(-1, write_file("/proc/sys/net/core/reuseport_available_policies",
				 "x"));
}

/* A module is asked for with CAP_NET_ADMIN only. */
TEST_F(opt, autoload)
{
	const char *knob = "/proc/sys/kernel/modprobe";
	char dir[] = "/tmp/reuseport_policy.XXXXXX", old[256] = {};
	char script[64], mark[64], text[128];
	int fd, with, without;

	fd = open(knob, O_RDONLY);
	if (fd < 0 || read(fd, old, sizeof(old) - 1) <= 0)
		SKIP(return, "no modules");
	close(fd);
	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(script, sizeof(script), "%s/probe", dir);
	snprintf(mark, sizeof(mark), "%s/asked", dir);
	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$@\" >>%s\n", mark);
	fd = open(script, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	ASSERT_LE(0, fd);
	ASSERT_EQ((ssize_t)strlen(text), write(fd, text, strlen(text)));
	close(fd);
	ASSERT_EQ(0, write_file(knob, script));

	EXPECT_EQ(ENOENT, raw_set(self->udp, SO_REUSEPORT_POLICY, "nosuch", 6));
	with = !access(mark, F_OK);
	unlink(mark);
	ASSERT_EQ(0, drop_capability(CAP_NET_ADMIN));
	EXPECT_EQ(ENOENT, raw_set(self->udp, SO_REUSEPORT_POLICY, "nosuch", 6));
	without = !access(mark, F_OK);
	/* What is there needs no capability. */
	EXPECT_EQ(0, raw_set(self->udp, SO_REUSEPORT_POLICY, "source", 6));

	write_file(knob, old);
	unlink(mark);
	unlink(script);
	rmdir(dir);
	EXPECT_EQ(1, with);		/* control */
	EXPECT_EQ(0, without);
}

/* --- all at once ------------------------------------------------------------------ */

#define ROUNDS	150

struct stress {
	int stop;
	int errors;
	int fixed[2][2];		/* UDP and TCP members that stay */
};

static void *stress_send(void *arg)
{
	int fd = open_sender(UDP4, EXPORTER_PORT), i = 0, c;
	struct stress *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		send_from(fd, UDP4, i++ % 512, "datagram", 8);
		if (i % 16)
			continue;
		c = connect_from(TCP4, i % 512, 0, true);
		if (c >= 0)
			close(c);
	}
	close(fd);
	return NULL;
}

static void *stress_churn(void *arg)
{
	struct stress *s = arg;
	struct opts o = { .weight = 1, .policy = "source", .seed = seed_a };
	struct group g = { 4 };
	int i, j, fd;

	for (i = 0; i < ROUNDS; i++) {
		for (j = 0; j < g.n; j++) {
			o.kind = j & 1 ? TCP4 : UDP4;
			o.id = 20 + (i + j) % 3;
			o.policy = (i + j) % 4 ? "source" : NULL;
			g.fd[j] = open_member(&o);
			if (g.fd[j] < 0)
				__atomic_add_fetch(&s->errors, 1,
						   __ATOMIC_RELAXED);
		}
		/* shutdown() and a second listen(): there and back */
		shutdown(g.fd[1], SHUT_RD);
		if (i & 1)
			set_member(g.fd[1], 9, 2, 0);
		listen(g.fd[1], 16);
		while ((fd = accept(g.fd[3], NULL, NULL)) >= 0)
			close(fd);
		close_group(&g);
	}
	return NULL;
}

static void *stress_options(void *arg)
{
	struct stress *s = arg;
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		fd = s->fixed[i & 1][i >> 1 & 1];
		if (set_drain(fd, i % 3) ||
		    set_policy(fd, i % 5 ? "source" : "",
			       REUSEPORT_KEY_SADDR | (i & 6), NULL) ||
		    set_member(fd, i % 4, i % 3, 0) || key_of(fd) < 0)
			__atomic_add_fetch(&s->errors, 1, __ATOMIC_RELAXED);
		while ((fd = accept(s->fixed[1][i & 1], NULL, NULL)) >= 0)
			close(fd);
	}
	return NULL;
}

TEST_F_TIMEOUT(opt, stress, 300)
{
	struct opts o = { .id = 1, .weight = 1, .policy = "source" };
	struct stress s = {};
	pthread_t t[5];
	struct group g;
	int i;

	ASSERT_EQ(0, write_file("/proc/sys/net/ipv4/tcp_migrate_req", "1"));
	for (i = 0; i < 4; i++) {
		o.kind = i & 1 ? TCP4 : UDP4;
		s.fixed[i & 1][i >> 1] = open_member(&o);
		ASSERT_LE(0, s.fixed[i & 1][i >> 1]);
	}
	pthread_create(&t[0], NULL, stress_send, &s);
	pthread_create(&t[1], NULL, stress_send, &s);
	pthread_create(&t[2], NULL, stress_churn, &s);
	pthread_create(&t[3], NULL, stress_churn, &s);
	pthread_create(&t[4], NULL, stress_options, &s);
	for (i = 2; i < 5; i++)
		pthread_join(t[i], NULL);
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	EXPECT_EQ(0, s.errors);

	/* The groups still work. */
	for (i = 0; i < 2; i++) {
		char buf[16];

		while (recv(s.fixed[0][i], buf, sizeof(buf), 0) >= 0)
			;
		ASSERT_EQ(0, set_member(s.fixed[0][i], 1 + i, 1, 0));
	}
	ASSERT_EQ(0, set_policy(s.fixed[0][0], "source", 0, seed_a));
	g = (struct group){ 2, { s.fixed[0][0], s.fixed[0][1] } };
	ASSERT_EQ(0, map_group(&g, UDP4, map_a, 64, EXPORTER_PORT));
	EXPECT_LT(0, count(map_a, 64, 0));
	EXPECT_LT(0, count(map_a, 64, 1));
	close_group(&g);
	close(s.fixed[1][0]);
	close(s.fixed[1][1]);
}

TEST_HARNESS_MAIN
