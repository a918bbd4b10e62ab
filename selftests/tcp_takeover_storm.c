// SPDX-License-Identifier: GPL-2.0
/*
 * Kill members of a TCP_TAKEOVER group at random moments under load.
 *
 * Peers write numbered streams: byte i of stream s is a function of both, so
 * whoever reads on in the middle can check every byte against its offset. A
 * daemon peeks, checks, notes in shared memory how far the stream is good, and
 * only then takes the bytes from the socket; it may be killed in between. A
 * stream is lost if its connection ends before all of it was seen.
 *
 * usage: tcp_takeover_storm [-n kills] [-d daemons] [-s streams] [-r seed]
 *                           [-f 1-in-N] [-k] [-q]
 *   -f  let one in N allocations of request socks fail (failslab): a stream
 *       may then be closed, which must be accounted for by TCPTakeoverFail
 *   -k  destroy random connections (ss -K) all the time
 *   -q  print the summary only
 * Exit status: 0 nothing lost, 1 something lost, 2 could not run.
 */
#define _GNU_SOURCE
#include "takeover_wire.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#define MAX_DAEMONS	32
#define MAX_STREAMS	1024

/* One slot per stream that is being written; ids are never used twice. */
struct slot {
	__u32 id;
	__u64 good;		/* id << 32 | offset up to which it was seen */
	__u64 cookie;	/* of the server's end, once it was accepted */
	__u32 accepted;	/* times an owner got it */
	__u32 destroyed;	/* id that was destroyed on purpose */
};

struct shared {
	__u32 slot_of_port[65536];	/* + 1 */
	struct slot slot[MAX_STREAMS];
	__u64 bad;			/* bytes that were not as they should */
	__u64 bytes;
	__u32 stop;
	__u32 destroyed;
	__u64 done, lost, lost_bytes, excused;
};

static struct shared *sh;
static int n_kills = 100, n_daemons = 4, n_streams = 64, fail_1_in, destroy;
static bool quiet;

static unsigned char stream_byte(__u32 id, __u64 i)
{
	return pattern(i + id * 0x9e3779b9ULL);
}

