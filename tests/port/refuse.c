/* Runs a command under a policy that refuses to bind.
 *
 *   refuse seccomp ERRNO COMMAND          each bind(2) fails with ERRNO
 *   refuse landlock PORT COMMAND          TCP may bind PORT alone
 *   refuse bind FOLDER PORT ERRNO COMMAND in that cgroup bind(2) of PORT fails with ERRNO
 *   refuse post-bind ...                  the same, after the kernel has looked at the port's owners
 *   refuse join FOLDER COMMAND            in that cgroup, whatever it refuses
 *
 * Status 77 if this system does not have the policy. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

static void must(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(77);
    }
}

static void by_seccomp(int error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
}

/* The structures by hand: this system's header may be older than Linux 6.7. */
static void by_landlock(int port) {
    struct { uint64_t files, net; } ruleset = {0, 1}; /* LANDLOCK_ACCESS_NET_BIND_TCP */
    struct { uint64_t access, port; } rule = {1, port};
    int fd = syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
    must(fd, "landlock_create_ruleset");
    must(syscall(SYS_landlock_add_rule, fd, 2, &rule, 0), "landlock_add_rule"); /* LANDLOCK_RULE_NET_PORT */
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    must(syscall(SYS_landlock_restrict_self, fd, 0), "landlock_restrict_self");
}

/* Attaches a program that says 0 and the error for the port, and 1 for every other one. EPERM is what 0 alone
 * says, before Linux 5.18 too. */
static void attach(int folder, int kind, int hook, int offset, int port, int error) {
    struct bpf_insn nothing = {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0};
    struct bpf_insn set_retval = {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_set_retval};
    struct bpf_insn program[] = {
        {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offset, 0},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1},
        {BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 3, port},
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, 0, 0, -error},
        error == EPERM ? nothing : set_retval,
        {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
        {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
    };
    union bpf_attr load, to;
    memset(&load, 0, sizeof load);
    memset(&to, 0, sizeof to);
    load.prog_type = kind;
    load.expected_attach_type = hook;
    load.insns = (uintptr_t)program;
    load.insn_cnt = sizeof program / sizeof *program;
    load.license = (uintptr_t) "GPL";
    to.target_fd = folder;
    to.attach_bpf_fd = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    must(to.attach_bpf_fd, "BPF_PROG_LOAD");
    to.attach_type = hook;
    to.attach_flags = BPF_F_ALLOW_MULTI;
    must(syscall(SYS_bpf, BPF_PROG_ATTACH, &to, sizeof to), "BPF_PROG_ATTACH");
}

static int entered(const char *name) {
    if (mkdir(name, 0755) && errno != EEXIST)
        must(-1, name);
    int folder = open(name, O_RDONLY | O_DIRECTORY);
    must(folder, name);
    int processes = openat(folder, "cgroup.procs", O_WRONLY);
    must(processes, "cgroup.procs");
    must(write(processes, "0", 1), "cgroup.procs");
    return folder;
}

int main(int argc, char *argv[]) {
    if (argc < 4)
        return 2;
    const char *kind = argv[1];
    char **command = argv + 3;
    if (!strcmp(kind, "seccomp"))
        by_seccomp(atoi(argv[2]));
    else if (!strcmp(kind, "landlock"))
        by_landlock(atoi(argv[2]));
    else {
        int folder = entered(argv[2]);
        if (strcmp(kind, "join")) {
            if (argc < 6)
                return 2;
            int port = atoi(argv[3]), error = atoi(argv[4]);
            command += 2;
            if (!strcmp(kind, "bind")) {
                int at = offsetof(struct bpf_sock_addr, user_port), to = htons(port);
                attach(folder, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, at, to, error);
                attach(folder, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, at, to, error);
            } else {
                int at = offsetof(struct bpf_sock, src_port);
                attach(folder, BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, at, port, error);
                attach(folder, BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND, at, port, error);
            }
        }
        close(folder);
    }
    execvp(*command, command);
    perror(*command);
    return 127;
}
