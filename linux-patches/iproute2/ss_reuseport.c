// SPDX-License-Identifier: GPL-2.0
/*
 * What the patch beside this file makes ss print.
 *
 * show_reuseport() is taken out of the patch when this is built. It gets the
 * messages of a NETLINK_SOCK_DIAG dump, taken apart as ss does it, and its
 * output is compared with what getsockopt() says.
 */
#define _GNU_SOURCE
#include "reuseport_diag.h"
#include "reuseport_map.h"

#include "kselftest_harness.h"

#define EXPORTERS	64
#define MEMBERS		3

static short map[EXPORTERS];

/* --- what the function finds in ss ------------------------------------------- */

static char line[512];

#define out(...) \
	snprintf(line + strlen(line), sizeof(line) - strlen(line), __VA_ARGS__)

/* Bits of the type that are in @flags do not count, other bits do. */
static void parse_rtattr_flags(struct rtattr *tb[], int max, struct rtattr *a,
			       int len, unsigned short flags)
{
	unsigned short type;

	memset(tb, 0, sizeof(*tb) * (max + 1));
	for (; RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		type = a->rta_type & ~flags;
		if (type <= max && !tb[type])
			tb[type] = a;
	}
}

static void parse_rtattr_nested(struct rtattr *tb[], int max, struct rtattr *a)
{
	parse_rtattr_flags(tb, max, RTA_DATA(a), RTA_PAYLOAD(a), NLA_F_NESTED);
}

static __u32 rta_getattr_u32(const struct rtattr *a)
{
	__u32 value;

	memcpy(&value, RTA_DATA(a), sizeof(value));
	return value;
}

static __u64 rta_getattr_u64(const struct rtattr *a)
{
	__u64 value;

	memcpy(&value, RTA_DATA(a), sizeof(value));
	return value;
}

static const char *rta_getattr_str(const struct rtattr *a)
{
	return RTA_DATA(a);
}

#include "ss_reuseport.inc"

/* --- the way to it, as in inet_show_sock() ------------------------------------- */

static void show(struct nlmsghdr *nlh, unsigned short flags)
{
	struct inet_diag_msg *r = NLMSG_DATA(nlh);
	struct rtattr *tb[INET_DIAG_MAX + 1];

	line[0] = '\0';
	parse_rtattr_flags(tb, INET_DIAG_MAX, (struct rtattr *)(r + 1),
			   nlh->nlmsg_len - NLMSG_LENGTH(sizeof(*r)), flags);
	if (tb[INET_DIAG_REUSEPORT])
		show_reuseport(tb[INET_DIAG_REUSEPORT]);
}

