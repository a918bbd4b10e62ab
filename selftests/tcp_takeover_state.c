// SPDX-License-Identifier: GPL-2.0
/*
 * TCP_TAKEOVER: what goes with a connection, what stays behind, and what may
 * happen to it while it waits for its next owner.
 */
#define _GNU_SOURCE
#include "takeover_wire.h"

#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"

FIXTURE(state)
{
	struct daemon a, b;
	struct peer p;
	struct rep rep;
};

FIXTURE_SETUP(state)
{
	ASSERT_EQ(0, wire_up());
	if (ext("TCPTakeoverExit") < 0)
		SKIP(return, "kernel has no TCP_TAKEOVER");
	ASSERT_EQ(0, daemon_start(&self->a, AF_INET));
	ASSERT_EQ(0, daemon_start(&self->b, AF_INET));
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
}

FIXTURE_TEARDOWN(state)
{
}

/* "a" is dead, its session with 100 unread bytes waits at "b". */
#define TAKE_OVER()							\
do {									\
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));			\
	d_kill(&self->a);						\
	ASSERT_EQ(1, ext("TCPTakeoverExit"));				\
} while (0)

#define SESSION()							\
do {									\
	ASSERT_EQ(0, peer_connect(&self->p, AF_INET));			\
	ASSERT_EQ(0, d_accept(&self->a, &self->rep));			\
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));			\
	ASSERT_TRUE(peer_flushed(&self->p));				\
} while (0)

TEST_F(state, info)
{
	struct tcp_takeover_info *info = &self->rep.info;
	char buf[256];
	socklen_t len;
	int lfd;

	ASSERT_EQ(T_EXIT, ask(&self->a, &self->rep, OP_GETOPT, -1, SOL_TCP,
			      TCP_TAKEOVER, 0));
	EXPECT_EQ(0, info->tti_count);
	EXPECT_EQ(0, info->tti_bytes_consumed);

	SESSION();
	EXPECT_EQ(0, info->tti_count);
	EXPECT_EQ(0, info->tti_reason);
	ASSERT_EQ(30, d_read(&self->a, 0, 30));
	ASSERT_EQ(500, ask(&self->a, NULL, OP_WRITE, 0, 500, 0, 0));
	TAKE_OVER();
	ASSERT_EQ(0, d_accept(&self->b, &self->rep));
	EXPECT_EQ(1, info->tti_count);
	EXPECT_EQ(T_EXIT, info->tti_reason);
	EXPECT_EQ(30, info->tti_bytes_consumed);
	EXPECT_EQ(70, info->tti_bytes_queued);
	EXPECT_EQ(500, info->tti_bytes_written);
	EXPECT_EQ(0, info->tti_bytes_unacked);
	EXPECT_EQ(0, info->tti_no_progress);
	EXPECT_EQ(TCP_TAKEOVER_BUDGET_DEFAULT, info->tti_budget);

	/* as much as fits, never more than there is */
	lfd = socket(AF_INET, SOCK_STREAM, 0);
	memset(buf, 0x55, sizeof(buf));
	len = 3;
	ASSERT_EQ(0, getsockopt(lfd, SOL_TCP, TCP_TAKEOVER_INFO, buf, &len));
	EXPECT_EQ(3, len);
	EXPECT_EQ(0, buf[2]);
	EXPECT_EQ(0x55, buf[3]);
	len = sizeof(buf);
	ASSERT_EQ(0, getsockopt(lfd, SOL_TCP, TCP_TAKEOVER_INFO, buf, &len));
	EXPECT_EQ(sizeof(struct tcp_takeover_info), len);
	close(lfd);
}

/* What the dead one has written arrives, although nobody owns it. */
TEST_F(state, written_data_goes_out)
{
	char buf[500];

	SESSION();
	ASSERT_EQ(500, ask(&self->a, NULL, OP_WRITE, 0, 500, 0, 0));
	TAKE_OVER();
	EXPECT_EQ(500, recv(self->p.fd, buf, 500, MSG_WAITALL));
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	ASSERT_EQ(10, ask(&self->b, NULL, OP_WRITE, 0, 10, 0, 0));
	EXPECT_EQ(10, recv(self->p.fd, buf, 10, MSG_WAITALL));
}

TEST_F(state, peek_offset_is_reset)
{
	SESSION();
	ASSERT_EQ(0, ask(&self->a, NULL, OP_SETOPT, 0, SOL_SOCKET, SO_PEEK_OFF,
			 60));
	TAKE_OVER();
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	EXPECT_EQ(-1, ask(&self->b, NULL, OP_GETOPT, 0, SOL_SOCKET,
			  SO_PEEK_OFF, 0));
	EXPECT_EQ(100, ask(&self->b, NULL, OP_PEEK, 0, 100, 0, 0));
}

