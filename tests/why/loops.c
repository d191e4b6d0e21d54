/* Loops of system calls, to be timed; and what says itself how long it took: calls that fail once, and a pass
 * over all descriptors. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *nothing(void *pointer) { return pointer; }

static int bound(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, made = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(made, (struct sockaddr *)&address, sizeof address) ? -1 : made;
}

/* One look at each descriptor of each process. */
static void pass(void) {
    DIR *processes = opendir("/proc");
    for (struct dirent *process; (process = readdir(processes));) {
        char path[300], link[300];
        snprintf(path, sizeof path, "/proc/%s/fd", process->d_name);
        DIR *descriptors = *process->d_name >= '0' && *process->d_name <= '9' ? opendir(path) : NULL;
        if (!descriptors)
            continue;
        for (struct dirent *one; (one = readdir(descriptors));)
            if (readlinkat(dirfd(descriptors), one->d_name, link, sizeof link) == -1)
                continue; /* . and .. */
        closedir(descriptors);
    }
    closedir(processes);
}

int main(int argc, char *argv[]) {
    const char *what = argc == 2 ? argv[1] : "";
    if (!strcmp(what, "getpid")) {
        for (int i = 0; i < 2000000; i++)
            syscall(SYS_getpid);
    } else if (!strcmp(what, "fork")) {
        for (int i = 0; i < 300; i++) {
            if (fork() == 0) {
                execl("/bin/true", "true", (char *)NULL);
                _exit(1);
            }
            wait(NULL);
        }
    } else if (!strcmp(what, "thread")) {
        for (int i = 0; i < 3000; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, nothing, NULL);
            pthread_join(thread, NULL);
        }
    } else if (!strcmp(what, "socket")) {
        for (int i = 0; i < 20000; i++)
            close(bound(20000 + i % 1000));
    } else if (!strcmp(what, "sleepers")) {
        close_range(3, ~0U, 0); /* what this program was started with */
        for (int i = 0; i < 5000; i++) {
            int held = i == 2500 ? bound(3460) : -1; /* one of them alone has it */
            listen(held, 8);
            if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, 9);
                for (;;)
                    pause();
            }
            close(held);
        }
        for (;;)
            pause();
    } else {
        if (!strcmp(what, "binds"))
            listen(bound(3459), 8);
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (!strcmp(what, "pass"))
            pass();
        else if (bound(strcmp(what, "midst") ? 3459 : 3460) != -1)
            return 1;
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("%f\n", (end.tv_sec - start.tv_sec) * 1e3 + (end.tv_nsec - start.tv_nsec) / 1e6);
    }
    return 0;
}
