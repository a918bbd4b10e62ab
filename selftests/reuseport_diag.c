// SPDX-License-Identifier: GPL-2.0
/*
 * INET_DIAG_REUSEPORT: what sock_diag tells about the members of a group.
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_diag.h"
#include "reuseport_map.h"
#include <pthread.h>

#include "kselftest_harness.h"

#define EXPORTERS	64
#define MEMBERS		3

static short map[EXPORTERS];

static __u32 states_of(int kind)
{
	return is_tcp(kind) ? DIAG_LISTEN : DIAG_UDP;
}

/* --- what is told, for each family and protocol ------------------------------ */

FIXTURE(any) {
	struct group g;
	struct opts o;
	int nl;
};

FIXTURE_VARIANT(any) {
	int kind;
	bool options;
};

FIXTURE_VARIANT_ADD(any, udp4) { UDP4, true };
FIXTURE_VARIANT_ADD(any, udp6) { UDP6, true };
FIXTURE_VARIANT_ADD(any, dual) { DUAL, true };
FIXTURE_VARIANT_ADD(any, tcp4) { TCP4, true };
FIXTURE_VARIANT_ADD(any, tcp6) { TCP6, true };
FIXTURE_VARIANT_ADD(any, udp4_control) { UDP4, false };
FIXTURE_VARIANT_ADD(any, udp6_control) { UDP6, false };
FIXTURE_VARIANT_ADD(any, tcp4_control) { TCP4, false };
FIXTURE_VARIANT_ADD(any, tcp6_control) { TCP6, false };

FIXTURE_SETUP(any)
{
	ASSERT_EQ(0, new_netns());
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	self->g.n = 0;
	self->o = (struct opts){ .kind = variant->kind };
	if (variant->options) {
		self->o.id = 11;
		self->o.weight = 3;
		self->o.policy = "source";
		self->o.seed = seed_a;
	}
}

FIXTURE_TEARDOWN(any)
{
	close_group(&self->g);
	close(self->nl);
}

/* Each member has the attribute once, and it says what getsockopt() says. A
 * group that knows neither option has none.
 */
TEST_F(any, tells_what_getsockopt_tells)
{
	int i, kind = variant->kind;
	struct reuseport_member_stats st;
	__u32 group = 0;
	struct diag d;

	ASSERT_EQ(0, open_group(&self->g, MEMBERS, &self->o));
	ASSERT_EQ(0, map_group(&self->g, kind, map, EXPORTERS, EXPORTER_PORT));
	for (i = 0; i < MEMBERS; i++) {
		EXPECT_EQ(MEMBERS, diag_dump(self->nl, kind, states_of(kind),
					     self->g.fd[i], &d));
		EXPECT_EQ(1, d.seen);
		EXPECT_EQ(variant->options, d.attrs);
		if (!variant->options)
			continue;

		EXPECT_EQ(0, d.strange);
		EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_GROUP]);
		if (i)
			EXPECT_EQ(group, d.group);
		group = d.group;
		EXPECT_EQ(MEMBERS, d.members);
		EXPECT_STREQ(policy_of(self->g.fd[i]), d.policy);
		EXPECT_STREQ("source", d.policy);

		ASSERT_EQ(0, get_member(self->g.fd[i], &st));
		EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_ID]);
		EXPECT_EQ(11 + i, d.id);
		EXPECT_EQ(st.member.id, d.id);
		EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_WEIGHT]);
		EXPECT_EQ(3, d.weight);
		EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_FLAGS]);
		EXPECT_EQ(0, d.flags);
		EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_SELECTIONS]);
		EXPECT_EQ(st.selections, d.selections);
		EXPECT_LT(0, d.selections);
	}
}

/* A request for one socket gets the same, and the message has room for it. */
TEST_F(any, one_socket)
{
	struct diag one, all;

	ASSERT_EQ(0, open_group(&self->g, 1, &self->o));
	ASSERT_EQ(1, diag_one(self->nl, variant->kind, self->g.fd[0], &one));
	ASSERT_EQ(1, diag_dump(self->nl, variant->kind,
			       states_of(variant->kind), self->g.fd[0], &all));
	EXPECT_EQ(variant->options, one.attrs);
	EXPECT_EQ(0, memcmp(&one, &all, sizeof(one)));
}

