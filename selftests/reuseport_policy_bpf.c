// SPDX-License-Identifier: GPL-2.0
/*
 * A BPF program in a group with a policy: the program decides first, the policy
 * where the program selects nobody, the hash where there is no policy.
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_bpf.h"
#include "reuseport_map.h"

#include "kselftest_harness.h"

#define EXPORTERS	128
#define MEMBERS		4
#define TAKEN		2	/* the member that the program selects */

static short by_policy[EXPORTERS], by_hash[EXPORTERS], got[EXPORTERS];

FIXTURE(order) {
	struct group g;
	int array, prog;
};

FIXTURE_VARIANT(order) {
	int kind;
	bool classic;
};

FIXTURE_VARIANT_ADD(order, udp4) { UDP4, false };
FIXTURE_VARIANT_ADD(order, udp6) { UDP6, false };
FIXTURE_VARIANT_ADD(order, tcp4) { TCP4, false };
FIXTURE_VARIANT_ADD(order, tcp6) { TCP6, false };
FIXTURE_VARIANT_ADD(order, classic_udp4) { UDP4, true };
FIXTURE_VARIANT_ADD(order, classic_udp6) { UDP6, true };
FIXTURE_VARIANT_ADD(order, classic_tcp4) { TCP4, true };
FIXTURE_VARIANT_ADD(order, classic_tcp6) { TCP6, true };

/* The member of index TAKEN is at this place of the kernel's array too, as long
 * as nobody leaves.
 */
static int attach(struct _test_data_order *self,
		  const struct _fixture_variant_order *variant)
{
	if (variant->classic)
		return attach_classic(self->g.fd[0], is_six(variant->kind),
				      TAKEN);
	return attach_program(self->g.fd[0], self->prog);
}

static int detach(struct _test_data_order *self)
{
	return set_int(self->g.fd[0], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0);
}

FIXTURE_SETUP(order)
{
	struct opts o = { .kind = variant->kind, .id = 11, .weight = 1,
			  .policy = "source", .seed = seed_a };

	ASSERT_EQ(0, new_netns());
	ASSERT_EQ(0, open_group(&self->g, MEMBERS, &o));
	self->array = bpf_sockarray();
	ASSERT_LE(0, self->array);
	ASSERT_EQ(0, bpf_sockarray_set(self->array, self->g.fd[TAKEN]));
	self->prog = bpf_program(self->array, is_six(variant->kind), false,
				 false);
	ASSERT_LE(0, self->prog);
}

FIXTURE_TEARDOWN(order)
{
	close(self->prog);
	close(self->array);
	close_group(&self->g);
}

static enum verdict say(const struct _fixture_variant_order *variant, int i)
{
	return variant->classic ? classic_verdict_of(variant->kind, i) :
				  verdict_of(variant->kind, i);
}

/* Who gets exporter i if @otherwise decides where the program does not. */
static int expected(const struct _fixture_variant_order *variant, int i,
		    const short *otherwise)
{
	switch (say(variant, i)) {
	case TAKE:
		return TAKEN;
	case DROP:
		return -1;
	default:
		return otherwise[i];
	}
}

/* Datagrams for which there was no socket, of this thread's namespace. */
static long no_ports(int kind)
{
	char line[4096], name[64];
	long val = -1, n;
	FILE *f;

	f = fopen(is_six(kind) ? "/proc/thread-self/net/snmp6" :
				 "/proc/thread-self/net/snmp", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (is_six(kind) ?
		    sscanf(line, "%63s %ld", name, &n) == 2 &&
		    !strcmp(name, "Udp6NoPorts") :
		    sscanf(line, "Udp: %*u %ld", &n) == 1)
			val = n;
	}
	fclose(f);
	return val;
}

/* As map_group(), where some find nobody: -1. Returns how many, or -1. */
static int map_with_drops(struct group *g, int kind, short *map, int n)
{
	int i, fd, c, none = 0, have = 0;
	long long end = now_ms() + DEADLINE_MS;
	long before = no_ports(kind);
	__u32 who;

	for (i = 0; i < n; i++)
		map[i] = -1;
	for (i = 0; i < n && is_tcp(kind); i++) {
		fd = connect_from(kind, i, EXPORTER_PORT, false);
		if (fd < 0 && errno != ECONNREFUSED)
			return -1;
		if (fd < 0)
			none++;
		else if (accept_until(g, map, n, 1))
			return -1;
		if (fd >= 0)
			close(fd);
	}
	if (is_tcp(kind))
		return none;

	fd = open_sender(kind, EXPORTER_PORT);
	if (fd < 0)
		return -1;
	for (i = 0; i < n; i++) {
		who = i;
		if (send_from(fd, kind, i, &who, sizeof(who)))
			return -1;
	}
	while (have + none < n) {
		c = collect(g, map, n);
		if (c < 0 || now_ms() > end)
			return -1;
		have += c;
		none = no_ports(kind) - before;
	}
	close(fd);
	return none;
}

