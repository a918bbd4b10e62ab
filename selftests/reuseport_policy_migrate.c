// SPDX-License-Identifier: GPL-2.0
/*
 * What waits in a listener that closes: half-open and unaccepted connections go
 * where the exporter goes from then on.
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_bpf.h"
#include "reuseport_map.h"

#include "kselftest_harness.h"

static short map_a[MAX_EXPORTERS], map_b[MAX_EXPORTERS], map_c[MAX_EXPORTERS];

FIXTURE(migrate) {
	struct group g;
	struct opts o;
	int client[64];
};

FIXTURE_VARIANT(migrate) {
	int kind;
	bool policy;
	int where;		/* 0 accept queue, 1 final ACK, 2 timer */
};

FIXTURE_VARIANT_ADD(migrate, accept4) { TCP4, true, 0 };
FIXTURE_VARIANT_ADD(migrate, accept6) { TCP6, true, 0 };
FIXTURE_VARIANT_ADD(migrate, ack4) { TCP4, true, 1 };
FIXTURE_VARIANT_ADD(migrate, ack6) { TCP6, true, 1 };
FIXTURE_VARIANT_ADD(migrate, timer4) { TCP4, true, 2 };
FIXTURE_VARIANT_ADD(migrate, timer6) { TCP6, true, 2 };
FIXTURE_VARIANT_ADD(migrate, accept4_control) { TCP4, false, 0 };
FIXTURE_VARIANT_ADD(migrate, ack4_control) { TCP4, false, 1 };
FIXTURE_VARIANT_ADD(migrate, timer6_control) { TCP6, false, 2 };

FIXTURE_SETUP(migrate)
{
	ASSERT_EQ(0, new_netns());
	ASSERT_EQ(0, write_file("/proc/sys/net/ipv4/tcp_migrate_req", "1"));
	memset(self->client, 0xff, sizeof(self->client));
	self->g.n = 0;
	self->o = (struct opts){ .kind = variant->kind, .id = 11, .weight = 1,
				 .policy = variant->policy ? "source" : NULL,
				 .seed = seed_a };
}

FIXTURE_TEARDOWN(migrate)
{
	int i;

	for (i = 0; i < 64; i++) {
		if (self->client[i] >= 0)
			close(self->client[i]);
	}
	close_group(&self->g);
}

/* They go where the exporter goes from now on. */
TEST_F_TIMEOUT(migrate, follows_policy, 120)
{
	int i, moved = 0, wrong = 0, n = many(64, 24), kind = variant->kind;
	long long end, before;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, map_group(&self->g, kind, map_a, n, EXPORTER_PORT));
	if (variant->where) {
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, set_int(self->g.fd[i], IPPROTO_TCP,
					     TCP_DEFER_ACCEPT, 60));
	}
	for (i = 0; i < n; i++) {
		self->client[i] = connect_from(kind, i, EXPORTER_PORT + 1,
					       false);
		ASSERT_LE(0, self->client[i]);
	}

	before = mib("TCPMigrateReqSuccess");
	close(self->g.fd[1]);
	self->g.fd[1] = -1;
	if (variant->policy) {
		for (i = 0; i < n; i++)
			moved += map_a[i] == 1;
		EXPECT_LT(0, moved);
	}
	if (variant->where == 2 && variant->policy) {
		/* The timer of each request finds that its listener is gone. */
		end = now_ms() + DEADLINE_MS;
		while (mib("TCPMigrateReqSuccess") < before + moved &&
		       now_ms() < end)
			poll(NULL, 0, 10);
		EXPECT_EQ(before + moved, mib("TCPMigrateReqSuccess"));
	}
	if (variant->where) {
		for (i = 0; i < n; i++)
			ASSERT_EQ(1, send(self->client[i], "x", 1, 0));
	}
	for (i = 0; i < n; i++)
		map_b[i] = -1;
	ASSERT_EQ(0, accept_until(&self->g, map_b, n, n));
	if (variant->policy)
		EXPECT_EQ(before + moved, mib("TCPMigrateReqSuccess"));

	if (variant->where) {
		for (i = 0; i < 4; i++) {
			if (self->g.fd[i] >= 0)
				set_int(self->g.fd[i], IPPROTO_TCP,
					TCP_DEFER_ACCEPT, 0);
		}
	}
	ASSERT_EQ(0, map_group(&self->g, kind, map_c, n, EXPORTER_PORT + 2));
	for (i = 0; i < n; i++)
		wrong += map_b[i] != map_c[i];
	EXPECT_EQ(variant->policy, !wrong);
}

