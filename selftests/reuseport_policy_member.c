// SPDX-License-Identifier: GPL-2.0
/*
 * SO_REUSEPORT_MEMBER: joining, and leaving without a loss.
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_map.h"
#include <pthread.h>

#include "kselftest_harness.h"

static short map_a[MAX_EXPORTERS], map_b[MAX_EXPORTERS], map_c[MAX_EXPORTERS];

FIXTURE(udp) {
	struct group g;
	struct opts o;
};

FIXTURE_SETUP(udp)
{
	ASSERT_EQ(0, new_netns());
	self->g.n = 0;
	self->o = (struct opts){ .kind = UDP4, .id = 11, .weight = 1,
				 .policy = "source", .seed = seed_a };
}

FIXTURE_TEARDOWN(udp)
{
	close_group(&self->g);
}

/* Is c within 4 standard deviations of n * share? */
static bool near(int c, int n, double share)
{
	double e = n * share, var = e * (1 - share), d = c - e;

	return d * d <= 16 * var;
}

/* --- members --------------------------------------------------------------- */

/* Two sockets with one id: the newer has the share of the id, until it drains
 * or closes.
 */
TEST_F_TIMEOUT(udp, duplicate_ids, 60)
{
	struct opts o = self->o;
	int i, n = 400;

	ASSERT_EQ(0, open_group(&self->g, 3, &o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));

	o.id = 11;
	self->g.n = 4;
	self->g.fd[3] = open_member(&o);
	ASSERT_LE(0, self->g.fd[3]);
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	for (i = 0; i < n; i++)
		EXPECT_EQ(map_a[i] ? map_a[i] : 3, map_b[i]);

	ASSERT_EQ(0, set_drain(self->g.fd[3], true));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));

	ASSERT_EQ(0, set_drain(self->g.fd[3], false));
	ASSERT_EQ(0, set_drain(self->g.fd[0], true));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	for (i = 0; i < n; i++)
		EXPECT_EQ(map_a[i] ? map_a[i] : 3, map_b[i]);

	/* Control: under an id of its own it takes from all. */
	ASSERT_EQ(0, set_member(self->g.fd[3], 77, 1, 0));
	ASSERT_EQ(0, set_drain(self->g.fd[0], false));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_c, n, EXPORTER_PORT));
	for (i = 0; i < 4; i++)
		EXPECT_LT(0, count(map_c, n, i));

	close(self->g.fd[3]);
	self->g.fd[3] = -1;
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));
}

/* There are 256 handles. The next member is in the group all the same. */
TEST_F_TIMEOUT(udp, table_full, 240)
{
	struct reuseport_member_stats st;
	int i, n = MAX_EXPORTERS;
	long long fallback;

	ASSERT_EQ(0, open_group(&self->g, 256, &self->o));
	EXPECT_EQ(0, set_member(self->g.fd[255], 500, 1, 0));	/* control */

	self->o.id = 1000;
	self->g.n = 257;
	self->g.fd[256] = open_member(&self->o);
	ASSERT_LE(0, self->g.fd[256]);
	EXPECT_EQ(-1, set_member(self->g.fd[256], 1000, 1, 0));
	EXPECT_EQ(ENOSPC, errno);
	ASSERT_EQ(0, get_member(self->g.fd[256], &st));
	EXPECT_NE(1000, st.member.id);

	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	EXPECT_EQ(0, count(map_a, n, 256));
	EXPECT_LT(0, count(map_a, n, 255));			/* control */

	/* The hash reaches it. */
	ASSERT_EQ(0, set_policy(self->g.fd[0], "", 0, NULL));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	EXPECT_LT(0, count(map_a, n, 256));
	ASSERT_EQ(0, set_policy(self->g.fd[0], "source", 0, seed_a));

	/* And if all with a handle drain, it is the only one that does not. */
	for (i = 0; i < 256; i++)
		ASSERT_EQ(0, set_drain(self->g.fd[i], true));
	fallback = mib("ReuseportPolicyFallback");
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, 64, EXPORTER_PORT));
	EXPECT_EQ(64, count(map_a, 64, 256));
	EXPECT_EQ(fallback + 64, mib("ReuseportPolicyFallback"));

	/* A handle that is free again goes to the next that joins. */
	close(self->g.fd[256]);
	close(self->g.fd[7]);
	self->g.fd[7] = -1;
	ASSERT_EQ(0, set_drain(self->g.fd[8], true));	/* a grace period */
	self->g.fd[256] = open_member(&self->o);
	ASSERT_LE(0, self->g.fd[256]);
	EXPECT_EQ(0, set_member(self->g.fd[256], 1000, 1, 0));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, 64, EXPORTER_PORT));
	EXPECT_EQ(64, count(map_a, 64, 256));
	EXPECT_EQ(fallback + 64, mib("ReuseportPolicyFallback"));
}

/* A group without a policy adopts that of the joiner, one with a policy keeps
 * it; the settings of the joiner go along either way.
 */