TEST_F(state, options_survive)
{
	SESSION();
	ASSERT_EQ(0, ask(&self->a, NULL, OP_SETOPT, 0, SOL_TCP, TCP_KEEPIDLE,
			 77));
	ASSERT_EQ(0, ask(&self->a, NULL, OP_SETOPT, 0, SOL_SOCKET, SO_MARK,
			 55));
	TAKE_OVER();
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	EXPECT_EQ(77, ask(&self->b, NULL, OP_GETOPT, 0, SOL_TCP, TCP_KEEPIDLE,
			  0));
	EXPECT_EQ(55, ask(&self->b, NULL, OP_GETOPT, 0, SOL_SOCKET, SO_MARK,
			  0));
}

/* The peer gives up while the connection waits. */
TEST_F(state, reset_while_queued)
{
	struct linger lin = { .l_onoff = 1 };

	SESSION();
	TAKE_OVER();
	ASSERT_EQ(0, setsockopt(self->p.fd, SOL_SOCKET, SO_LINGER, &lin,
				sizeof(lin)));
	close(self->p.fd);
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	EXPECT_EQ(100, d_read(&self->b, 0, 100));
	EXPECT_EQ(-ECONNRESET, d_read(&self->b, 0, 1));
	ASSERT_EQ(0, ask(&self->b, NULL, OP_CLOSE, 0, 0, 0, 0));
}

TEST_F(state, fin_while_queued)
{
	SESSION();
	TAKE_OVER();
	close(self->p.fd);
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	EXPECT_EQ(100, d_read(&self->b, 0, 1000));
	EXPECT_EQ(0, d_read(&self->b, 0, 1));
}

/* ss -K on a connection that belongs to nobody. */
TEST_F(state, destroy_while_queued)
{
	int err;

	SESSION();
	TAKE_OVER();
	err = destroy_server_end(&self->p, self->rep.cookie);
	if (err == -EOPNOTSUPP)
		SKIP(return, "no CONFIG_INET_DIAG_DESTROY");
	ASSERT_EQ(0, err);
	EXPECT_STREQ("RST", peer_end(&self->p));
	ASSERT_EQ(0, d_accept(&self->b, NULL));
	EXPECT_EQ(100, d_read(&self->b, 0, 100));
	EXPECT_EQ(-ECONNABORTED, d_read(&self->b, 0, 1));
	ASSERT_EQ(0, ask(&self->b, NULL, OP_CLOSE, 0, 0, 0, 0));
}

/* And nobody ever accepts it: the listener disposes of it. */
TEST_F(state, destroyed_and_never_accepted)
{
	int err;

	SESSION();
	TAKE_OVER();
	err = destroy_server_end(&self->p, self->rep.cookie);
	if (err == -EOPNOTSUPP)
		SKIP(return, "no CONFIG_INET_DIAG_DESTROY");
	ASSERT_EQ(0, err);
	d_kill(&self->b);
	/* the port is free of connections */
	EXPECT_EQ(-ENOENT, destroy_server_end(&self->p, -1));
}

TEST_F(state, md5)
{
	struct sockaddr_in *sin;
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct tcp_md5sig md5 = { .tcpm_keylen = 4, .tcpm_key = "abcd" };
	struct daemon *d;
	int lfd, fd, sv[2], i;
	struct rep rep;
	pid_t pid;

	sin = (void *)&md5.tcpm_addr;
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = htonl(INADDR_LOOPBACK);

	/* own little daemons: the key is set on the listener */
	ASSERT_EQ(0, ask(&self->a, NULL, OP_CLOSE, -1, 0, 0, 0));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		char c = 0;

		lfd = make_listener(AF_INET, T_EXIT, 16, 0);
		if (setsockopt(lfd, SOL_TCP, TCP_MD5SIG, &md5, sizeof(md5)))
			c = errno;
		send(sv[1], &c, 1, 0);
		fd = do_accept(lfd, DEADLINE_MS);
		send(sv[1], &c, 1, 0);
		pause();
		_exit(fd);
	}
	char c;

	ASSERT_EQ(1, recv(sv[0], &c, 1, 0));
	if (c) {
		kill(pid, SIGKILL);
		SKIP(return, "no TCP-MD5: %s", strerror(c));
	}
	fd = socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_EQ(0, setsockopt(fd, SOL_TCP, TCP_MD5SIG, &md5, sizeof(md5)));
	ASSERT_EQ(0, connect(fd, (void *)&to, sizeof(to)));
	self->p.fd = fd;
	self->p.sent = 0;
	ASSERT_EQ(1, recv(sv[0], &c, 1, 0));
	ASSERT_EQ(100, peer_send(&self->p, 100, 0));
	d = &self->b;
	ASSERT_EQ(0, d_listen(d, T_EXIT, 16));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	/* the key is the socket's, the new listener has none */
	ASSERT_EQ(0, d_accept(d, &rep));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(1000, peer_send(&self->p, 1000, 0));
	EXPECT_EQ(10100, d_read(d, 0, 10100));
	EXPECT_TRUE(peer_quiet(&self->p));
	EXPECT_EQ(0, ext("TCPMD5NotFound"));
	EXPECT_EQ(0, ext("TCPMD5Failure"));
}