/* --- members that drain, and programs that are asked -------------------------- */

#define CLIENTS	256
#define ROUNDS	8

FIXTURE(leave) {
	struct group g;
	struct opts o;
	int client[CLIENTS];
	int array, prog;
};

/* Who is asked about a request or a child. */
enum asked { NOBODY, PROGRAM, OTHER_PROGRAM };

FIXTURE_VARIANT(leave) {
	int kind;
	bool policy;
	int where;		/* 0 accept queue, 1 final ACK */
	bool drain;
	enum asked asked;
};

FIXTURE_VARIANT_ADD(leave, drain_accept4) { TCP4, true, 0, true };
FIXTURE_VARIANT_ADD(leave, drain_accept6) { TCP6, true, 0, true };
FIXTURE_VARIANT_ADD(leave, drain_ack4) { TCP4, true, 1, true };
FIXTURE_VARIANT_ADD(leave, drain_ack6) { TCP6, true, 1, true };
FIXTURE_VARIANT_ADD(leave, drain_hash_accept4) { TCP4, false, 0, true };
FIXTURE_VARIANT_ADD(leave, drain_hash_ack6) { TCP6, false, 1, true };
FIXTURE_VARIANT_ADD(leave, control_accept4) { TCP4, true, 0, false };
FIXTURE_VARIANT_ADD(leave, control_ack6) { TCP6, true, 1, false };
FIXTURE_VARIANT_ADD(leave, control_hash_accept4) { TCP4, false, 0, false };
FIXTURE_VARIANT_ADD(leave, bpf_accept4) { TCP4, true, 0, true, PROGRAM };
FIXTURE_VARIANT_ADD(leave, bpf_accept6) { TCP6, true, 0, true, PROGRAM };
FIXTURE_VARIANT_ADD(leave, bpf_ack4) { TCP4, true, 1, true, PROGRAM };
FIXTURE_VARIANT_ADD(leave, bpf_ack6) { TCP6, true, 1, true, PROGRAM };
FIXTURE_VARIANT_ADD(leave, bpf_hash_accept4) { TCP4, false, 0, true, PROGRAM };
FIXTURE_VARIANT_ADD(leave, bpf_hash_ack6) { TCP6, false, 1, true, PROGRAM };
/* A program that is only for packets has no say. */
FIXTURE_VARIANT_ADD(leave, bpf_select_accept4) {
	TCP4, true, 0, true, OTHER_PROGRAM
};

FIXTURE_VARIANT_ADD(leave, bpf_select_ack4) {
	TCP4, true, 1, true, OTHER_PROGRAM
};

FIXTURE_SETUP(leave)
{
	ASSERT_EQ(0, new_netns());
	/* A program for it is enough; without one it has to be switched on. */
	if (variant->asked != PROGRAM)
		ASSERT_EQ(0, write_file("/proc/sys/net/ipv4/tcp_migrate_req",
					"1"));
	memset(self->client, 0xff, sizeof(self->client));
	self->g.n = 0;
	self->array = -1;
	self->prog = -1;
	self->o = (struct opts){ .kind = variant->kind, .id = 11, .weight = 1,
				 .policy = variant->policy ? "source" : NULL,
				 .seed = seed_a };
}

FIXTURE_TEARDOWN(leave)
{
	int i;

	for (i = 0; i < CLIENTS; i++) {
		if (self->client[i] >= 0)
			close(self->client[i]);
	}
	close(self->prog);
	close(self->array);
	close_group(&self->g);
}

/* Does the connection end with a reset? */
static bool is_reset(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	char c;

	return poll(&p, 1, DEADLINE_MS) == 1 && recv(fd, &c, 1, 0) < 0 &&
	       errno == ECONNRESET;
}

