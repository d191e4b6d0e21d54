/* Every signal that a program can get, with its value; stops, and waits. The log is the same under a
 * tracer. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t got, code, value;

static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    got = signal;
    code = info->si_code;
    value = info->si_value.sival_int;
}

static void wait_for(pid_t pid, int options, const char *what) {
    int status;
    if (waitpid(pid, &status, options) != pid) {
        printf("%s: %s\n", what, strerror(errno));
        exit(1);
    }
    printf("%s: exited %d signaled %d stopped %d continued %d\n", what,
           WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : -1,
           WIFSTOPPED(status) ? WSTOPSIG(status) : -1, WIFCONTINUED(status) != 0);
}

static void no_child(void) {
    pid_t child = wait(NULL);
    printf("wait: %d %s\n", child, child == -1 ? strerror(errno) : "");
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    no_child();
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
        if (signal == SIGKILL || signal == SIGSTOP || sigaction(signal, &action, NULL))
            continue;
        got = code = value = 0;
        sigqueue(getpid(), signal, (union sigval){.sival_int = 1000 + signal});
        printf("queued %d: got %d code %d value %d\n", signal, got, code, value);
        got = code = value = 0;
        raise(signal);
        printf("raised %d: got %d code %d\n", signal, got, code);
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < 3; i++)
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
    for (int i = 0; i < 3; i++) {
        siginfo_t info;
        sigwaitinfo(&set, &info);
        printf("waited for: value %d\n", info.si_value.sival_int);
    }
    for (int number = 1; number < SIGRTMIN; number++)
        signal(number, SIG_DFL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        for (;;)
            pause();
    }
    for (int round = 0; round < 3; round++) {
        kill(child, round == 1 ? SIGTSTP : SIGSTOP);
        wait_for(child, WUNTRACED, "stopped");
        kill(child, SIGCONT);
        wait_for(child, WCONTINUED, "continued");
    }
    kill(child, SIGSTOP);
    wait_for(child, WUNTRACED, "stopped");
    kill(child, SIGTERM);
    kill(child, SIGCONT);
    int status;
    waitpid(child, &status, 0);
    printf("ended by %d\n", WTERMSIG(status));
    child = fork();
    if (child == 0) {
        raise(SIGTRAP);
        _exit(0);
    }
    wait_for(child, 0, "SIGTRAP");
    no_child();
    raise(SIGSTOP); /* whoever has started this continues it */
    printf("continued\n");
    fflush(stdout);
    raise(SIGUSR1);
    return 0;
}