TEST_F(udp, join)
{
	struct opts o = { .kind = UDP4 };
	struct reuseport_member_stats st;
	int i, n = 256;

	/* neither table nor policy */
	ASSERT_EQ(0, open_group(&self->g, 2, &o));
	EXPECT_STREQ("", policy_of(self->g.fd[0]));
	o = self->o;
	o.id = 100;
	o.weight = 3;
	self->g.n = 3;
	self->g.fd[2] = open_member(&o);
	ASSERT_LE(0, self->g.fd[2]);
	for (i = 0; i < 3; i++)
		EXPECT_STREQ("source", policy_of(self->g.fd[i]));
	ASSERT_EQ(0, get_member(self->g.fd[2], &st));
	EXPECT_EQ(100, st.member.id);
	EXPECT_EQ(3, st.member.weight);
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	EXPECT_TRUE(near(count(map_a, n, 2), n, 0.6));
	EXPECT_LT(0, count(map_a, n, 0));
	EXPECT_LT(0, count(map_a, n, 1));

	/* a policy: that of the newcomer is dropped */
	o.id = 101;
	o.key = REUSEPORT_KEY_SPORT;
	self->g.n = 4;
	self->g.fd[3] = open_member(&o);
	ASSERT_LE(0, self->g.fd[3]);
	EXPECT_EQ(REUSEPORT_KEY_SADDR, key_of(self->g.fd[3]));

	/* a table, but no policy */
	ASSERT_EQ(0, set_policy(self->g.fd[0], "", 0, NULL));
	o.id = 102;
	self->g.n = 5;
	self->g.fd[4] = open_member(&o);
	ASSERT_LE(0, self->g.fd[4]);
	EXPECT_EQ(REUSEPORT_KEY_SADDR | REUSEPORT_KEY_SPORT,
		  key_of(self->g.fd[0]));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	for (i = 0; i < 5; i++)
		EXPECT_LT(0, count(map_a, n, i));
}

TEST_F(udp, counters)
{
	unsigned long long sum = 0;
	int i, n = 256;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	EXPECT_EQ(0, selections(self->g.fd[0]));	/* control */
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(count(map_a, n, i), (int)selections(self->g.fd[i]));
		sum += selections(self->g.fd[i]);
	}
	EXPECT_EQ(n, (int)sum);
}

/* --- leaving without a loss -------------------------------------------------- */

FIXTURE(leave) {
	struct group g;
	struct opts o;
};

FIXTURE_VARIANT(leave) {
	const char *policy;
	bool drain;
};

FIXTURE_VARIANT_ADD(leave, policy) { "source", true };
FIXTURE_VARIANT_ADD(leave, hash) { NULL, true };
FIXTURE_VARIANT_ADD(leave, policy_control) { "source", false };
FIXTURE_VARIANT_ADD(leave, hash_control) { NULL, false };

FIXTURE_SETUP(leave)
{
	ASSERT_EQ(0, new_netns());
	self->g.n = 0;
	self->o = (struct opts){ .kind = UDP4, .id = 11, .weight = 1,
				 .policy = variant->policy, .seed = seed_a };
}

FIXTURE_TEARDOWN(leave)
{
	close_group(&self->g);
}

#define STREAM	6000

struct stream {
	int sent;		/* read by the main thread */
	int failed;
	int until;		/* the sender waits for leave beyond this */
};

static void *stream_thread(void *arg)
{
	struct stream *st = arg;
	int fd = open_sender(UDP4, EXPORTER_PORT), i;
	__u32 who;

	for (i = 0; i < STREAM && fd >= 0; i++) {
		while (i >= __atomic_load_n(&st->until, __ATOMIC_ACQUIRE))
			sched_yield();
		who = i;
		if (send_from(fd, UDP4, i % 64, &who, sizeof(who)))
			break;
		__atomic_store_n(&st->sent, i + 1, __ATOMIC_RELEASE);
	}
	st->failed = i < STREAM;
	close(fd);
	return NULL;
}

static void wait_sent(struct stream *st, int n)
{
	while (__atomic_load_n(&st->sent, __ATOMIC_ACQUIRE) < n)
		sched_yield();
}

/* Drain, read until there is nothing, close: under fire nothing is lost. To
 * close without that loses what is in the queue.
 */
TEST_F_TIMEOUT(leave, under_fire, 120)
{
	static short got[STREAM];
	struct stream st = { .until = STREAM / 3 };
	pthread_t t;
	int n = 0, c;

	memset(got, 0xff, sizeof(got));
	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, pthread_create(&t, NULL, stream_thread, &st));
	wait_sent(&st, STREAM / 3);

	/* The rest is sent while member 1 leaves. */
	__atomic_store_n(&st.until, STREAM, __ATOMIC_RELEASE);
	if (variant->drain) {
		struct group one = { 1, { self->g.fd[1] } };

		ASSERT_EQ(0, set_drain(self->g.fd[1], true));
		c = collect(&one, got, STREAM);
		ASSERT_LT(0, c);
		n += c;
	}
	close(self->g.fd[1]);
	self->g.fd[1] = -1;

	ASSERT_EQ(0, pthread_join(t, NULL));
	ASSERT_EQ(0, st.failed);
	c = collect(&self->g, got, STREAM);
	ASSERT_LT(0, c);
	n += c;
	while (variant->drain && n < STREAM) {
		ASSERT_LT(0, wait_readable(&self->g, -1));
		c = collect(&self->g, got, STREAM);
		ASSERT_LE(0, c);
		n += c;
	}
	EXPECT_EQ(variant->drain, n == STREAM);
}

TEST_HARNESS_MAIN
