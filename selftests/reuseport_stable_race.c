// SPDX-License-Identifier: GPL-2.0
/*
 * A race: under traffic, members come, go and drain, the policy changes, and
 * the module of "stable" is loaded and unloaded. What is looked for is in the
 * kernel log; what is asserted is that all had their turn, and that the group
 * works afterwards.
 *
 * TELESTEER_RACE_SECONDS says how long, by default 5.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include "reuseport_stable.h"

#include "kselftest_harness.h"

#define SENDERS		2
#define CHURNERS	2
#define CHURNED		8	/* sockets of each */

static struct {
	int kind;
	bool stop;
	/* turns */
	long sent, joined, drained, set, unloaded, busy;
} race;

static bool stopped(void)
{
	return __atomic_load_n(&race.stop, __ATOMIC_RELAXED);
}

static struct opts member(int id)
{
	return (struct opts){ .kind = race.kind, .id = id, .weight = 1 + id % 3 };
}

/* Rest for as long as the work since then took, and some more: a join fills
 * 4096 slots with BH disabled, which on a debug kernel takes tens of
 * milliseconds, and the others have to have their turns.
 */
static void rest(long long since)
{
	poll(NULL, 0, 1 + 2 * (now_ms() - since));
}

/* Exporters. */
static void *sender(void *arg)
{
	int port = EXPORTER_PORT + (long)arg, fd = -1, i = 0;
	long long began = now_ms();
	__u32 who = 0;

	if (!is_tcp(race.kind))
		fd = open_sender(race.kind, port);
	while (!stopped()) {
		i = (i + 1) % 512;
		if (is_tcp(race.kind)) {
			fd = connect_from(race.kind, i, 0, true);
			if (fd >= 0)
				close(fd);
		} else {
			send_from(fd, race.kind, i, &who, sizeof(who));
		}
		if (i % 64 == 0) {
			rest(began);
			began = now_ms();
		}
		__atomic_add_fetch(&race.sent, 1, __ATOMIC_RELAXED);
	}
	if (!is_tcp(race.kind))
		close(fd);
	return NULL;
}

/* Members that do not stay. */
static void *churner(void *arg)
{
	int fd[CHURNED], i = 0, j;
	long long began;
	struct opts o;

	for (j = 0; j < CHURNED; j++)
		fd[j] = -1;
	while (!stopped()) {
		began = now_ms();
		i = (i + 1) % CHURNED;
		if (fd[i] >= 0) {
			if (i % 2) {
				set_drain(fd[i], true);
				__atomic_add_fetch(&race.drained, 1,
						   __ATOMIC_RELAXED);
			}
			close(fd[i]);
		}
		/* The two share some of their ids. */
		o = member(20 + i + 4 * (long)arg);
		fd[i] = open_member(&o);
		if (fd[i] >= 0) {
			set_member(fd[i], o.id, i % 4, 0);
			__atomic_add_fetch(&race.joined, 1, __ATOMIC_RELAXED);
		}
		rest(began);
	}
	for (j = 0; j < CHURNED; j++) {
		if (fd[j] >= 0)
			close(fd[j]);
	}
	return NULL;
}

static long unloads(void)
{
	return __atomic_load_n(&race.unloaded, __ATOMIC_RELAXED);
}

/* Nobody uses the module: time for it to go. */
static void let_unload(void)
{
	long long end = now_ms() + 2000;
	long before = unloads();

	while (!stopped() && unloads() == before && now_ms() < end)
		poll(NULL, 0, 5);
}

/* Policies that do not last. */
static void *switcher(void *arg)
{
	static const struct pace paces[] = {
		{}, { 1, 1, 0 }, { HOUR_MS, 300, 0 }, { 300, HOUR_MS, 100 },
	};
	int fd = *(int *)arg, i = 0;

	while (!stopped()) {
		i++;
		if (i % 5 == 3)
			set_policy(fd, "source", 0, seed_a);
		else if (i % 5 == 4)
			set_policy(fd, "", 0, NULL);
		else if (!set_paced(fd, "stable", i % 8, seed_a, paces[i % 4]))
			__atomic_add_fetch(&race.set, 1, __ATOMIC_RELAXED);
		poll(NULL, 0, i % 7);
		if (i % 10 == 4)
			let_unload();
	}
	return NULL;
}

static long sets(void)
{
	return __atomic_load_n(&race.set, __ATOMIC_RELAXED);
}

/* Whoever wants the policy looks for it once modprobe has ended. An unloader
 * that tries all the time is always there first, so it mostly waits until
 * somebody has got the policy again.
 */
