// SPDX-License-Identifier: GPL-2.0
/*
 * SO_REUSEPORT_POLICY: keys other than the address, and BPF programs.
 *
 * Each claim has a control: the same scene without what is claimed, where the
 * claim must not hold.
 */
#define _GNU_SOURCE
#include "reuseport_map.h"
#include <linux/bpf.h>
#include <linux/filter.h>
#include <sys/syscall.h>

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

/* --- keys ----------------------------------------------------------------- */

enum { IPFIX, V9, NOTIF, SHORT_IPFIX, SHORT_V9, SHORT_NOTIF, JUNK };

static int make_payload(unsigned char *p, int format, __u32 id)
{
	static const int len[] = { 16, 20, 12, 15, 19, 7, 20 };
	__be32 be = htonl(id);

	memset(p, 0, 24);
	switch (format) {
	case IPFIX:
	case SHORT_IPFIX:
		p[1] = 10;
		memcpy(p + 12, &be, 4);
		break;
	case V9:
	case SHORT_V9:
		p[1] = 9;
		memcpy(p + 16, &be, 4);
		break;
	case NOTIF:
	case SHORT_NOTIF:
		p[0] = 0x21;
		p[1] = 12;
		memcpy(p + 4, &be, 4);
		break;
	default:
		p[0] = 0xff;
		memcpy(p + 4, &be, 4);
		memcpy(p + 12, &be, 4);
		memcpy(p + 16, &be, 4);
	}
	return len[format];
}

/* Which member gets this datagram. */
static int owner_of(struct group *g, int sender, const void *p, int len)
{
	char buf[64];
	int i;

	if (send_from(sender, UDP4, 7, p, len) || wait_readable(g, -1) <= 0)
		return -1;
	for (i = 0; i < g->n; i++) {
		if (recv(g->fd[i], buf, sizeof(buf), 0) == len)
			return i;
	}
	return -1;
}

static int payload_map(struct group *g, int sender, int format, short *map)
{
	unsigned char p[24];
	int i, len;

	for (i = 0; i < 64; i++) {
		len = make_payload(p, format, i * 1000);
		map[i] = owner_of(g, sender, p, len);
		if (map[i] < 0)
			return -1;
	}
	return 0;
}

TEST_F_TIMEOUT(udp, key_payload, 60)
{
	int s = open_sender(UDP4, EXPORTER_PORT), f, i, home;

	ASSERT_LE(0, s);
	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));

	/* Control: by address all ids meet at one member. */
	for (f = IPFIX; f <= JUNK; f++) {
		ASSERT_EQ(0, payload_map(&self->g, s, f, map_a));
		EXPECT_EQ(64, count(map_a, 64, map_a[0]));
	}
	home = map_a[0];

	ASSERT_EQ(0, set_policy(self->g.fd[0], "source",
				REUSEPORT_KEY_SADDR | REUSEPORT_KEY_PAYLOAD,
				seed_a));
	for (f = IPFIX; f <= NOTIF; f++) {
		ASSERT_EQ(0, payload_map(&self->g, s, f, map_a));
		for (i = 0; i < 4; i++)
			EXPECT_LT(0, count(map_a, 64, i));
		ASSERT_EQ(0, payload_map(&self->g, s, f, map_b));
		EXPECT_EQ(0, differ(map_a, map_b, 64));
	}
	/* Too short for an id, or not of the kind: the address decides. */
	for (f = SHORT_IPFIX; f <= JUNK; f++) {
		ASSERT_EQ(0, payload_map(&self->g, s, f, map_a));
		EXPECT_EQ(64, count(map_a, 64, home));
	}
	close(s);
}

static int sport_map(struct group *g, short *map)
{
	int i, s;

	for (i = 0; i < 64; i++) {
		s = open_sender(UDP4, EXPORTER_PORT + i);
		if (s < 0)
			return -1;
		map[i] = owner_of(g, s, "datagram", 8);
		close(s);
		if (map[i] < 0)
			return -1;
	}
	return 0;
}

