// SPDX-License-Identifier: GPL-2.0
/*
 * SO_REUSEPORT_POLICY: who gets what with the policy "source".
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_map.h"

#include "kselftest_harness.h"

static short map_a[MAX_EXPORTERS], map_b[MAX_EXPORTERS], map_c[MAX_EXPORTERS];

/* --- what holds for each family and protocol ----------------------------- */

FIXTURE(any) {
	struct group g;
	struct opts o;
	int n;
};

FIXTURE_VARIANT(any) {
	int kind;
	bool policy;
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
	self->g.n = 0;
	self->n = is_tcp(variant->kind) ? many(96, 48) : many(600, 200);
	self->o = (struct opts){
		.kind = variant->kind,
		.id = 11,
		.weight = 1,
		.policy = variant->policy ? "source" : NULL,
		.seed = seed_a,
	};
}

FIXTURE_TEARDOWN(any)
{
	close_group(&self->g);
}

/* A leaving member moves its exporters only; one that comes back under its id
 * gets exactly these. The hash moves others too.
 */
TEST_F_TIMEOUT(any, minimal_disruption, 120)
{
	struct opts o = self->o;
	int i, gone = 0, others = 0, kind = variant->kind, n = self->n;

	ASSERT_EQ(0, open_group(&self->g, 5, &o));
	ASSERT_EQ(0, map_group(&self->g, kind, map_a, n, EXPORTER_PORT));
	for (i = 0; i < 5; i++)
		EXPECT_LT(0, count(map_a, n, i));

	close(self->g.fd[1]);
	self->g.fd[1] = -1;
	ASSERT_EQ(0, map_group(&self->g, kind, map_b, n, EXPORTER_PORT));
	for (i = 0; i < n; i++) {
		EXPECT_NE(1, map_b[i]);
		if (map_a[i] == 1)
			gone++;
		else
			others += map_a[i] != map_b[i];
	}
	EXPECT_EQ(gone, count(map_a, n, 1));

	o.id = 12;
	self->g.fd[1] = open_member(&o);
	ASSERT_LE(0, self->g.fd[1]);
	ASSERT_EQ(0, map_group(&self->g, kind, map_c, n, EXPORTER_PORT));

	if (variant->policy) {
		EXPECT_EQ(0, others);
		EXPECT_EQ(0, differ(map_a, map_c, n));
		/* A newcomer only takes, and leaves all else in place. */
		o.id = 99;
		self->g.n = 6;
		self->g.fd[5] = open_member(&o);
		ASSERT_LE(0, self->g.fd[5]);
		ASSERT_EQ(0, map_group(&self->g, kind, map_c, n,
				       EXPORTER_PORT));
		EXPECT_LT(0, count(map_c, n, 5));
		EXPECT_EQ(differ(map_a, map_c, n), count(map_c, n, 5));
	} else {
		EXPECT_LT(0, others);
		EXPECT_LT(0, differ(map_a, map_c, n));
	}
}

/* The source port has no say, unless the hash chooses. */
TEST_F_TIMEOUT(any, sticky_to_address, 60)
{
	int diff, kind = variant->kind, n = self->n;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, map_group(&self->g, kind, map_a, n, EXPORTER_PORT));
	ASSERT_EQ(0, map_group(&self->g, kind, map_b, n, EXPORTER_PORT + 1));
	diff = differ(map_a, map_b, n);
	EXPECT_EQ(variant->policy, !diff);
}

/* With and without a policy a draining member gets nothing new, and the policy
 * leaves the exporters of the others alone.
 */
TEST_F_TIMEOUT(any, drain, 120)
{
	int i, kind = variant->kind, n = self->n;
	unsigned long long sel;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, map_group(&self->g, kind, map_a, n, EXPORTER_PORT));
	EXPECT_LT(0, count(map_a, n, 2));	/* control: it had some */

	ASSERT_EQ(0, set_drain(self->g.fd[2], true));
	sel = selections(self->g.fd[2]);
	EXPECT_LE(count(map_a, n, 2), (int)sel);
	ASSERT_EQ(0, map_group(&self->g, kind, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, count(map_b, n, 2));
	EXPECT_EQ(sel, selections(self->g.fd[2]));
	EXPECT_EQ(count(map_a, n, 2), differ(map_a, map_b, n));

	ASSERT_EQ(0, set_drain(self->g.fd[2], false));
	ASSERT_EQ(0, map_group(&self->g, kind, map_c, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_c, n));

	/* If all drain, there is nobody better. */
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, set_drain(self->g.fd[i], true));
	ASSERT_EQ(0, map_group(&self->g, kind, map_c, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_c, n));
}

/* Options that say nothing new change nothing: the choice of the hash is the
 * one of a group that knows no option.
 */
