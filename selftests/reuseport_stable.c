// SPDX-License-Identifier: GPL-2.0
/*
 * SO_REUSEPORT_POLICY: who gets what with the policy "stable", and when that
 * changes.
 *
 * Each claim has a control: the same scene with another policy, or with the
 * feature in question off, where the claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_stable.h"

#include "kselftest_harness.h"

static short map_a[MAX_EXPORTERS], map_b[MAX_EXPORTERS], map_c[MAX_EXPORTERS];

static int open_paced(struct group *g, int n, struct opts *o, struct pace pace)
{
	int ret = open_group(g, n, o);

	/* From scratch, with the pace. */
	return ret ?: set_paced(g->fd[0], o->policy, o->key, o->seed, pace);
}

static int member_of(struct group *g, struct opts *o, int i)
{
	struct opts one = *o;

	one.id = o->id + i;
	g->fd[i] = open_member(&one);
	return g->fd[i] < 0 ? -1 : 0;
}

static void leave(struct group *g, int i)
{
	close(g->fd[i]);
	g->fd[i] = -1;
}

/* How many of those that differ were not with @who before. */
static int others_moved(const short *before, const short *after, int n, int who)
{
	int i, c = 0;

	for (i = 0; i < n; i++)
		c += before[i] != who && before[i] != after[i];
	return c;
}

/* --- what holds for each family and protocol ----------------------------- */

FIXTURE(any) {
	struct group g;
	struct opts o;
	int n;
};

FIXTURE_VARIANT(any) {
	int kind;
	const char *policy;
};

FIXTURE_VARIANT_ADD(any, udp4) { UDP4, "stable" };
FIXTURE_VARIANT_ADD(any, udp6) { UDP6, "stable" };
FIXTURE_VARIANT_ADD(any, dual) { DUAL, "stable" };
FIXTURE_VARIANT_ADD(any, tcp4) { TCP4, "stable" };
FIXTURE_VARIANT_ADD(any, tcp6) { TCP6, "stable" };
FIXTURE_VARIANT_ADD(any, source_control) { UDP4, "source" };
FIXTURE_VARIANT_ADD(any, hash_control) { UDP4, NULL };

FIXTURE_SETUP(any)
{
	ASSERT_EQ(0, new_netns());
	self->g.n = 0;
	self->n = is_tcp(variant->kind) ? many(96, 48) : many(500, 200);
	self->o = (struct opts){
		.kind = variant->kind,
		.id = 11,
		.weight = 1,
		.policy = variant->policy,
		.seed = seed_a,
	};
	if (want_stable() == ENOENT)
		SKIP(return, "no module " MODULE);
}

FIXTURE_TEARDOWN(any)
{
	close_group(&self->g);
}

/* A leaving member moves its exporters and no others, one that joins moves none
 * that is live. "source" hands over at once, the hash moves others too.
 */
TEST_F_TIMEOUT(any, leave_and_join, 300)
{
	int kind = variant->kind, n = self->n;
	struct group *g = &self->g;
	bool stable, hash;

	hash = !variant->policy;
	stable = !hash && !strcmp(variant->policy, "stable");

	ASSERT_EQ(0, open_group(g, 5, &self->o));
	ASSERT_EQ(0, map_group(g, kind, map_a, n, EXPORTER_PORT));
	leave(g, 2);
	ASSERT_EQ(0, map_group(g, kind, map_b, n, EXPORTER_PORT));
	EXPECT_LT(0, count(map_a, n, 2));
	EXPECT_EQ(0, count(map_b, n, 2));
	EXPECT_EQ(hash, others_moved(map_a, map_b, n, 2) > 0);

	ASSERT_EQ(0, member_of(g, &self->o, 2));
	ASSERT_EQ(0, map_group(g, kind, map_c, n, EXPORTER_PORT));
	EXPECT_EQ(!stable, differ(map_b, map_c, n) > 0);

	/* And a stranger. */
	g->n = 6;
	ASSERT_EQ(0, member_of(g, &self->o, 5));
	ASSERT_EQ(0, map_group(g, kind, map_c, n, EXPORTER_PORT));
	EXPECT_EQ(!stable, differ(map_b, map_c, n) > 0);
}