/* What changes is seen at once. */
TEST_F(any, changes)
{
	int kind = variant->kind, *fd = self->g.fd;
	struct diag was, d;

	ASSERT_EQ(0, open_group(&self->g, MEMBERS, &self->o));
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &was));
	EXPECT_EQ(0, was.selections);

	/* Control: if nothing changes nothing differs. */
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &d));
	EXPECT_EQ(0, memcmp(&was, &d, sizeof(d)));

	ASSERT_EQ(0, map_group(&self->g, kind, map, EXPORTERS, EXPORTER_PORT));
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &d));
	if (!variant->options) {
		/* Traffic alone makes no member of it, an option does. */
		EXPECT_EQ(0, d.attrs);
		ASSERT_EQ(0, set_member(fd[0], 5, 1, 0));
		ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1],
				       &d));
		EXPECT_EQ(1, d.attrs);
		EXPECT_EQ(cookie_of(fd[1]), d.id);
		EXPECT_EQ(0, d.selections);
		return;
	}
	EXPECT_EQ(count(map, EXPORTERS, 1), (int)d.selections);
	EXPECT_LT(0, d.selections);

	ASSERT_EQ(0, set_member(fd[1], 0x123456789abcdef0, 7,
				REUSEPORT_MEMBER_DRAIN));
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &d));
	EXPECT_EQ(0x123456789abcdef0, d.id);
	EXPECT_EQ(7, d.weight);
	EXPECT_EQ(REUSEPORT_MEMBER_DRAIN, d.flags);

	/* the id of one that has none: its cookie */
	ASSERT_EQ(0, set_member(fd[1], 0, 1, 0));
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &d));
	EXPECT_EQ(cookie_of(fd[1]), d.id);
	EXPECT_EQ(0, d.flags);

	ASSERT_EQ(0, set_policy(fd[0], "", 0, NULL));
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &d));
	EXPECT_EQ(1, d.attrs);
	EXPECT_FALSE(d.has[INET_DIAG_REUSEPORT_POLICY]);
	EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_ID]);

	EXPECT_EQ(MEMBERS, d.members);
	close(fd[2]);
	fd[2] = -1;
	ASSERT_LT(0, diag_dump(self->nl, kind, states_of(kind), fd[1], &d));
	EXPECT_EQ(MEMBERS - 1, d.members);
	EXPECT_EQ(was.group, d.group);
}

/* --- who has none ---------------------------------------------------------------- */

FIXTURE(diag) {
	struct group g;
	struct opts o;
	int nl;
};

FIXTURE_SETUP(diag)
{
	ASSERT_EQ(0, new_netns());
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	self->g.n = 0;
	self->o = (struct opts){ .kind = UDP4, .id = 11, .weight = 1,
				 .policy = "source", .seed = seed_a };
}

FIXTURE_TEARDOWN(diag)
{
	close_group(&self->g);
	close(self->nl);
}