TEST_F_TIMEOUT(udp, key_sport, 60)
{
	int i;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, sport_map(&self->g, map_a));
	EXPECT_EQ(64, count(map_a, 64, map_a[0]));	/* control */

	ASSERT_EQ(0, set_policy(self->g.fd[0], "source",
				REUSEPORT_KEY_SPORT, seed_a));
	ASSERT_EQ(0, sport_map(&self->g, map_a));
	for (i = 0; i < 4; i++)
		EXPECT_LT(0, count(map_a, 64, i));
	ASSERT_EQ(0, sport_map(&self->g, map_b));
	EXPECT_EQ(0, differ(map_a, map_b, 64));
}

/* --- BPF comes first ------------------------------------------------------- */

static int attach_cbpf(int fd, __u32 index)
{
	struct sock_filter code[] = { { BPF_RET | BPF_K, 0, 0, index } };
	struct sock_fprog p = { 1, code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &p,
			  sizeof(p));
}

static int attach_ebpf(int fd, int verdict)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0,
		  .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SK_REUSEPORT,
		.insns = (unsigned long)code,
		.insn_cnt = 2,
		.license = (unsigned long)"GPL",
	};
	int prog = syscall(__NR_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), ret;

	if (prog < 0)
		return -1;
	ret = setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, &prog,
			 sizeof(prog));
	close(prog);
	return ret;
}

TEST_F(udp, bpf_classic_first)
{
	int n = 128;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));
	EXPECT_LT(0, count(map_a, n, 0));		/* control */
	EXPECT_LT(0, count(map_a, n, 1));

	ASSERT_EQ(0, attach_cbpf(self->g.fd[0], 1));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(n, count(map_b, n, 1));

	/* An index that does not exist is no selection: the policy's turn. */
	ASSERT_EQ(0, attach_cbpf(self->g.fd[0], 1000));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));
}

TEST_F(udp, bpf_extended_first)
{
	struct sockaddr_storage dst;
	socklen_t len = server_addr(&dst, UDP4, false);
	struct pollfd p = {};
	int n = 128, s;

	ASSERT_EQ(0, open_group(&self->g, 4, &self->o));
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_a, n, EXPORTER_PORT));

	if (attach_ebpf(self->g.fd[0], SK_PASS))
		SKIP(return, "no BPF system call");
	ASSERT_EQ(0, map_group(&self->g, UDP4, map_b, n, EXPORTER_PORT));
	EXPECT_EQ(0, differ(map_a, map_b, n));

	/* A drop is a drop: the sender is refused, nobody gets it. */
	ASSERT_EQ(0, attach_ebpf(self->g.fd[0], SK_DROP));
	s = socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_EQ(0, connect(s, (void *)&dst, len));
	ASSERT_EQ(4, send(s, "drop", 4, 0));
	p = (struct pollfd){ s, POLLIN, 0 };
	ASSERT_EQ(1, poll(&p, 1, DEADLINE_MS));
	EXPECT_EQ(-1, recv(s, &n, sizeof(n), MSG_DONTWAIT));
	EXPECT_EQ(ECONNREFUSED, errno);
	n = 1;
	EXPECT_EQ(0, collect(&self->g, map_c, 1));
	close(s);
}

/* A socket with a program still cannot join a group, one with settings can. */
TEST_F(udp, bpf_early_bind)
{
	struct sockaddr_storage ss;
	socklen_t len = server_addr(&ss, UDP4, true);
	int fd;

	ASSERT_EQ(0, open_group(&self->g, 1, &self->o));
	fd = open_socket(UDP4);
	ASSERT_EQ(0, set_member(fd, 5, 1, 0));
	ASSERT_EQ(0, attach_cbpf(fd, 0));
	EXPECT_EQ(-1, bind(fd, (void *)&ss, len));
	EXPECT_EQ(EADDRINUSE, errno);
	close(fd);

	fd = open_socket(UDP4);
	ASSERT_EQ(0, set_member(fd, 5, 1, 0));
	EXPECT_EQ(0, bind(fd, (void *)&ss, len));
	close(fd);
}

TEST_HARNESS_MAIN