/* cgroups: nothing of the dead one's may be left behind. */
static int write_file(const char *dir, const char *name, const char *val)
{
	char path[256];
	int fd, n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	n = write(fd, val, strlen(val));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

static long read_stat(const char *dir, const char *file, const char *key)
{
	char path[256], line[256];
	long val = -1;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) &&
		    line[strlen(key)] == ' ')
			val = atol(line + strlen(key) + 1);
	fclose(f);
	return val;
}

static long wait_stat(const char *dir, const char *file, const char *key,
		      long val)
{
	long now = -1;
	int i;

	for (i = 0; i < DEADLINE_MS / 10; i++) {
		now = read_stat(dir, file, key);
		if (now == val)
			break;
		poll(NULL, 0, 10);
	}
	return now;
}

/* The kernel adds up the numbers of all CPUs only every other second. */
static bool wait_more(const char *dir, const char *file, const char *key,
		      long val)
{
	int i;

	for (i = 0; i < DEADLINE_MS / 10; i++) {
		if (read_stat(dir, file, key) > val)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

#define CG_BYTES	(150 << 10)

TEST_F(state, cgroups)
{
	char root[] = "/tmp/takeover_cg.XXXXXX", a[64], b[64], pid[16];
	long dying;

	ASSERT_NE(NULL, mkdtemp(root));
	if (mount("none", root, "cgroup2", 0, NULL)) {
		rmdir(root);
		SKIP(return, "no cgroup2");
	}
	snprintf(a, sizeof(a), "%s/takeover_a", root);
	snprintf(b, sizeof(b), "%s/takeover_b", root);
	if (write_file(root, "cgroup.subtree_control", "+memory")) {
		umount(root);
		SKIP(return, "no memory controller");
	}
	dying = read_stat(root, "cgroup.stat", "nr_dying_descendants");
	ASSERT_EQ(0, mkdir(a, 0755));
	ASSERT_EQ(0, mkdir(b, 0755));
	snprintf(pid, sizeof(pid), "%d", self->a.pid);
	ASSERT_EQ(0, write_file(a, "cgroup.procs", pid));
	snprintf(pid, sizeof(pid), "%d", self->b.pid);
	ASSERT_EQ(0, write_file(b, "cgroup.procs", pid));

	/* the listener is made inside */
	ASSERT_EQ(0, ask(&self->a, NULL, OP_CLOSE, -1, 0, 0, 0));
	ASSERT_EQ(0, d_listen(&self->a, T_EXIT, 64));
	ASSERT_EQ(0, peer_connect(&self->p, AF_INET));
	ASSERT_EQ(0, d_accept(&self->a, NULL));
	ASSERT_EQ(CG_BYTES, peer_send(&self->p, CG_BYTES, 0));
	ASSERT_TRUE(peer_flushed(&self->p));
	ASSERT_EQ(500, ask(&self->a, NULL, OP_WRITE, 0, 500, 0, 0));
	ASSERT_EQ(0, d_listen(&self->b, T_EXIT, 64));
	EXPECT_TRUE(wait_more(a, "memory.stat", "sock", CG_BYTES));

	d_kill(&self->a);
	EXPECT_EQ(1, ext("TCPTakeoverExit"));
	EXPECT_EQ(0, wait_stat(a, "memory.stat", "sock", 0));
	EXPECT_EQ(0, wait_stat(b, "memory.stat", "sock", 0));
	/* nothing pins the old cgroup, although the socket lives on */
	EXPECT_EQ(0, rmdir(a));

	ASSERT_EQ(0, d_accept(&self->b, NULL));
	EXPECT_TRUE(wait_more(b, "memory.stat", "sock", CG_BYTES));
	EXPECT_EQ(CG_BYTES, d_read(&self->b, 0, CG_BYTES));
	ASSERT_EQ(0, ask(&self->b, NULL, OP_CLOSE, 0, 0, 0, 0));
	close(self->p.fd);
	EXPECT_EQ(0, wait_stat(b, "memory.stat", "sock", 0));
	d_kill(&self->b);
	EXPECT_EQ(0, rmdir(b));
	EXPECT_EQ(dying, wait_stat(root, "cgroup.stat", "nr_dying_descendants",
				   dying));
	umount(root);
	rmdir(root);
}

TEST_HARNESS_MAIN