/* The line of @fd in a dump; @flags are those of the parser. */
static const char *ss(int nl, int kind, int fd, unsigned short flags)
{
	static char buf[65536];
	struct {
		struct nlmsghdr nlh;
		struct inet_diag_req_v2 req;
	} ask = {
		.nlh = { .nlmsg_len = sizeof(ask),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.req = { .sdiag_family = diag_family(kind),
			 .sdiag_protocol = is_tcp(kind) ? IPPROTO_TCP :
							  IPPROTO_UDP,
			 .idiag_states = is_tcp(kind) ? DIAG_LISTEN :
							DIAG_UDP },
	};
	__u64 cookie = cookie_of(fd);
	const char *found = "not in the dump";
	static char kept[sizeof(line)];
	struct inet_diag_msg *r;
	struct nlmsghdr *nlh;
	int n;

	if (send(nl, &ask, sizeof(ask), 0) < 0)
		return "no request";
	for (;;) {
		n = recv(nl, buf, sizeof(buf), 0);
		if (n <= 0)
			return "no answer";
		for (nlh = (void *)buf; NLMSG_OK(nlh, n);
		     nlh = NLMSG_NEXT(nlh, n)) {
			if (nlh->nlmsg_type == NLMSG_DONE)
				return found;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return "an error";
			r = NLMSG_DATA(nlh);
			if (r->id.idiag_cookie[0] != (__u32)cookie ||
			    r->id.idiag_cookie[1] != (__u32)(cookie >> 32))
				continue;
			show(nlh, flags);
			memcpy(kept, line, sizeof(kept));
			found = kept;
		}
	}
}

static __u32 group_of(int nl, int kind, int fd)
{
	struct diag d;

	diag_dump(nl, kind, is_tcp(kind) ? DIAG_LISTEN : DIAG_UDP, fd, &d);
	return d.group;
}

/* The line as getsockopt() has it. It does not know the number of the group. */
static const char *expected(int nl, int kind, int fd, int members)
{
	struct reuseport_member_stats st = {};
	static char text[sizeof(line)];
	const char *policy = policy_of(fd);

	if (get_member(fd, &st))
		return "no member";
	snprintf(text, sizeof(text),
		 " reuseport:(group:%u,members:%d%s%s,id:%llu,weight:%u%s,selections:%llu)",
		 group_of(nl, kind, fd), members, *policy ? ",policy:" : "",
		 policy, (unsigned long long)st.member.id, st.member.weight,
		 st.member.flags == REUSEPORT_MEMBER_DRAIN ? ",flags:drain" :
							     "",
		 (unsigned long long)st.selections);
	return text;
}

/* --- a real kernel --------------------------------------------------------------- */

FIXTURE(ss) {
	struct group g;
	struct opts o;
	int nl;
};

FIXTURE_VARIANT(ss) {
	int kind;
};

FIXTURE_VARIANT_ADD(ss, udp4) { UDP4 };
FIXTURE_VARIANT_ADD(ss, udp6) { UDP6 };
FIXTURE_VARIANT_ADD(ss, tcp4) { TCP4 };
FIXTURE_VARIANT_ADD(ss, tcp6) { TCP6 };

FIXTURE_SETUP(ss)
{
	ASSERT_EQ(0, new_netns());
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	self->g.n = 0;
	self->o = (struct opts){ .kind = variant->kind, .id = 11, .weight = 3,
				 .policy = "source", .seed = seed_a };
}

FIXTURE_TEARDOWN(ss)
{
	close_group(&self->g);
	close(self->nl);
}

TEST_F(ss, prints_what_getsockopt_tells)
{
	int i, kind = variant->kind, *fd = self->g.fd;

	ASSERT_EQ(0, open_group(&self->g, MEMBERS, &self->o));
	ASSERT_EQ(0, map_group(&self->g, kind, map, EXPORTERS, EXPORTER_PORT));
	ASSERT_EQ(0, set_member(fd[1], 0x123456789abcdef0, 7,
				REUSEPORT_MEMBER_DRAIN));
	ASSERT_EQ(0, set_member(fd[2], 0, 0, 0));
	for (i = 0; i < MEMBERS; i++) {
		EXPECT_STREQ(expected(self->nl, kind, fd[i], MEMBERS),
			     ss(self->nl, kind, fd[i], NLA_F_NESTED));
		ksft_print_msg("%s\n", line + 1);
		EXPECT_NE(NULL, strstr(line, ",policy:source,"));
		EXPECT_EQ(i == 1, !!strstr(line, ",flags:drain,"));
		/* one that does not know of nested attributes */
		EXPECT_STREQ("", ss(self->nl, kind, fd[i], 0));
	}

	ASSERT_EQ(0, set_policy(fd[0], "", 0, NULL));
	EXPECT_STREQ(expected(self->nl, kind, fd[0], MEMBERS),
		     ss(self->nl, kind, fd[0], NLA_F_NESTED));
	EXPECT_EQ(NULL, strstr(line, "policy"));
}

/* As on a kernel without the attribute. */
TEST_F(ss, prints_nothing_without_the_options)
{
	self->o = (struct opts){ .kind = variant->kind };
	ASSERT_EQ(0, open_group(&self->g, MEMBERS, &self->o));
	EXPECT_STREQ("", ss(self->nl, variant->kind, self->g.fd[0],
			    NLA_F_NESTED));
	ASSERT_EQ(0, set_member(self->g.fd[1], 5, 1, 0));	/* control */
	EXPECT_STREQ(expected(self->nl, variant->kind, self->g.fd[0], MEMBERS),
		     ss(self->nl, variant->kind, self->g.fd[0], NLA_F_NESTED));
}

FIXTURE(many) {
	struct group g;
	int nl;
};

FIXTURE_SETUP(many)
{
	struct opts o = { .kind = UDP4, .id = 11, .weight = 3,
			  .policy = "source", .seed = seed_a };

	ASSERT_EQ(0, new_netns());
	self->nl = diag_open();
	ASSERT_LE(0, self->nl);
	ASSERT_EQ(0, open_group(&self->g, 257, &o));
}

FIXTURE_TEARDOWN(many)
{
	close_group(&self->g);
	close(self->nl);
}

TEST_F_TIMEOUT(many, no_handle, 120)
{
	int nl = self->nl, *fd = self->g.fd;
	char text[sizeof(line)];

	snprintf(text, sizeof(text),
		 " reuseport:(group:%u,members:257,policy:source)",
		 group_of(nl, UDP4, fd[256]));
	EXPECT_STREQ(text, ss(nl, UDP4, fd[256], NLA_F_NESTED));
	EXPECT_STREQ(expected(nl, UDP4, fd[255], 257),		/* control */
		     ss(nl, UDP4, fd[255], NLA_F_NESTED));
}

/* --- kernels to come ------------------------------------------------------------- */

static void put(struct nlmsghdr *nlh, int type, const void *data, int len)
{
	struct rtattr *a = (void *)((char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	nlh->nlmsg_len = NLMSG_ALIGN(nlh->nlmsg_len) + RTA_ALIGN(a->rta_len);
}

static const char *made(__u32 group, __u32 flags, bool more)
{
	static __u64 buf[128];
	struct nlmsghdr *nlh = (void *)buf;
	struct rtattr *nest;

	memset(buf, 0, sizeof(buf));
	nlh->nlmsg_len = NLMSG_LENGTH(sizeof(struct inet_diag_msg));
	nest = (void *)((char *)buf + NLMSG_ALIGN(nlh->nlmsg_len));
	put(nlh, INET_DIAG_REUSEPORT | NLA_F_NESTED, NULL, 0);
	if (group)
		put(nlh, INET_DIAG_REUSEPORT_GROUP, &group, sizeof(group));
	put(nlh, INET_DIAG_REUSEPORT_FLAGS, &flags, sizeof(flags));
	if (more)
		put(nlh, INET_DIAG_REUSEPORT_MAX + 1, &flags, sizeof(flags));
	nest->rta_len = (char *)buf + nlh->nlmsg_len - (char *)nest;
	show(nlh, NLA_F_NESTED);
	return line;
}

TEST(unknown)
{
	EXPECT_STREQ(" reuseport:(group:7)", made(7, 0, false));
	EXPECT_STREQ(" reuseport:(group:7,flags:drain)", made(7, 1, false));
	EXPECT_STREQ(" reuseport:(group:7,flags:drain|0x4)", made(7, 5, false));
	EXPECT_STREQ(" reuseport:(group:7,flags:0x4)", made(7, 4, false));
	EXPECT_STREQ(" reuseport:(group:7,flags:drain)", made(7, 1, true));
	EXPECT_STREQ("", made(0, 1, false));
}

TEST_HARNESS_MAIN