/* Member 1 closes its listener while member 2 drains. Its requests and children
 * go where the program says, then where the policy says, then by the hash; and
 * to the draining member only if the program, which takes member 3, says so.
 */
TEST_F_TIMEOUT(leave, follows_program_policy_hash, 120)
{
	int moved = 0, dropped = 0, taken = 0, to_draining = 0, wrong = 0;
	int i, round, n, kind = variant->kind, *fd = self->g.fd;
	bool ask = variant->asked == PROGRAM;

	/* The hash has a new secret each time: more, lest luck decides. */
	n = variant->policy ? many(CLIENTS, 72) : CLIENTS;
	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	/* As they will be spread: one port, so that the hash agrees too. */
	ASSERT_EQ(0, map_group(&self->g, kind, map_a, n, EXPORTER_PORT));
	if (variant->asked) {
		self->array = bpf_sockarray();
		ASSERT_LE(0, self->array);
		ASSERT_EQ(0, bpf_sockarray_set(self->array, fd[3]));
		self->prog = bpf_program(self->array, is_six(kind), ask, true);
		ASSERT_LE(0, self->prog);
		ASSERT_EQ(0, attach_program(fd[0], self->prog));
	}
	if (variant->where) {
		for (i = 0; i < 4; i++)
			ASSERT_EQ(0, set_int(fd[i], IPPROTO_TCP,
					     TCP_DEFER_ACCEPT, 60));
	}
	for (i = 0; i < n; i++) {
		self->client[i] = connect_from(kind, i, EXPORTER_PORT, false);
		ASSERT_LE(0, self->client[i]);
	}
	ASSERT_EQ(0, set_drain(fd[2], variant->drain));
	close(fd[1]);
	fd[1] = -1;

	for (i = 0; i < n; i++) {
		if (map_a[i] != 1)
			continue;
		moved++;
		dropped += ask && verdict_of(kind, i) == DROP;
		taken += ask && verdict_of(kind, i) == TAKE;
	}
	EXPECT_LT(0, moved);
	EXPECT_EQ(ask, dropped > 0);	/* controls */
	EXPECT_EQ(ask, taken > 0);

	for (i = 0; i < n && variant->where; i++)
		ASSERT_EQ(1, send(self->client[i], "x", 1, 0));
	for (i = 0; i < n; i++)
		map_b[i] = -1;
	ASSERT_EQ(0, accept_until(&self->g, map_b, n, n - dropped));
	for (i = 0; i < n; i++) {
		if (map_a[i] == 1 && ask && verdict_of(kind, i) == DROP)
			EXPECT_TRUE(is_reset(self->client[i]));
	}

	for (i = 0; i < 4 && variant->where; i++) {
		if (fd[i] >= 0)
			set_int(fd[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
	}

	for (i = 0; i < n; i++) {
		enum verdict v = ask ? verdict_of(kind, i) : PASS;

		if (map_a[i] != 1) {
			/* Whoever had it before it drained keeps it. */
			EXPECT_EQ(map_a[i], map_b[i]);
			continue;
		}
		if (v == PASS)
			to_draining += map_b[i] == 2;
		else	/* dropped, or taken by member 3 */
			EXPECT_EQ(v == DROP ? -1 : 3, map_b[i]);
	}
	EXPECT_EQ(variant->drain, !to_draining);

	/* Where new connections go, and the program is deaf to these: there by
	 * the policy, and by the hash of another port sooner or later elsewhere.
	 */
	for (round = 0; round < ROUNDS && !wrong; round++) {
		ASSERT_EQ(0, map_group(&self->g, kind, map_c, n,
				       EXPORTER_PORT + 2 + round));
		for (i = 0; i < n; i++) {
			if (map_a[i] == 1 &&
			    (!ask || verdict_of(kind, i) == PASS))
				wrong += map_b[i] != map_c[i];
		}
		if (variant->policy)
			break;
	}
	EXPECT_EQ(variant->policy, !wrong);
}

TEST_HARNESS_MAIN
