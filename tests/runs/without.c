/* Runs a command on a system that lacks something, as far as the command can see:
 *
 *     without ipv6 COMMAND [ARGUMENT...]      socket(2) of AF_INET6 fails with EAFNOSUPPORT
 *     without ptrace COMMAND [ARGUMENT...]    ptrace(2) fails with EPERM
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 2, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    if (argc < 3 || (strcmp(argv[1], "ipv6") != 0 && strcmp(argv[1], "ptrace") != 0)) {
        fprintf(stderr, "usage: without ipv6|ptrace COMMAND [ARGUMENT...]\n");
        return 2;
    }
    filter[strcmp(argv[1], "ipv6") == 0 ? 6 : 7].k = SECCOMP_RET_ALLOW;
    /* With CAP_SYS_ADMIN: PR_SET_NO_NEW_PRIVS, which would do without it, disarms setuid programs. */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("PR_SET_SECCOMP");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