static __u32 rnd(__u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* -- daemons -- */

struct session {
	int fd;
	struct slot *slot;
	__u32 id;
	__u64 pos;
};

static struct slot *slot_of(int fd)
{
	struct sockaddr_in6 sa;
	socklen_t len = sizeof(sa);
	__u32 n;

	if (getpeername(fd, (void *)&sa, &len))
		return NULL;
	n = __atomic_load_n(&sh->slot_of_port[ntohs(sa.sin6_port)],
			    __ATOMIC_ACQUIRE);
	return n ? &sh->slot[n - 1] : NULL;
}

/* The slot may belong to another stream already, if this one was reset. */
static void note_good(struct session *s, __u64 pos)
{
	__u64 old = __atomic_load_n(&s->slot->good, __ATOMIC_RELAXED);

	while (old >> 32 == s->id && (__u32)old < pos &&
	       !__atomic_compare_exchange_n(&s->slot->good, &old,
					    (__u64)s->id << 32 | pos, false,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

/* Returns false at the end of the stream. */
static bool serve(struct session *s, char *buf, size_t size, __u32 *seed)
{
	ssize_t n, i, take;

	n = recv(s->fd, buf, size, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN;
	if (!n) {
		__u64 all = s->pos;

		send(s->fd, &all, sizeof(all), MSG_NOSIGNAL | MSG_DONTWAIT);
		return false;
	}
	for (i = 0; i < n; i++) {
		if (buf[i] == (char)stream_byte(s->id, s->pos + i))
			continue;
		__atomic_add_fetch(&sh->bad, 1, __ATOMIC_RELAXED);
	}
	/* leave something behind now and then */
	take = rnd(seed) % 4 ? n : 1 + rnd(seed) % n;
	note_good(s, s->pos + take);
	if (recv(s->fd, NULL, take, MSG_TRUNC | MSG_DONTWAIT) != take)
		return false;
	s->pos += take;
	__atomic_add_fetch(&sh->bytes, take, __ATOMIC_RELAXED);
	return true;
}

static void storm_daemon(int family, int ready, __u32 seed)
{
	static struct session sessions[65536];
	static char buf[65536];
	struct epoll_event ev = { .events = EPOLLIN }, evs[64];
	struct tcp_takeover_info info;
	int lfd, ep, fd, i, n;
	socklen_t len;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lfd = make_listener(family,
			    T_EXIT | T_BUDGET(TCP_TAKEOVER_BUDGET_NONE),
			    MAX_STREAMS * 2, 0);
	ep = epoll_create1(EPOLL_CLOEXEC);
	ev.data.fd = lfd;
	if (lfd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev))
		_exit(2);
	fcntl(lfd, F_SETFL, O_NONBLOCK);
	if (fail_1_in) {
		fd = open("/proc/self/make-it-fail", O_WRONLY);
		if (fd < 0 || write(fd, "1", 1) != 1)
			_exit(2);
		close(fd);
	}
	if (write(ready, "r", 1) != 1)
		_exit(2);
	close(ready);

	for (;;) {
		n = epoll_wait(ep, evs, 64, -1);
		for (i = 0; i < n; i++) {
			struct session *s = &sessions[evs[i].data.fd];

			if (evs[i].data.fd != lfd) {
				if (!serve(s, buf, 1 + rnd(&seed) % sizeof(buf),
					   &seed))
					close(s->fd);
				continue;
			}
			fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
			if (fd < 0)
				continue;
			s = &sessions[fd];
			s->fd = fd;
			s->slot = slot_of(fd);
			len = sizeof(info);
			if (!s->slot ||
			    getsockopt(fd, SOL_TCP, TCP_TAKEOVER_INFO, &info,
				       &len)) {
				close(fd);
				continue;
			}
			s->pos = info.tti_bytes_consumed;
			s->id = s->slot->id;
			len = sizeof(s->slot->cookie);
			getsockopt(fd, SOL_SOCKET, SO_COOKIE, &s->slot->cookie,
				   &len);
			__atomic_add_fetch(&s->slot->accepted, 1,
					   __ATOMIC_RELAXED);
			ev.data.fd = fd;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
		}
	}
}

/* -- peers -- */

struct writer {
	struct peer p;
	__u64 total;
	bool shut;
};

static int writer_start(struct writer *w, int nr, __u32 *seed, int family)
{
	static __u32 next_id;
	struct sockaddr_in6 any = { .sin6_family = family };
	struct sockaddr_in6 sa = { .sin6_family = family };
	struct slot *slot = &sh->slot[nr];
	socklen_t len = sizeof(sa);
	int fd, err;

	/* The slot has to be known before the daemon sees the connection. */
	fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (void *)&any, family == AF_INET ? 16 : 28) ||
	    getsockname(fd, (void *)&sa, &len))
		return -errno;
	slot->id = ++next_id;
	__atomic_store_n(&slot->good, (__u64)slot->id << 32,
			 __ATOMIC_RELEASE);
	slot->cookie = 0;
	slot->accepted = 0;
	slot->destroyed = 0;
	w->p.fd = fd;
	w->p.sent = 0;
	w->p.port = sa.sin6_port;
	w->shut = false;
	w->total = 4096 + rnd(seed) % (1 << 20);
	__atomic_store_n(&sh->slot_of_port[ntohs(w->p.port)], nr + 1,
			 __ATOMIC_RELEASE);

	memset(&sa, 0, sizeof(sa));
	sa.sin6_family = family;
	sa.sin6_port = htons(PORT);
	if (family == AF_INET)
		((struct sockaddr_in *)&sa)->sin_addr.s_addr =
			htonl(INADDR_LOOPBACK);
	else
		sa.sin6_addr = in6addr_loopback;
	err = connect(fd, (void *)&sa, family == AF_INET ? 16 : 28);
	return err && errno != EINPROGRESS ? -errno : 0;
}

/* The connection is over. Was all of it seen? */
static void writer_judge(struct writer *w, int nr, const char *how)
{
	struct slot *slot = &sh->slot[nr];
	__u64 good = (__u32)__atomic_load_n(&slot->good,
						  __ATOMIC_ACQUIRE);

	if (good >= w->total) {
		sh->done++;
	} else if (slot->destroyed == slot->id) {
		sh->excused++;
	} else {
		sh->lost++;
		sh->lost_bytes += w->p.sent - good;
		if (!quiet)
			fprintf(stderr,
				"stream %u (port %u, cookie %llx): %s, %llu of %llu sent, %llu seen, %u owners\n",
				slot->id, ntohs(w->p.port),
				(unsigned long long)slot->cookie, how,
				(unsigned long long)w->p.sent,
				(unsigned long long)w->total,
				(unsigned long long)good, slot->accepted);
	}
	close(w->p.fd);
	w->p.fd = -1;
}

/* Returns false when the connection has ended. */
static bool writer_go(struct writer *w, int nr, __u32 *seed)
{
	static unsigned char buf[65536];
	struct slot *slot = &sh->slot[nr];
	__u64 all;
	ssize_t n;
	size_t i, len;

	if (w->p.sent < w->total) {
		len = 1 + rnd(seed) % sizeof(buf);
		if (len > w->total - w->p.sent)
			len = w->total - w->p.sent;
		for (i = 0; i < len; i++)
			buf[i] = stream_byte(slot->id, w->p.sent + i);
		n = send(w->p.fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			w->p.sent += n;
		else if (errno != EAGAIN && errno != ENOTCONN)
			goto over;
	}
	if (w->p.sent == w->total && !w->shut) {
		w->shut = true;
		shutdown(w->p.fd, SHUT_WR);
	}
	n = recv(w->p.fd, &all, sizeof(all), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return true;
over:
	writer_judge(w, nr, n > 0 ? "done" : n ? strerror(errno) : "FIN");
	return false;
}

static void storm_peers(__u32 seed)
{
	static struct writer w[MAX_STREAMS];
	static struct pollfd pfd[MAX_STREAMS];
	int i, err, busy;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < n_streams; i++)
		w[i].p.fd = -1;
	do {
		busy = 0;
		for (i = 0; i < n_streams; i++) {
			if (w[i].p.fd < 0 && !sh->stop) {
				err = writer_start(&w[i], i, &seed,
						   i & 1 ? AF_INET : AF_INET6);
				if (err) {
					fprintf(stderr, "peer: %s\n",
						strerror(-err));
					exit(2);
				}
			}
			/* a stream that is cut off is not a lost one */
			if (sh->stop && w[i].p.sent < w[i].total)
				w[i].total = w[i].p.sent;
			pfd[i].fd = w[i].p.fd;
			pfd[i].events = POLLIN;
			if (w[i].p.sent < w[i].total)
				pfd[i].events |= POLLOUT;
			busy += w[i].p.fd >= 0;
		}
		if (!busy || poll(pfd, n_streams, DEADLINE_MS) == 0)
			break;
		for (i = 0; i < n_streams; i++)
			if (w[i].p.fd >= 0 &&
			    (pfd[i].revents || (sh->stop && !w[i].shut)))
				writer_go(&w[i], i, &seed);
	} while (1);

	for (i = 0; i < n_streams; i++)
		if (w[i].p.fd >= 0)
			writer_judge(&w[i], i, "stuck");
	exit(0);
}

/* -- ss -K -- */

static void storm_destroy(__u32 seed)
{
	struct timespec ts = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!sh->stop) {
		int port = rnd(&seed) % 65536, i;
		struct peer p;
		__u32 was;

		for (i = 0; i < 65536; i++, port = (port + 1) % 65536) {
			__u32 n = sh->slot_of_port[port];

			/* the IPv4 ones */
			if (!n || !((n - 1) & 1) || !sh->slot[n - 1].cookie)
				continue;
			p.port = htons(port);
			was = sh->slot[n - 1].destroyed;
			sh->slot[n - 1].destroyed = sh->slot[n - 1].id;
			if (!destroy_server_end(&p, sh->slot[n - 1].cookie))
				sh->destroyed++;
			else
				sh->slot[n - 1].destroyed = was;
			break;
		}
		ts.tv_nsec = rnd(&seed) % 3000000;
		nanosleep(&ts, NULL);
	}
	exit(0);
}

/* -- the storm -- */

static int put(const char *path, const char *val)
{
	int fd = open(path, O_WRONLY), n;

	if (fd < 0)
		return -errno;
	n = write(fd, val, strlen(val));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

#define FAILSLAB	"/sys/kernel/debug/failslab/"

static int failslab_on(void)
{
	char per_cent[16];
	int err;

	/* probability is in per cent; below that the interval does it */
	snprintf(per_cent, sizeof(per_cent), "%d",
		 fail_1_in > 100 ? 1 : 100 / fail_1_in);
	err = put(FAILSLAB "task-filter", "Y");
	err = err ?: put(FAILSLAB "ignore-gfp-wait", "Y");
	err = err ?: put(FAILSLAB "cache-filter", "Y");
	err = err ?: put("/sys/kernel/slab/request_sock_TCP/failslab", "1");
	err = err ?: put("/sys/kernel/slab/request_sock_TCPv6/failslab", "1");
	err = err ?: put(FAILSLAB "verbose", "0");
	err = err ?: put(FAILSLAB "times", "-1");
	err = err ?: put(FAILSLAB "probability", per_cent);
	return err;
}

static pid_t spawn_daemon(int nr, __u32 seed)
{
	int pfd[2];
	pid_t pid;
	char c;

	if (pipe(pfd))
		return -1;
	pid = fork();
	if (!pid) {
		close(pfd[0]);
		storm_daemon(AF_INET6, pfd[1], seed | 1);
	}
	close(pfd[1]);
	if (pid > 0 && read(pfd[0], &c, 1) != 1)
		pid = -1;
	close(pfd[0]);
	return pid;
}

static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int main(int argc, char **argv)
{
	__u32 seed = time(NULL) ^ getpid(), first_seed;
	pid_t daemons[MAX_DAEMONS], peers, killer = 0;
	struct timespec ts = { 0 };
	long exits, fails, moved, budget;
	int i, opt, kills = 0, status;
	bool ok;

	while ((opt = getopt(argc, argv, "n:d:s:r:f:kq")) != -1) {
		switch (opt) {
		case 'n':
			n_kills = atoi(optarg);
			break;
		case 'd':
			n_daemons = atoi(optarg);
			break;
		case 's':
			n_streams = atoi(optarg);
			break;
		case 'r':
			seed = atoi(optarg);
			break;
		case 'f':
			fail_1_in = atoi(optarg);
			break;
		case 'k':
			destroy = 1;
			break;
		case 'q':
			quiet = true;
			break;
		default:
			return 2;
		}
	}
	if (n_daemons < 2 || n_daemons > MAX_DAEMONS || n_streams < 1 ||
	    n_streams > MAX_STREAMS) {
		fprintf(stderr, "2..%d daemons, 1..%d streams\n", MAX_DAEMONS,
			MAX_STREAMS);
		return 2;
	}
	seed |= 1;
	first_seed = seed;
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED || wire_up() ||
	    put("/proc/sys/net/ipv6/bindv6only", "0")) {
		perror("set-up");
		return 2;
	}
	if (ext("TCPTakeoverExit") < 0) {
		fprintf(stderr, "kernel has no TCP_TAKEOVER\n");
		return 2;
	}
	if (fail_1_in && failslab_on()) {
		fprintf(stderr, "failslab is not available\n");
		return 2;
	}

	for (i = 0; i < n_daemons; i++) {
		daemons[i] = spawn_daemon(i, rnd(&seed));
		if (daemons[i] < 0)
			return 2;
	}
	peers = fork();
	if (!peers)
		storm_peers(rnd(&seed) | 1);
	rnd(&seed);
	if (destroy) {
		killer = fork();
		if (!killer)
			storm_destroy(rnd(&seed) | 1);
	}

	while (kills < n_kills) {
		int k = rnd(&seed) % n_daemons, both = -1;

		ts.tv_nsec = rnd(&seed) % 10000000;
		nanosleep(&ts, NULL);
		/* sometimes two at once, but never all of them */
		if (n_daemons > 2 && !(rnd(&seed) % 4))
			both = (k + 1 + rnd(&seed) % (n_daemons - 1)) %
			       n_daemons;
		kill(daemons[k], rnd(&seed) % 8 ? SIGKILL : SIGSEGV);
		if (both >= 0)
			kill(daemons[both], SIGKILL);
		reap(daemons[k]);
		kills++;
		daemons[k] = spawn_daemon(k, rnd(&seed));
		if (both >= 0) {
			reap(daemons[both]);
			kills++;
			daemons[both] = spawn_daemon(both, rnd(&seed));
		}
		if (daemons[k] < 0 || (both >= 0 && daemons[both] < 0)) {
			fprintf(stderr, "cannot start a daemon\n");
			return 2;
		}
	}

	sh->stop = 1;
	if (fail_1_in)
		put(FAILSLAB "probability", "0");
	if (killer)
		reap(killer);
	if (waitpid(peers, &status, 0) < 0 || !WIFEXITED(status) ||
	    WEXITSTATUS(status)) {
		fprintf(stderr, "peers failed\n");
		return 2;
	}
	exits = ext("TCPTakeoverExit");
	fails = ext("TCPTakeoverFail");
	moved = ext("TCPMigrateReqSuccess");
	budget = ext("TCPTakeoverBudget");
	for (i = 0; i < n_daemons; i++) {
		kill(daemons[i], SIGKILL);
		reap(daemons[i]);
	}

	/* Without failslab nothing may fail. With it, what failed is known. */
	ok = !sh->bad && (fail_1_in ? (long)sh->lost <= fails : !sh->lost) &&
	     exits > 0;
	printf("kills=%d streams_done=%llu bytes=%llu", kills,
	       (unsigned long long)sh->done, (unsigned long long)sh->bytes);
	printf(" takeovers=%ld moved_unaccepted=%ld", exits, moved);
	printf(" takeover_failed=%ld over_budget=%ld", fails, budget);
	printf(" destroyed=%u streams_destroyed=%llu", sh->destroyed,
	       (unsigned long long)sh->excused);
	printf(" bad_bytes=%llu streams_lost=%llu lost_bytes=%llu seed=%u %s\n",
	       (unsigned long long)sh->bad, (unsigned long long)sh->lost,
	       (unsigned long long)sh->lost_bytes, first_seed,
	       ok ? "ok" : "FAILED");
	return ok ? 0 : 1;
}