TEST_F_TIMEOUT(any, nothing_set, 60)
{
	struct opts o = { .kind = variant->kind };
	int kind = variant->kind, n = self->n;

	ASSERT_EQ(0, open_group(&self->g, 4, &o));
	ASSERT_EQ(0, map_group(&self->g, kind, map_a, n, EXPORTER_PORT));
	EXPECT_EQ(0, selections(self->g.fd[0]));	/* no table */

	ASSERT_EQ(0, set_member(self->g.fd[3], 0, 1, 0));
	ASSERT_EQ(0, map_group(&self->g, kind, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));
	EXPECT_LT(0, selections(self->g.fd[0]));

	/* Control: a policy does change it. */
	ASSERT_EQ(0, set_policy(self->g.fd[1], "source", 0, seed_a));
	ASSERT_EQ(0, map_group(&self->g, kind, map_b, n, EXPORTER_PORT));
	EXPECT_LT(0, differ(map_a, map_b, n));

	ASSERT_EQ(0, setsockopt(self->g.fd[2], SOL_SOCKET, SO_REUSEPORT_POLICY,
				"", 1));
	ASSERT_EQ(0, map_group(&self->g, kind, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));
}

/* --- shares -------------------------------------------------------------- */

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

TEST_F_TIMEOUT(udp, weights, 120)
{
	static const __u32 w[4] = { 1, 2, 5, 0 };
	int i, n = MAX_EXPORTERS, equal = 0;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, set_member(self->g.fd[i], 11 + i, w[i], 0));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(near(count(map_a, n, i), n, w[i] / 8.0)) {
			TH_LOG("member %d of weight %u has %d of %d", i, w[i],
			       count(map_a, n, i), n);
		}
	}
	EXPECT_EQ(0, count(map_a, n, 3));

	/* A heavier member only takes. */
	ASSERT_EQ(0, set_member(self->g.fd[0], 11, 4, 0));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(differ(map_a, map_b, n),
		  count(map_b, n, 0) - count(map_a, n, 0));
	EXPECT_TRUE(near(count(map_b, n, 0), n, 4 / 11.0));

	/* Weights of 0 only: all are equal. Control for the first check. */
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, set_member(self->g.fd[i], 11 + i, 0, 0));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_c, n, EXPORTER_PORT));
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(near(count(map_c, n, i), n, 0.25));
		equal += near(count(map_c, n, i), n, w[i] / 8.0);
	}
	EXPECT_GT(4, equal);
}

/* The map is part of the ABI: another host, another kernel must agree. */
TEST_F(udp, known_answer)
{
	static const char want[] =
	"1321312322322323332223313120030022313222333233320113323112203332";
	char got[65] = {};
	int i;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, set_member(self->g.fd[i], 11 + i, 1 + i, 0));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, 64, EXPORTER_PORT));
	for (i = 0; i < 64; i++)
		got[i] = '0' + map_a[i];
	EXPECT_STREQ(want, got);

	/* Control: with another seed it is another one. */
	ASSERT_EQ(0, set_policy(self->g.fd[0], "source", 0, seed_b));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, 64, EXPORTER_PORT));
	EXPECT_LT(0, differ(map_a, map_b, 64));
}

/* Equal ids and seed, equal map: UDP and TCP, v4 and v4-mapped, v6. */
static int agree(const char *seed_1, const char *seed_2, int kind_1, int kind_2)
{
	struct opts o = { .id = 11, .weight = 1, .policy = "source" };
	struct group g1 = {}, g2 = {};
	int ret = -1, n = 64;

	o.kind = kind_1;
	o.seed = seed_1;
	if (open_group(&g1, 4, &o) || map_group(&g1, kind_1, map_a, n, 20000))
		goto out;
	if (kind_1 == UDP4 && kind_2 == DUAL)
		close_group(&g1);
	o.kind = kind_2;
	o.seed = seed_2;
	if (open_group(&g2, 4, &o) || map_group(&g2, kind_2, map_b, n, 20003))
		goto out;
	ret = differ(map_a, map_b, n);
out:
	close_group(&g1);
	close_group(&g2);
	return ret;
}

TEST_F_TIMEOUT(udp, groups_agree, 60)
{
	EXPECT_EQ(0, agree(seed_a, seed_a, UDP4, TCP4));
	EXPECT_EQ(0, agree(seed_a, seed_a, UDP6, TCP6));
	EXPECT_EQ(0, agree(seed_a, seed_a, UDP4, DUAL));
	EXPECT_LT(0, agree(seed_a, seed_b, UDP4, TCP4));	/* control */
	EXPECT_LT(0, agree(seed_a, seed_b, UDP6, TCP6));	/* control */
	/* The seed of the kernel is one for all groups. */
	EXPECT_EQ(0, agree(NULL, NULL, UDP4, TCP4));
	EXPECT_LT(0, agree(NULL, seed_a, UDP4, TCP4));		/* control */
}

TEST_HARNESS_MAIN
