// SPDX-License-Identifier: GPL-2.0
/*
 * SO_REUSEPORT_POLICY: load-bounded placement of the policy "stable".
 *
 * 1000 exporters send as Zipf's law has it, with exponent 1.1, to 16 members.
 * The loudest one alone sends 2.9 times the mean of a member, so the load of
 * its member cannot be less as long as an exporter stays together. Hence two
 * claims: members without an exporter that is over the limit by itself are not
 * over it, and the fullest one is within the limit of the best that there is.
 */
#define _GNU_SOURCE
#include "reuseport_stable.h"

#include "kselftest_harness.h"

#define MEMBERS		16
#define EXPORTERS	1000
#define PACKETS		20000
#define LIMIT		125	/* hundredths of the mean */
#define BOUND		100	/* thousandths: what is asked of the policy */

/* k^-1.1, by Newton's method for the tenth root. */
static double zipf(int k)
{
	double y = 1, p;
	int i, j;

	for (i = 0; i < 100; i++) {
		for (p = 1, j = 0; j < 9; j++)
			p *= y;
		y -= (y * p - k) / (10 * p);
	}
	return 1 / (k * y);
}

/* Who sends next: the exporters in the order of their loudness. */
struct law {
	double sum[EXPORTERS];
	unsigned long long state;
};

static void law_init(struct law *law)
{
	double all = 0;
	int i;

	for (i = 0; i < EXPORTERS; i++) {
		all += zipf(i + 1);
		law->sum[i] = all;
	}
	for (i = 0; i < EXPORTERS; i++)
		law->sum[i] /= all;
	law->state = 1;
}

static int law_next(struct law *law)
{
	double u;
	int low = 0, high = EXPORTERS - 1, mid;

	law->state = law->state * 6364136223846793005ULL +
		     1442695040888963407ULL;
	u = (law->state >> 11) / 9007199254740992.0;
	while (low < high) {
		mid = (low + high) / 2;
		if (law->sum[mid] < u)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int sent_by[EXPORTERS], home[EXPORTERS];

/* Reads what there is. -1 if an exporter was heard of at two members. */
static int take(struct group *g, int *load)
{
	__u32 who;
	int i, got = 0;

	for (i = 0; i < g->n; i++) {
		while (recv(g->fd[i], &who, sizeof(who), 0) >= 4) {
			if (who >= EXPORTERS ||
			    (home[who] >= 0 && home[who] != i))
				return -1;
			home[who] = i;
			load[i]++;
			got++;
		}
	}
	return got;
}

static int run(struct group *g, int *load)
{
	int fd = open_sender(UDP4, EXPORTER_PORT), sent = 0, got = 0, c, i;
	static struct law law;
	__u32 who;

	law_init(&law);
	memset(load, 0, MEMBERS * sizeof(*load));
	memset(sent_by, 0, sizeof(sent_by));
	for (i = 0; i < EXPORTERS; i++)
		home[i] = -1;
	while (got < PACKETS) {
		for (; sent < PACKETS && sent - got < BATCH; sent++) {
			who = law_next(&law);
			sent_by[who]++;
			if (send_from(fd, UDP4, who, &who, sizeof(who)))
				goto err;
		}
		if (wait_readable(g, -1) <= 0)
			goto err;
		c = take(g, load);
		if (c < 0)
			goto err;
		got += c;
	}
	close(fd);
	return 0;
err:
	close(fd);
	return -1;
}

struct result {
	int max;	/* fullest member */
	int best;	/* what it could be at best */
	int others;	/* fullest one without an exporter over the limit */
};

static struct result judge(const int *load)
{
	struct result r = { .best = PACKETS / MEMBERS };
	bool loud[MEMBERS] = {};
	int i;

	for (i = 0; i < EXPORTERS; i++) {
		if (sent_by[i] > r.best)
			r.best = sent_by[i];
		if (sent_by[i] * MEMBERS * 100LL > PACKETS * (long long)LIMIT)
			loud[home[i]] = true;
	}
	for (i = 0; i < MEMBERS; i++) {
		if (load[i] > r.max)
			r.max = load[i];
		if (!loud[i] && load[i] > r.others)
			r.others = load[i];
	}
	return r;
}

static bool within(int load, int of)
{
	return load * 100LL <= of * (long long)LIMIT;
}

FIXTURE(load) {
	struct group g;
	struct opts o;
	int load[MEMBERS];
};

FIXTURE_VARIANT(load) {
	__u32 bound;
};

FIXTURE_VARIANT_ADD(load, bound) { BOUND };
FIXTURE_VARIANT_ADD(load, unbound_control) { 0 };

FIXTURE_SETUP(load)
{
	ASSERT_EQ(0, new_netns());
	self->g.n = 0;
	self->o = (struct opts){ .kind = UDP4, .id = 11, .weight = 1,
				 .policy = "stable", .seed = seed_a };
	if (want_stable() == ENOENT)
		SKIP(return, "no module " MODULE);
}

FIXTURE_TEARDOWN(load)
{
	close_group(&self->g);
}

TEST_F_TIMEOUT(load, zipf, 600)
{
	struct pace pace = { HOUR_MS, HOUR_MS, variant->bound };
	int mean = PACKETS / MEMBERS;
	struct result r;

	ASSERT_EQ(0, open_group(&self->g, MEMBERS, &self->o));
	ASSERT_EQ(0, set_paced(self->g.fd[0], "stable", 0, seed_a, pace));
	/* That no exporter moves is part of it. */
	ASSERT_EQ(0, run(&self->g, self->load));
	r = judge(self->load);
	TH_LOG("bound %u: fullest/mean %d %%, fullest/best %d %%, others/mean %d %%",
	       variant->bound, r.max * 100 / mean, r.max * 100 / r.best,
	       r.others * 100 / mean);
	if (variant->bound) {
		EXPECT_TRUE(within(r.others, mean));
		EXPECT_TRUE(within(r.max, r.best));
	} else {
		EXPECT_FALSE(within(r.others, mean));
	}
}

TEST_HARNESS_MAIN