static void let_set(void)
{
	long long end = now_ms() + 60000;
	long before = sets();

	while (!stopped() && sets() == before && now_ms() < end)
		poll(NULL, 0, 5);
}

static void *unloader(void *arg)
{
	int err, i = 0;

	while (!stopped()) {
		err = unload();
		if (!err) {
			__atomic_add_fetch(&race.unloaded, 1, __ATOMIC_RELAXED);
			if (++i % 4)
				let_set();
		} else if (err == EWOULDBLOCK) {
			__atomic_add_fetch(&race.busy, 1, __ATOMIC_RELAXED);
		}
		poll(NULL, 0, 3);
	}
	return NULL;
}

static int seconds(void)
{
	const char *text = getenv("TELESTEER_RACE_SECONDS");

	return text && atoi(text) > 0 ? atoi(text) : 5;
}

static bool all_had_turns(void)
{
	return race.sent > 1000 && race.joined > 20 && race.drained &&
	       race.set > 2 && race.unloaded && race.busy;
}

static void tell(struct __test_metadata *_metadata)
{
	TH_LOG("%ld sent, %ld joins, %ld drains, %ld times stable, %ld unloads, %ld refused",
	       race.sent, race.joined, race.drained, race.set, race.unloaded,
	       race.busy);
}

FIXTURE(race) {
	struct group g;
	struct opts o;
};

FIXTURE_VARIANT(race) {
	int kind;
};

FIXTURE_VARIANT_ADD(race, udp4) { UDP4 };
FIXTURE_VARIANT_ADD(race, udp6) { UDP6 };
FIXTURE_VARIANT_ADD(race, tcp4) { TCP4 };

FIXTURE_SETUP(race)
{
	ASSERT_EQ(0, new_netns());
	memset(&race, 0, sizeof(race));
	race.kind = variant->kind;
	self->g.n = 0;
	self->o = member(11);
	if (want_stable() == ENOENT)
		SKIP(return, "no module " MODULE);
}

FIXTURE_TEARDOWN(race)
{
	close_group(&self->g);
}

TEST_F_TIMEOUT(race, everything_at_once, 7200)
{
	pthread_t threads[SENDERS + CHURNERS + 2];
	static short map[256], again[256];
	long long told = now_ms(), end = told + seconds() * 1000LL;
	long long last = end + 300000;
	int i, n = 0, kind = variant->kind;
	char buf[64];

	/* One member stays, and has no say in policies. */
	ASSERT_EQ(0, open_group(&self->g, 1, &self->o));
	for (i = 0; i < SENDERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[n++], NULL, sender,
					    (void *)(long)i));
	for (i = 0; i < CHURNERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[n++], NULL, churner,
					    (void *)(long)i));
	ASSERT_EQ(0, pthread_create(&threads[n++], NULL, switcher,
				    &self->g.fd[0]));
	ASSERT_EQ(0, pthread_create(&threads[n++], NULL, unloader, NULL));

	while ((now_ms() < end || !all_had_turns()) && now_ms() < last) {
		poll(NULL, 0, 20);
		if (now_ms() >= told + 10000) {
			tell(_metadata);
			told = now_ms();
		}
		if (is_tcp(kind)) {
			while ((i = accept(self->g.fd[0], NULL, NULL)) >= 0)
				close(i);
		} else {
			while (recv(self->g.fd[0], buf, sizeof(buf), 0) >= 0)
				;
		}
	}
	__atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
	while (n--)
		pthread_join(threads[n], NULL);
	tell(_metadata);
	EXPECT_LT(1000, race.sent);
	EXPECT_LT(20, race.joined);
	EXPECT_LT(0, race.drained);
	EXPECT_LT(2, race.set);
	EXPECT_LT(0, race.unloaded);
	EXPECT_LT(0, race.busy);

	/* Nothing was broken. */
	close_group(&self->g);
	self->o.policy = "stable";
	self->o.seed = seed_a;
	ASSERT_EQ(0, open_group(&self->g, 3, &self->o));
	ASSERT_EQ(0, map_group(&self->g, kind, map, 64, EXPORTER_PORT + 9));
	ASSERT_EQ(0, map_group(&self->g, kind, again, 64, EXPORTER_PORT + 10));
	EXPECT_EQ(0, differ(map, again, 64));
	EXPECT_LT(0, count(map, 64, 0));
	EXPECT_LT(0, count(map, 64, 1));
	close_group(&self->g);
	EXPECT_EQ(0, unload_when_free());
}

TEST_HARNESS_MAIN