/* Sockets that are not listening, or are connected, are told about as ever. */
TEST_F(diag, not_for_others)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(PORT),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct reuseport_member m = { 5, 1, 0 };
	int lsk, peer, child, bound, udp, plain;
	struct diag d;

	self->o.kind = TCP4;
	lsk = open_member(&self->o);
	ASSERT_LE(0, lsk);
	peer = connect_from(TCP4, 1, EXPORTER_PORT, false);
	ASSERT_LE(0, peer);
	ASSERT_LT(0, wait_readable(&(struct group){ 1, { lsk } }, -1));
	child = accept(lsk, NULL, NULL);
	ASSERT_LE(0, child);
	ASSERT_LT(0, diag_dump(self->nl, TCP4, DIAG_ALL, lsk, &d));
	EXPECT_EQ(1, d.attrs);				/* control */
	ASSERT_LT(0, diag_dump(self->nl, TCP4, DIAG_ALL, child, &d));
	EXPECT_EQ(1, d.seen);
	EXPECT_EQ(0, d.attrs);
	ASSERT_LT(0, diag_dump(self->nl, TCP4, DIAG_ALL, peer, &d));
	EXPECT_EQ(1, d.seen);
	EXPECT_EQ(0, d.attrs);

	/* bound, with settings, and not listening yet */
	bound = open_socket(TCP4);
	sin.sin_port = htons(PORT + 1);
	ASSERT_EQ(0, setsockopt(bound, SOL_SOCKET, SO_REUSEPORT_MEMBER, &m,
				sizeof(m)));
	ASSERT_EQ(0, bind(bound, (void *)&sin, sizeof(sin)));
	ASSERT_LT(0, diag_dump(self->nl, TCP4, DIAG_ALL, bound, &d));
	EXPECT_EQ(1, d.seen);
	EXPECT_EQ(0, d.attrs);
	ASSERT_EQ(0, listen(bound, 1));			/* control */
	ASSERT_LT(0, diag_dump(self->nl, TCP4, DIAG_ALL, bound, &d));
	EXPECT_EQ(1, d.attrs);
	EXPECT_EQ(5, d.id);
	EXPECT_FALSE(d.has[INET_DIAG_REUSEPORT_POLICY]);

	/* UDP: until it is connected; and one without SO_REUSEPORT */
	self->o.kind = UDP4;
	udp = open_member(&self->o);
	ASSERT_LE(0, udp);
	plain = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, bind(plain, (void *)&sin, sizeof(sin)));
	ASSERT_LT(0, diag_dump(self->nl, UDP4, DIAG_ALL, plain, &d));
	EXPECT_EQ(1, d.seen);
	EXPECT_EQ(0, d.attrs);
	ASSERT_LT(0, diag_dump(self->nl, UDP4, DIAG_ALL, udp, &d));
	EXPECT_EQ(1, d.attrs);				/* control */
	ASSERT_EQ(0, connect(udp, (void *)&sin, sizeof(sin)));
	ASSERT_LT(0, diag_dump(self->nl, UDP4, DIAG_ALL, udp, &d));
	EXPECT_EQ(1, d.seen);
	EXPECT_EQ(0, d.attrs);

	close(plain);
	close(udp);
	close(bound);
	close(child);
	close(peer);
	close(lsk);
}

/* Groups have numbers of their own, which stay when the array grows. A group
 * beside them that uses no option has no number to be told.
 */
TEST_F_TIMEOUT(diag, groups, 60)
{
	struct group udp = {}, tcp = {}, none = {};
	struct diag a, b, d;
	struct opts o;

	ASSERT_EQ(0, open_group(&udp, 2, &self->o));
	o = self->o;
	o.kind = TCP4;
	ASSERT_EQ(0, open_group(&tcp, 2, &o));
	o = (struct opts){ .kind = TCP6 };
	ASSERT_EQ(0, open_group(&none, 2, &o));
	ASSERT_LT(0, diag_dump(self->nl, UDP4, DIAG_UDP, udp.fd[0], &a));
	ASSERT_LT(0, diag_dump(self->nl, TCP4, DIAG_LISTEN, tcp.fd[0], &b));
	EXPECT_NE(a.group, b.group);
	ASSERT_LT(0, diag_dump(self->nl, TCP6, DIAG_LISTEN, none.fd[0], &d));
	EXPECT_EQ(1, d.seen);
	EXPECT_EQ(0, d.attrs);

	close_group(&udp);
	ASSERT_EQ(0, open_group(&self->g, 140, &self->o));
	ASSERT_EQ(140, diag_dump(self->nl, UDP4, DIAG_UDP, self->g.fd[139],
				 &a));
	ASSERT_EQ(140, diag_dump(self->nl, UDP4, DIAG_UDP, self->g.fd[0], &d));
	EXPECT_EQ(a.group, d.group);
	EXPECT_EQ(140, d.members);
	EXPECT_EQ(11 + 139, a.id);
	close_group(&tcp);
	close_group(&none);
}

