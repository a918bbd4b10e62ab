// SPDX-License-Identifier: GPL-2.0
/*
 * TCP_TAKEOVER in a group with a policy: the heir of a connection is the member
 * that gets new connections of its exporter.
 *
 * Each collector is a process that listens, accepts and keeps what it accepts,
 * and reports each accept() over a pipe.
 */
#define _GNU_SOURCE
#include "reuseport_map.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "takeover_uapi.h"

#define COLLECTORS	4
#define EXPORTERS	64

struct report {
	int collector;
	int exporter;		/* -1: ready */
	int takeovers;
};

FIXTURE(heir) {
	pid_t pid[COLLECTORS];
	int ctl[COLLECTORS];	/* a byte: drain */
	int client[EXPORTERS];
	int pipe[2];
};

FIXTURE_VARIANT(heir) {
	int kind;
	bool policy;
};

FIXTURE_VARIANT_ADD(heir, tcp4) { TCP4, true };
FIXTURE_VARIANT_ADD(heir, tcp6) { TCP6, true };
FIXTURE_VARIANT_ADD(heir, tcp4_control) { TCP4, false };

static int takeovers_of(int fd)
{
	struct tcp_takeover_info info = {};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TCP, TCP_TAKEOVER_INFO, &info, &len))
		return -1;
	return info.tti_count;
}

static void collector(int nr, const struct opts *tmpl, int ctl, int out)
{
	struct opts o = *tmpl;
	struct pollfd p[2];
	struct report r = { nr, -1, 0 };
	int lsk, fd;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	o.id = 11 + nr;
	lsk = open_member(&o);
	if (lsk < 0 || set_int(lsk, SOL_TCP, TCP_TAKEOVER, TCP_TAKEOVER_EXIT))
		_exit(1);
	if (write(out, &r, sizeof(r)) != sizeof(r))
		_exit(1);

	for (;;) {
		p[0] = (struct pollfd){ lsk, POLLIN, 0 };
		p[1] = (struct pollfd){ ctl, POLLIN, 0 };
		if (poll(p, 2, -1) < 0)
			_exit(1);
		if (p[1].revents) {
			if (read(ctl, &c, 1) != 1 || set_drain(lsk, true))
				_exit(1);
			r.exporter = -1;
			if (write(out, &r, sizeof(r)) != sizeof(r))
				_exit(1);
		}
		fd = accept(lsk, NULL, NULL);
		if (fd < 0)
			continue;
		r.exporter = peer_of(fd);
		r.takeovers = takeovers_of(fd);
		if (write(out, &r, sizeof(r)) != sizeof(r))
			_exit(1);
	}
}

FIXTURE_SETUP(heir)
{
	struct opts o = { .kind = variant->kind, .id = 11, .weight = 1,
			  .policy = variant->policy ? "source" : NULL,
			  .seed = seed_a };
	struct report r;
	int i, sv[2];

	ASSERT_EQ(0, new_netns());
	ASSERT_EQ(0, pipe2(self->pipe, O_CLOEXEC));
	for (i = 0; i < EXPORTERS; i++)
		self->client[i] = -1;
	for (i = 0; i < COLLECTORS; i++) {
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
		self->ctl[i] = sv[0];
		self->pid[i] = fork();
		ASSERT_LE(0, self->pid[i]);
		if (!self->pid[i])
			collector(i, &o, sv[1], self->pipe[1]);
		close(sv[1]);
		ASSERT_EQ((ssize_t)sizeof(r),
			  read(self->pipe[0], &r, sizeof(r)));
		ASSERT_EQ(-1, r.exporter);
	}
}

FIXTURE_TEARDOWN(heir)
{
	int i;

	for (i = 0; i < COLLECTORS; i++) {
		if (self->pid[i] <= 0)
			continue;
		kill(self->pid[i], SIGKILL);
		waitpid(self->pid[i], NULL, 0);
	}
	for (i = 0; i < EXPORTERS; i++) {
		if (self->client[i] >= 0)
			close(self->client[i]);
	}
}

/* Reads n reports into map[exporter]; all with that number of takeovers. */
static int reports(int fd, short *map, int n, int takeovers)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct report r;

	while (n--) {
		if (poll(&p, 1, DEADLINE_MS) != 1 ||
		    read(fd, &r, sizeof(r)) != sizeof(r))
			return -1;
		if (r.exporter < 0 || r.exporter >= EXPORTERS ||
		    r.takeovers != takeovers)
			return -2;
		map[r.exporter] = r.collector;
	}
	return 0;
}

/* Where new connections of each exporter go. */
static int map_new(int fd, int kind, short *map, int port)
{
	int i, c, ret;

	for (i = 0; i < EXPORTERS; i++) {
		c = connect_from(kind, i, port, false);
		if (c < 0)
			return -1;
		ret = reports(fd, map, 1, 0);
		close(c);
		if (ret)
			return ret;
	}
	return 0;
}

static short old[EXPORTERS], heir[EXPORTERS], fresh[EXPORTERS];

/* Kill one, and drain another before. */
TEST_F_TIMEOUT(heir, is_where_the_exporter_goes, 120)
{
	int i, n = 0, wrong = 0;
	struct report r;

	for (i = 0; i < EXPORTERS; i++) {
		self->client[i] = connect_from(variant->kind, i, EXPORTER_PORT,
					       false);
		ASSERT_LE(0, self->client[i]);
		ASSERT_EQ(0, reports(self->pipe[0], old, 1, 0));
	}
	for (i = 0; i < COLLECTORS; i++)
		EXPECT_LT(0, count(old, EXPORTERS, i));

	ASSERT_EQ(1, write(self->ctl[2], "d", 1));
	ASSERT_EQ((ssize_t)sizeof(r), read(self->pipe[0], &r, sizeof(r)));
	ASSERT_EQ(-1, r.exporter);

	memcpy(heir, old, sizeof(heir));
	n = count(old, EXPORTERS, 1);
	kill(self->pid[1], SIGKILL);
	waitpid(self->pid[1], NULL, 0);
	self->pid[1] = 0;
	ASSERT_EQ(0, reports(self->pipe[0], heir, n, 1));
	EXPECT_EQ(0, count(heir, EXPORTERS, 1));
	EXPECT_EQ(count(old, EXPORTERS, 2), count(heir, EXPORTERS, 2));

	ASSERT_EQ(0, map_new(self->pipe[0], variant->kind, fresh,
			     EXPORTER_PORT + 1));
	for (i = 0; i < EXPORTERS; i++) {
		EXPECT_NE(1, fresh[i]);
		EXPECT_NE(2, fresh[i]);
		if (old[i] == 1)
			wrong += heir[i] != fresh[i];
	}
	EXPECT_EQ(variant->policy, !wrong);

	/* The connections of the others have stayed where they were. */
	for (i = 0; i < EXPORTERS; i++) {
		if (old[i] != 1)
			EXPECT_EQ(old[i], heir[i]);
	}
}

TEST_HARNESS_MAIN
