// SPDX-License-Identifier: GPL-2.0
/*
 * The module of the policy "stable": its unit tests, how it comes and goes.
 */
#define _GNU_SOURCE
#include "reuseport_stable.h"

#include "kselftest_harness.h"

/* What the kernel log says from here on, or from its beginning. */
static int open_log(bool all)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && !all)
		lseek(fd, 0, SEEK_END);
	return fd;
}

struct verdicts {
	int ok;			/* tests of suites */
	int not_ok;		/* of tests and suites */
	bool suite;		/* the one that is looked for is good */
};

/* KTAP: "ok 1 suite", and before it "    ok 1 test" for each test. */
static struct verdicts read_log(int fd, const char *suite)
{
	struct verdicts v = {};
	char line[4096], *text, *rest;
	bool inside = false;
	long number;
	ssize_t n;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		line[n] = '\0';
		text = strchr(line, ';');
		if (!text++)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (strstr(text, "# Subtest: "))
			inside = !strcmp(strstr(text, ": ") + 2, suite);
		if (!inside)
			continue;
		if (!strncmp(text, "    ok ", 7))
			v.ok++;
		if (!strncmp(text, "    not ok ", 11) ||
		    !strncmp(text, "not ok ", 7))
			v.not_ok++;
		if (strncmp(text, "ok ", 3) && strncmp(text, "not ok ", 7))
			continue;
		number = strtol(strstr(text, "ok ") + 3, &rest, 10);
		v.suite = number > 0 && *rest == ' ' &&
			  !strcmp(rest + 1, suite) && text[0] == 'o';
		inside = false;
	}
	return v;
}

FIXTURE(module) {
	struct group g;
	struct opts o;
};

FIXTURE_SETUP(module)
{
	ASSERT_EQ(0, new_netns());
	self->g.n = 0;
	self->o = (struct opts){ .kind = UDP4, .id = 11, .weight = 1,
				 .policy = "stable", .seed = seed_a };
	if (want_stable() == ENOENT)
		SKIP(return, "no module " MODULE);
	ASSERT_EQ(0, unload_when_free());
	ASSERT_FALSE(is_loaded());
}

FIXTURE_TEARDOWN(module)
{
	close_group(&self->g);
}

/* Those of the module run whenever it is loaded. */
TEST_F_TIMEOUT(module, unit_tests, 300)
{
	struct verdicts v;
	int fd = open_log(false);

	ASSERT_LE(0, fd);
	/* Control: nothing has run since. */
	v = read_log(fd, "reuseport_stable");
	EXPECT_FALSE(v.suite);
	EXPECT_EQ(0, v.ok);

	ASSERT_EQ(0, want_stable());
	v = read_log(fd, "reuseport_stable");
	TH_LOG("%d unit tests of the module", v.ok);
	EXPECT_TRUE(v.suite);
	EXPECT_LE(20, v.ok);
	EXPECT_EQ(0, v.not_ok);
	close(fd);
}

/* Those of the abstraction ran at boot. */
TEST_F(module, unit_tests_at_boot)
{
	static const char * const suites[] = { "rust_siphash", "rust_reuseport" };
	struct verdicts v;
	size_t i;
	int fd;

	for (i = 0; i < 2; i++) {
		fd = open_log(true);
		ASSERT_LE(0, fd);
		v = read_log(fd, suites[i]);
		EXPECT_TRUE(v.suite);
		EXPECT_LE(2, v.ok);
		EXPECT_EQ(0, v.not_ok);
		close(fd);
	}
	/* Control: a suite that does not exist is not found. */
	fd = open_log(true);
	ASSERT_LE(0, fd);
	v = read_log(fd, "rust_reusepor");
	EXPECT_FALSE(v.suite);
	EXPECT_EQ(0, v.ok);
	close(fd);
}

TEST_F_TIMEOUT(module, loaded_by_name, 120)
{
	int fd = open_socket(UDP4);

	ASSERT_LE(0, fd);
	/* Control: other names do not load it. */
	EXPECT_EQ(0, set_paced(fd, "source", 0, seed_a, (struct pace){}));
	EXPECT_EQ(ENOENT, set_paced(fd, "stabl", 0, seed_a, (struct pace){}));
	EXPECT_FALSE(is_loaded());

	EXPECT_EQ(0, set_paced(fd, "stable", 0, seed_a, (struct pace){}));
	EXPECT_STREQ("stable", policy_of(fd));
	EXPECT_TRUE(is_loaded());
	close(fd);
}

/* A group holds the module as long as it has the policy, and no longer. */
TEST_F_TIMEOUT(module, stays_while_in_use, 180)
{
	short map[64];

	ASSERT_EQ(0, open_group(&self->g, 2, &self->o));
	EXPECT_STREQ("stable", policy_of(self->g.fd[1]));
	EXPECT_EQ(EWOULDBLOCK, unload());
	ASSERT_EQ(0, map_group(&self->g, UDP4, map, 64, EXPORTER_PORT));
	EXPECT_TRUE(is_loaded());

	/* another policy */
	ASSERT_EQ(0, set_policy(self->g.fd[0], "source", 0, seed_a));
	EXPECT_EQ(0, unload_when_free());
	EXPECT_FALSE(is_loaded());
	ASSERT_EQ(0, map_group(&self->g, UDP4, map, 64, EXPORTER_PORT));

	/* and back, and no group */
	ASSERT_EQ(0, set_policy(self->g.fd[0], "stable", 0, seed_a));
	EXPECT_EQ(EWOULDBLOCK, unload());
	close(self->g.fd[1]);
	self->g.fd[1] = -1;
	EXPECT_EQ(EWOULDBLOCK, unload());
	close_group(&self->g);
	EXPECT_EQ(0, unload_when_free());
	EXPECT_FALSE(is_loaded());
}

TEST_HARNESS_MAIN