/* The 257th is in the group, and it can be seen that it has no handle. */
TEST_F_TIMEOUT(diag, beyond_the_handles, 120)
{
	struct diag d;

	ASSERT_EQ(0, open_group(&self->g, 257, &self->o));
	ASSERT_EQ(257, diag_dump(self->nl, UDP4, DIAG_UDP, self->g.fd[256],
				 &d));
	EXPECT_EQ(1, d.attrs);
	EXPECT_EQ(257, d.members);
	EXPECT_STREQ("source", d.policy);
	EXPECT_FALSE(d.has[INET_DIAG_REUSEPORT_ID]);
	EXPECT_FALSE(d.has[INET_DIAG_REUSEPORT_WEIGHT]);
	EXPECT_FALSE(d.has[INET_DIAG_REUSEPORT_FLAGS]);
	EXPECT_FALSE(d.has[INET_DIAG_REUSEPORT_SELECTIONS]);
	ASSERT_EQ(257, diag_dump(self->nl, UDP4, DIAG_UDP, self->g.fd[255],
				 &d));
	EXPECT_TRUE(d.has[INET_DIAG_REUSEPORT_ID]);	/* control */
}

/* No capability is wanted, and nothing is told to another namespace. */
TEST_F(diag, capability_and_namespace)
{
	struct diag with, d;
	int nl;

	ASSERT_EQ(0, open_group(&self->g, 2, &self->o));
	ASSERT_LT(0, diag_dump(self->nl, UDP4, DIAG_UDP, self->g.fd[0],
			       &with));
	EXPECT_TRUE(with.mark);				/* control */
	EXPECT_EQ(1, with.attrs);

	ASSERT_EQ(0, new_netns());
	nl = diag_open();
	ASSERT_LE(0, nl);
	EXPECT_EQ(0, diag_dump(nl, UDP4, DIAG_UDP, self->g.fd[0], &d));
	EXPECT_EQ(0, d.seen);
	close(nl);

	ASSERT_EQ(0, drop_capability(CAP_NET_ADMIN));
	ASSERT_LT(0, diag_dump(self->nl, UDP4, DIAG_UDP, self->g.fd[0], &d));
	EXPECT_FALSE(d.mark);
	d.mark = true;
	EXPECT_EQ(0, memcmp(&with, &d, sizeof(d)));
}

/* --- dumps while all of it changes ------------------------------------------------ */

#define ROUNDS	60

struct churn {
	int stop;
	int errors;
	int fixed;
};

static void *churn(void *arg)
{
	struct opts o = { .weight = 1, .policy = "source", .seed = seed_a };
	struct churn *c = arg;
	struct group g = { 6 };
	int i, j;

	for (i = 0; i < ROUNDS; i++) {
		for (j = 0; j < g.n; j++) {
			o.kind = j & 1 ? TCP4 : UDP4;
			o.id = (i + j) % 5;
			g.fd[j] = open_member(&o);
			if (g.fd[j] < 0)
				c->errors++;
		}
		if (set_policy(c->fixed, i & 1 ? "source" : "", 0, NULL) ||
		    set_drain(c->fixed, i & 2) ||
		    set_member(c->fixed, 1 + i % 3, i % 4, 0))
			c->errors++;
		close_group(&g);
	}
	__atomic_store_n(&c->stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

TEST_F_TIMEOUT(diag, race, 240)
{
	struct churn c = {};
	long rounds = 0;
	pthread_t t;
	struct diag d;

	self->g.n = 1;
	c.fixed = open_member(&self->o);
	self->g.fd[0] = c.fixed;
	ASSERT_LE(0, c.fixed);
	ASSERT_EQ(0, pthread_create(&t, NULL, churn, &c));
	while (!__atomic_load_n(&c.stop, __ATOMIC_ACQUIRE)) {
		ASSERT_LE(0, diag_dump(self->nl, TCP4, DIAG_ALL, c.fixed, &d));
		ASSERT_LE(1, diag_dump(self->nl, UDP4, DIAG_UDP, c.fixed, &d));
		/* It never left, and never without its settings. */
		ASSERT_EQ(1, d.seen);
		ASSERT_EQ(1, d.attrs);
		ASSERT_EQ(0, d.strange);
		ASSERT_TRUE(d.has[INET_DIAG_REUSEPORT_ID]);
		ASSERT_GE(11, d.id);
		ASSERT_GE(3, d.weight);
		rounds++;
	}
	ASSERT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(0, c.errors);
	EXPECT_LT(0, rounds);
}

TEST_HARNESS_MAIN
