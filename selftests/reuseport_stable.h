/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of the policy "stable" have in common. */
#ifndef REUSEPORT_STABLE_H
#define REUSEPORT_STABLE_H

#include "reuseport_map.h"
#include <sys/syscall.h>

#define HOUR_MS		3600000
#define MODULE		"reuseport_stable"

/* How the map of a group follows its members; 0 is the default. */
struct pace {
	__u32 idle_ms;
	__u32 deadline_ms;
	__u32 bound;
};

static inline int set_paced(int fd, const char *name, __u32 key,
			    const char *seed, struct pace pace)
{
	struct reuseport_policy_req req = {
		.key = key,
		.idle_ms = pace.idle_ms,
		.deadline_ms = pace.deadline_ms,
		.bound = pace.bound,
	};

	snprintf(req.name, sizeof(req.name), "%s", name);
	if (seed)
		memcpy(req.seed, seed, sizeof(req.seed));
	return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT_POLICY, &req,
			  sizeof(req)) ? errno : 0;
}

/* The module is loaded by the first request for its policy. 0 if it is there. */
static inline int want_stable(void)
{
	int fd = open_socket(UDP4), err;

	err = set_paced(fd, "stable", 0, seed_a, (struct pace){});
	close(fd);
	return err;
}

static inline bool line_starts(const char *path, const char *word)
{
	size_t len = strlen(word);
	bool found = false;
	char line[1024];
	FILE *f = fopen(path, "r");

	while (f && !found && fgets(line, sizeof(line), f))
		found = !strncmp(line, word, len) && line[len] == ' ';
	if (f)
		fclose(f);
	return found;
}

static inline bool is_loaded(void)
{
	return line_starts("/proc/modules", MODULE);
}

/* 0, or why it cannot be unloaded. */
static inline int unload(void)
{
	return syscall(__NR_delete_module, MODULE, O_NONBLOCK) ? errno : 0;
}

/* Groups let go of a policy when a grace period has passed. */
static inline int unload_when_free(void)
{
	long long end = now_ms() + DEADLINE_MS;
	int err;

	do {
		err = unload();
		if (!err || err == ENOENT)
			return 0;
		poll(NULL, 0, 10);
	} while (now_ms() < end);
	return err;
}

#endif /* REUSEPORT_STABLE_H */