TEST_F_TIMEOUT(order, program_policy_hash, 120)
{
	int i, kind = variant->kind, n = many(EXPORTERS, EXPORTERS / 4);
	int drops = 0, moved = 0, differ_here = 0;

	/* What it would be without a program. */
	ASSERT_EQ(0, map_with_drops(&self->g, kind, by_policy, n));
	ASSERT_EQ(0, set_policy(self->g.fd[0], "", 0, NULL));
	ASSERT_EQ(0, map_with_drops(&self->g, kind, by_hash, n));
	ASSERT_EQ(0, set_policy(self->g.fd[0], "source", 0, seed_a));
	for (i = 0; i < n; i++) {
		drops += say(variant, i) == DROP;
		moved += say(variant, i) == TAKE && by_policy[i] != TAKEN;
		differ_here += say(variant, i) == PASS &&
			       by_policy[i] != by_hash[i];
	}
	EXPECT_EQ(!variant->classic, drops > 0);
	EXPECT_LT(0, moved);		/* control: the program matters */
	EXPECT_LT(0, differ_here);	/* control: the policy matters */

	/* The program first, then the policy. */
	ASSERT_EQ(0, attach(self, variant));
	EXPECT_EQ(drops, map_with_drops(&self->g, kind, got, n));
	for (i = 0; i < n; i++)
		EXPECT_EQ(expected(variant, i, by_policy), got[i]);

	/* No policy: then the hash. */
	ASSERT_EQ(0, set_policy(self->g.fd[0], "", 0, NULL));
	EXPECT_EQ(drops, map_with_drops(&self->g, kind, got, n));
	for (i = 0; i < n; i++)
		EXPECT_EQ(expected(variant, i, by_hash), got[i]);

	/* Without the program all is as before it. */
	ASSERT_EQ(0, detach(self));
	ASSERT_EQ(0, set_policy(self->g.fd[0], "source", 0, seed_a));
	EXPECT_EQ(0, map_with_drops(&self->g, kind, got, n));
	EXPECT_EQ(0, differ(by_policy, got, n));
}

/* What the program selects is final, even if it drains. What it leaves to the
 * policy does not get to a member that drains.
 */
TEST_F_TIMEOUT(order, drain, 120)
{
	int i, kind = variant->kind, n = many(EXPORTERS, EXPORTERS / 4);
	int had = 0, drops = 0;

	ASSERT_EQ(0, attach(self, variant));
	ASSERT_LE(0, map_with_drops(&self->g, kind, by_policy, n));
	for (i = 0; i < n; i++) {
		drops += say(variant, i) == DROP;
		had += say(variant, i) == PASS && (by_policy[i] == TAKEN ||
						   by_policy[i] == 1);
	}
	EXPECT_LT(0, had);		/* control */

	ASSERT_EQ(0, set_drain(self->g.fd[TAKEN], true));
	ASSERT_EQ(0, set_drain(self->g.fd[1], true));
	EXPECT_EQ(drops, map_with_drops(&self->g, kind, got, n));
	for (i = 0; i < n; i++) {
		if (say(variant, i) == TAKE) {
			EXPECT_EQ(TAKEN, got[i]);
		} else if (say(variant, i) == PASS) {
			EXPECT_NE(TAKEN, got[i]);
			EXPECT_NE(1, got[i]);
			if (by_policy[i] != TAKEN && by_policy[i] != 1)
				EXPECT_EQ(by_policy[i], got[i]);
		}
	}
}

/* A program whose socket is gone cannot select it: nobody is refused, the
 * policy decides. A classic program gets whoever has moved to that place.
 */
TEST_F_TIMEOUT(order, dead_slot, 120)
{
	int i, kind = variant->kind, n = many(EXPORTERS, EXPORTERS / 4);
	int drops = 0, want;

	ASSERT_EQ(0, attach(self, variant));
	close(self->g.fd[TAKEN]);
	self->g.fd[TAKEN] = -1;
	for (i = 0; i < n; i++)
		drops += say(variant, i) == DROP;
	EXPECT_EQ(drops, map_with_drops(&self->g, kind, got, n));
	ASSERT_EQ(0, detach(self));
	ASSERT_EQ(0, map_with_drops(&self->g, kind, by_policy, n));
	for (i = 0; i < n; i++) {
		want = by_policy[i];
		if (say(variant, i) == DROP)
			want = -1;
		else if (say(variant, i) == TAKE && variant->classic)
			want = MEMBERS - 1;
		EXPECT_EQ(want, got[i]);
	}
}

TEST_HARNESS_MAIN
