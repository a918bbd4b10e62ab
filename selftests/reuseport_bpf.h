/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF programs for SO_REUSEPORT groups, assembled by hand: no loader, and the
 * tests stay static. What a program does with an exporter depends on the last
 * octet of its address alone, see verdict_of().
 */
#ifndef REUSEPORT_BPF_H
#define REUSEPORT_BPF_H

#include <linux/bpf.h>
#include <linux/filter.h>
#include <stddef.h>

#include "kselftest.h"
#include "reuseport_lab.h"

#ifndef SO_ATTACH_REUSEPORT_CBPF
#define SO_ATTACH_REUSEPORT_CBPF	51
#define SO_ATTACH_REUSEPORT_EBPF	52
#endif
#ifndef SO_DETACH_REUSEPORT_BPF
#define SO_DETACH_REUSEPORT_BPF		68
#endif

enum verdict { TAKE, DROP, PASS };

static inline int last_octet(int kind, int exporter)
{
	return is_six(kind) ? exporter & 255 : (exporter + 1) & 255;
}

/* What the programs say to an exporter. */
static inline enum verdict verdict_of(int kind, int exporter)
{
	switch (last_octet(kind, exporter) & 3) {
	case 1:
		return DROP;
	case 3:
		return PASS;		/* and select nobody */
	default:
		return TAKE;		/* for the socket in the map */
	}
}

/* The classic program cannot drop. */
static inline enum verdict classic_verdict_of(int kind, int exporter)
{
	return last_octet(kind, exporter) & 1 ? PASS : TAKE;
}

#define INSN(c, d, s, o, i) ((struct bpf_insn) \
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV_REG(d, s)		INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i)		INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD_IMM(d, i)		INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define AND_IMM(d, i)		INSN(BPF_ALU64 | BPF_AND | BPF_K, d, 0, 0, i)
#define LOAD(sz, d, s, o)	INSN(BPF_LDX | BPF_MEM | (sz), d, s, o, 0)
#define STORE_IMM(sz, d, o, i)	INSN(BPF_ST | BPF_MEM | (sz), d, 0, o, i)
#define JEQ(d, i, o)		INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define JNE(d, i, o)		INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define JA(o)			INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define TO_BE32(d)		INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, 32)
#define CALL(f)			INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT()			INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LOAD_MAP_HALF(d, fd) \
	INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_FD, 0, fd)
#define LOAD_MAP_REST()		INSN(0, 0, 0, 0, 0)

static inline int sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static inline int bpf_sockarray(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};

	return sys_bpf(BPF_MAP_CREATE, &attr);
}

static inline int bpf_sockarray_set(int map, int sock)
{
	__u64 value = sock;
	__u32 key = 0;
	union bpf_attr attr = {
		.map_fd = map,
		.key = (unsigned long)&key,
		.value = (unsigned long)&value,
	};

	return sys_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* Loads the address of the exporter, the last four octets, to r8: from the
 * packet, or from the request or child that migrates. Then goes by its last
 * octet. @migrate: is to be asked about these; @deaf: says nothing else.
 */
static inline int bpf_program(int map, bool six, bool migrate, bool deaf)
{
	int src = six ? 8 + 12 : 12, dst_ip = six ?
		(int)offsetof(struct bpf_sock, dst_ip6[3]) :
		(int)offsetof(struct bpf_sock, dst_ip4);
	struct bpf_insn prog[] = {
		MOV_REG(BPF_REG_6, BPF_REG_1),
		STORE_IMM(BPF_W, BPF_REG_10, -4, 0),
		/* r7 = ctx->migrating_sk */
		LOAD(BPF_DW, BPF_REG_7, BPF_REG_6,
		     offsetof(struct sk_reuseport_md, migrating_sk)),
		JEQ(BPF_REG_7, 0, 2),
		LOAD(BPF_W, BPF_REG_8, BPF_REG_7, dst_ip),
		JA(10),
		/* a packet: bpf_skb_load_bytes_relative() */
		MOV_IMM(BPF_REG_9, deaf),
		JNE(BPF_REG_9, 0, 20),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		MOV_IMM(BPF_REG_2, src),
		MOV_REG(BPF_REG_3, BPF_REG_10),
		ADD_IMM(BPF_REG_3, -4),
		MOV_IMM(BPF_REG_4, 4),
		MOV_IMM(BPF_REG_5, BPF_HDR_START_NET),
		CALL(BPF_FUNC_skb_load_bytes_relative),
		LOAD(BPF_W, BPF_REG_8, BPF_REG_10, -4),
		/* the last octet, of a word in network order */
		TO_BE32(BPF_REG_8),
		AND_IMM(BPF_REG_8, 3),
		JEQ(BPF_REG_8, 1, 11),
		JEQ(BPF_REG_8, 3, 8),
		/* select the socket in the map */
		STORE_IMM(BPF_W, BPF_REG_10, -4, 0),
		MOV_REG(BPF_REG_1, BPF_REG_6),
		LOAD_MAP_HALF(BPF_REG_2, map), LOAD_MAP_REST(),
		MOV_REG(BPF_REG_3, BPF_REG_10),
		ADD_IMM(BPF_REG_3, -4),
		MOV_IMM(BPF_REG_4, 0),
		CALL(BPF_FUNC_sk_select_reuseport),
		MOV_IMM(BPF_REG_0, SK_PASS),
		EXIT(),
		MOV_IMM(BPF_REG_0, SK_DROP),
		EXIT(),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SK_REUSEPORT,
		.expected_attach_type = migrate ?
			BPF_SK_REUSEPORT_SELECT_OR_MIGRATE :
			BPF_SK_REUSEPORT_SELECT,
		.insns = (unsigned long)prog,
		.insn_cnt = ARRAY_SIZE(prog),
		.license = (unsigned long)"GPL",
	};
	static char log[65536];
	int fd;

	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0) {
		attr.log_buf = (unsigned long)log;
		attr.log_size = sizeof(log);
		attr.log_level = 1;
		if (sys_bpf(BPF_PROG_LOAD, &attr) < 0)
			fprintf(stderr, "%s\n", log);
	}
	return fd;
}

static inline int attach_program(int sock, int prog)
{
	return set_int(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF, prog);
}

/* Index @index for every other exporter, none for the others. */
static inline int attach_classic(int sock, bool six, int index)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_B | BPF_ABS, 0, 0,
		  SKF_NET_OFF + (six ? 8 + 15 : 15) },
		{ BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1 },
		{ BPF_RET | BPF_K, 0, 0, index },
		{ BPF_RET | BPF_K, 0, 0, 0xffffffff },
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	return setsockopt(sock, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog,
			  sizeof(prog));
}

#endif /* REUSEPORT_BPF_H */
