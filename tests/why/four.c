/* The four failures that a reader meets, each on a port of its own, in a program that needs no other: an old
 * connection in TIME_WAIT, a second bind and an option that comes too late, a listener that a child has
 * inherited, and no port that is left to connect from. With an argument, on a kernel that has nothing but this:
 * the loopback interface, and then `ARGUMENT why -- THIS`. */
#include <arpa/inet.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address = {.sin_family = AF_INET};

static void check(int result, const char *what) {
    if (result == -1) {
        perror(what);
        exit(1);
    }
}

static void fails(int result, const char *what) {
    if (result != -1) {
        fprintf(stderr, "%s: done\n", what);
        exit(1);
    }
    perror(what);
}

static void reuse(int made) {
    int one = 1;
    check(setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "setsockopt");
}

static int new(void) {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    check(made, "socket");
    return made;
}

static int binds(int made) { return bind(made, (struct sockaddr *)&address, sizeof address); }

static int connects(int made) { return connect(made, (struct sockaddr *)&address, sizeof address); }

static int listener(int port, int has_option) {
    int made = new();
    address.sin_port = htons(port);
    if (has_option)
        reuse(made);
    check(binds(made), "bind");
    check(listen(made, 8), "listen");
    return made;
}

static void time_wait(void) {
    int held = listener(3459, 0), client = new(), next = new();
    char byte;
    check(connects(client), "connect");
    close(accept(held, NULL, NULL)); /* this side closes first */
    check(read(client, &byte, 1), "read");
    close(client);
    close(held);
    reuse(next);
    fails(binds(next), "bind");
    close(next);
}

static void two_binds(void) {
    int held = listener(3460, 0), second = new();
    fails(binds(second), "bind");
    reuse(second);
    close(second);
    close(held);
}

static void inherited(void) {
    int held = listener(3461, 1), next = new();
    pid_t child = fork();
    check(child, "fork");
    if (child == 0) {
        pause();
        _exit(0);
    }
    close(held);
    reuse(next);
    fails(binds(next), "bind");
    close(next);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void no_ports(void) {
    FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
    check(range ? fputs("40000 40003", range) : -1, "ip_local_port_range");
    check(fclose(range), "ip_local_port_range");
    listener(3462, 0);
    for (int i = 0; i < 4; i++)
        check(connects(new()), "connect");
    fails(connects(new()), "connect");
}

static void become(char *bindtable, char *this) {
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int any = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(ioctl(any, SIOCSIFFLAGS, &loopback), "lo");
    for (int inherited = 3; inherited < 16; inherited++)
        close(inherited);
    check(execv(bindtable, (char *[]){bindtable, "--lang", "en", "why", "--", this, NULL}), bindtable);
}

int main(int argc, char *argv[]) {
    if (argc == 2)
        become(argv[1], argv[0]);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    time_wait();
    two_binds();
    inherited();
    no_ports();
    return 0;
}