TEST_F_TIMEOUT(any, drain, 300)
{
	int kind = variant->kind, n = self->n;
	struct group *g = &self->g;

	ASSERT_EQ(0, open_group(g, 4, &self->o));
	ASSERT_EQ(0, map_group(g, kind, map_a, n, EXPORTER_PORT));
	EXPECT_LT(0, count(map_a, n, 1));
	ASSERT_EQ(0, set_drain(g->fd[1], true));
	ASSERT_EQ(0, map_group(g, kind, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, count(map_b, n, 1));
	/* The hash has a draining member left out too, and moves others. */
	if (variant->policy)
		EXPECT_EQ(0, others_moved(map_a, map_b, n, 1));
}

/* --- UDP over IPv4 and IPv6 ----------------------------------------------- */

FIXTURE(two) {
	struct group g, twin;
	struct opts o, t;
};

FIXTURE_SETUP(two)
{
	ASSERT_EQ(0, new_netns());
	self->g.n = 0;
	self->twin.n = 0;
	self->o = (struct opts){ .kind = UDP4, .id = 11, .weight = 1,
				 .policy = "stable", .seed = seed_a };
	self->t = self->o;
	self->t.kind = UDP6;
	if (want_stable() == ENOENT)
		SKIP(return, "no module " MODULE);
}

FIXTURE_TEARDOWN(two)
{
	close_group(&self->g);
	close_group(&self->twin);
}

/* When the deadline has passed the map is what it was before the member died.
 * The twin has an hour.
 */
TEST_F_TIMEOUT(two, deadline_restores_the_map, 300)
{
	struct pace soon = { HOUR_MS, 3000, 0 }, late = { HOUR_MS, HOUR_MS, 0 };
	struct group *g = &self->g, *t = &self->twin;
	static short twin_b[MAX_EXPORTERS], twin_c[MAX_EXPORTERS];
	long long end;
	int n = 100;

	ASSERT_EQ(0, open_paced(g, 4, &self->o, soon));
	ASSERT_EQ(0, open_paced(t, 4, &self->t, late));
	ASSERT_EQ(0, map_group(g, UDP4, map_a, n, EXPORTER_PORT));
	ASSERT_EQ(0, map_group(t, UDP6, map_c, n, EXPORTER_PORT));
	leave(g, 1);
	leave(t, 1);
	ASSERT_EQ(0, map_group(g, UDP4, map_b, n, EXPORTER_PORT));
	ASSERT_EQ(0, map_group(t, UDP6, twin_b, n, EXPORTER_PORT));
	EXPECT_LT(0, differ(map_a, map_b, n));
	ASSERT_EQ(0, member_of(g, &self->o, 1));
	ASSERT_EQ(0, member_of(t, &self->t, 1));

	/* All the time the exporters send. */
	end = now_ms() + DEADLINE_MS;
	do {
		ASSERT_EQ(0, map_group(g, UDP4, map_b, n, EXPORTER_PORT));
	} while (differ(map_a, map_b, n) && now_ms() < end);
	EXPECT_EQ(0, differ(map_a, map_b, n));

	ASSERT_EQ(0, map_group(t, UDP6, twin_c, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(twin_b, twin_c, n));
	EXPECT_LT(0, differ(map_c, twin_c, n));
}

/* Who was not heard of goes where it belongs at once, who was heard of stays. */
TEST_F_TIMEOUT(two, silent_ones_move_at_once, 300)
{
	struct group *g = &self->g;
	int n = 400, loud = 0;

	ASSERT_EQ(0, open_group(g, 4, &self->o));
	ASSERT_EQ(0, map_group(g, UDP4, map_a, n, EXPORTER_PORT));
	close_group(g);
	while (loud < n && map_a[loud] != 2)
		loud++;
	ASSERT_GT(n, loud);

	ASSERT_EQ(0, open_group(g, 4, &self->o));
	leave(g, 2);
	/* The first up to the loud one. */
	ASSERT_EQ(0, map_group(g, UDP4, map_b, loud + 1, EXPORTER_PORT));
	EXPECT_NE(2, map_b[loud]);
	ASSERT_EQ(0, member_of(g, &self->o, 2));
	ASSERT_EQ(0, map_group(g, UDP4, map_c, n, EXPORTER_PORT));
	EXPECT_EQ(map_b[loud], map_c[loud]);
	EXPECT_EQ(1, differ(map_a, map_c, n));

	/* Twin: no patience, and it moves too. */
	ASSERT_EQ(0, set_paced(g->fd[0], "stable", 0, seed_a,
			       (struct pace){ HOUR_MS, 1, 0 }));
	leave(g, 2);
	ASSERT_EQ(0, map_group(g, UDP4, map_b, loud + 1, EXPORTER_PORT));
	EXPECT_NE(2, map_b[loud]);
	ASSERT_EQ(0, member_of(g, &self->o, 2));
	ASSERT_EQ(0, map_group(g, UDP4, map_c, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_c, n));
}

/* Within four deviations of K p (1 - p), for the exporters and once more for
 * the slots, of which there are more.
 */
static bool share_fits(int got, int k, int part, int whole)
{
	long long diff = (long long)got * whole - (long long)k * part;

	return diff * diff <= 16LL * 2 * k * part * (whole - part);
}

TEST_F_TIMEOUT(two, shares_follow_weights, 300)
{
	struct opts o = self->o;
	int i, n = 2000, misfits = 0;

	self->g.n = 3;
	for (i = 0; i < 3; i++) {
		o.id = 11 + i;
		o.weight = 1 + i;
		self->g.fd[i] = open_member(&o);
		ASSERT_LE(0, self->g.fd[i]);
	}
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	for (i = 0; i < 3; i++) {
		TH_LOG("weight %d of 6: %d of %d exporters", 1 + i,
		       count(map_a, n, i), n);
		EXPECT_TRUE(share_fits(count(map_a, n, i), n, 1 + i, 6));
	}
	close_group(&self->g);

	/* Twin: all equal. */
	ASSERT_EQ(0, open_group(&self->g, 3, &self->o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	for (i = 0; i < 3; i++)
		misfits += !share_fits(count(map_b, n, i), n, 1 + i, 6);
	EXPECT_EQ(2, misfits);
	for (i = 0; i < 3; i++)
		EXPECT_TRUE(share_fits(count(map_b, n, i), n, 1, 3));
}

/* The same ids and seed: the same map, for UDP and TCP, and on another host. */
TEST_F_TIMEOUT(two, equal_maps, 300)
{
	struct opts o = self->o;
	int n = 96;

	ASSERT_EQ(0, open_group(&self->g, 4, &o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	o.kind = TCP4;
	ASSERT_EQ(0, open_group(&self->twin, 4, &o));
	ASSERT_EQ(0, map_group(&self->twin, TCP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));
	close_group(&self->g);
	close_group(&self->twin);

	ASSERT_EQ(0, new_netns());
	o.kind = UDP4;
	ASSERT_EQ(0, open_group(&self->g, 4, &o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));
	close_group(&self->g);

	/* Twins: another seed, another id. */
	o.seed = seed_b;
	ASSERT_EQ(0, open_group(&self->g, 4, &o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_LT(n / 4, differ(map_a, map_b, n));
	close_group(&self->g);
	o.seed = seed_a;
	o.id = 12;
	ASSERT_EQ(0, open_group(&self->g, 4, &o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_LT(n / 4, differ(map_a, map_b, n));
}

/* Which member gets an IPFIX message of exporter 7 with this domain. */
static int owner_of_domain(struct group *g, int sender, __u32 domain)
{
	unsigned char p[16] = { 0, 10 }, buf[64];
	__be32 be = htonl(domain);
	int i;

	memcpy(p + 12, &be, 4);
	if (send_from(sender, UDP4, 7, p, sizeof(p)) || wait_readable(g, -1) <= 0)
		return -1;
	for (i = 0; i < g->n; i++) {
		if (recv(g->fd[i], buf, sizeof(buf), 0) == sizeof(p))
			return i;
	}
	return -1;
}

TEST_F_TIMEOUT(two, payload_key_splits_domains, 120)
{
	__u32 keys[] = { 0, REUSEPORT_KEY_PAYLOAD };
	int i, k, s = open_sender(UDP4, EXPORTER_PORT), used;

	ASSERT_LE(0, s);
	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	for (k = 0; k < 2; k++) {
		ASSERT_EQ(0, set_policy(self->g.fd[0], "stable", keys[k],
					seed_a));
		for (i = 0; i < 64; i++) {
			map_a[i] = owner_of_domain(&self->g, s, i);
			ASSERT_LE(0, map_a[i]);
		}
		for (i = 0; i < 64; i++)
			map_b[i] = owner_of_domain(&self->g, s, i);
		EXPECT_EQ(0, differ(map_a, map_b, 64));
		for (used = 0, i = 0; i < 4; i++)
			used += count(map_a, 64, i) > 0;
		/* Twin: by address all domains meet. */
		EXPECT_EQ(k ? 4 : 1, used);
	}
	close(s);
}

TEST_HARNESS_MAIN
