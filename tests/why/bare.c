/* bare COMMAND: a tracer that stops the command at bind and at its exit, as `bindtable why` does, and only lets
 * it go on: what the mechanism itself costs. */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void trace(pid_t traced, int ready) {
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, traced, NULL, options) || write(ready, "", 1) != 1)
        return;
    int status;
    for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0;) {
        int event = status >> 16, signal = WSTOPSIG(status), is_call = signal == (SIGTRAP | 0x80);
        if (WIFSTOPPED(status))
            ptrace(event == PTRACE_EVENT_SECCOMP ? PTRACE_SYSCALL : PTRACE_CONT, thread, NULL,
                   event || is_call ? 0L : (long)signal);
    }
}

int main(int argc, char *argv[]) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    pid_t traced = getpid(), middle;
    int ends[2];
    if (argc < 2 || pipe(ends) || (middle = fork()) == -1)
        return 2;
    if (middle == 0) {
        if (fork() == 0)
            trace(traced, ends[1]);
        _exit(0);
    }
    waitpid(middle, NULL, 0);
    close(ends[1]);
    char byte;
    if (read(ends[0], &byte, 1) != 1)
        fputs("bare: it cannot be traced\n", stderr);
    else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        perror("seccomp");
    else
        execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
