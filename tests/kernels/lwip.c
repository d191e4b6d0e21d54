/* Tries cells of bindtable on lwIP, a network stack that runs in this process: each argument is a cell
 * such as tcp/127.0.0.1+reuseaddr/time-wait/127.0.0.1+reuseaddr. Prints a line for each, with a tab
 * between the cell and what became of B: "ok", "bind 98" or "listen 98", the number an errno.
 *
 *     gcc tests/kernels/lwip.c $(pkg-config --cflags --libs liblwip)        (Debian's liblwip-dev) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sockets.h"
#include "lwip/tcpip.h"

static u16_t port = 2000; /* each cell has its own */

static void fail(const char *cell, const char *what)
{
    fprintf(stderr, "lwip: %s: %s: %s\n", cell, what, strerror(errno));
    exit(1);
}

/* lwIP's loopback: what is sent comes back. */
static err_t output(struct netif *netif, struct pbuf *packet, const ip4_addr_t *address)
{
    (void)address;
    return netif_loop_output(netif, packet);
}

static err_t start(struct netif *netif)
{
    netif->output = output;
    return ERR_OK;
}

static struct sockaddr_in at(const char *ip)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &address.sin_addr);
    return address;
}

/* Makes the socket that a name describes, and binds it: 127.0.0.1+reuseaddr. */
static int bound(const char *cell, const char *name, int type, int *result)
{
    char ip[100];
    struct sockaddr_in address;
    int one = 1, fd = lwip_socket(AF_INET, type, 0);
    snprintf(ip, sizeof(ip), "%.*s", (int)strcspn(name, "+"), name);
    address = at(ip);
    if (fd == -1)
        fail(cell, "socket");
    if (strstr(name, "+reuseaddr"))
        lwip_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    *result = lwip_bind(fd, (struct sockaddr *)&address, sizeof(address));
    return fd;
}

/* How many TCP sockets have the port as their own, in this state. */
static int count(struct tcp_pcb *pcb, enum tcp_state state)
{
    int found = 0;
    for (; pcb; pcb = pcb->next)
        found += pcb->local_port == port && pcb->state == state;
    return found;
}

static void wait_for(const char *cell, enum tcp_state state)
{
    for (int look = 0; look < 5000; look++) {
        int found;
        LOCK_TCPIP_CORE();
        found = count(tcp_active_pcbs, state) + count(tcp_tw_pcbs, state);
        UNLOCK_TCPIP_CORE();
        if (found)
            return;
        usleep(1000); /* between two looks */
    }
    errno = ETIMEDOUT;
    fail(cell, "waiting for A's state");
}

static void try_cell(const char *cell)
{
    char proto[10], a[100], state[100], b[100], verdict[100] = "ok", byte;
    int type, result, fd, client = -1, child = -1, new;
    struct sockaddr_in loopback;

    port++;
    loopback = at("127.0.0.1");
    if (sscanf(cell, "%9[^/]/%99[^/]/%99[^/]/%99s", proto, a, state, b) != 4) {
        errno = EINVAL;
        fail(cell, "its name");
    }
    type = strcmp(proto, "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM;
    fd = bound(cell, a, type, &result);
    if (result == -1)
        fail(cell, "A's bind");
    if (strcmp(state, "bound") != 0 && type == SOCK_STREAM) {
        if (lwip_listen(fd, 16) == -1)
            fail(cell, "A's listen");
        if (strcmp(state, "listening") != 0 && strcmp(state, "closed") != 0) {
            client = lwip_socket(AF_INET, SOCK_STREAM, 0);
            if (lwip_connect(client, (struct sockaddr *)&loopback, sizeof(loopback)) == -1)
                fail(cell, "connect");
            if ((child = lwip_accept(fd, NULL, NULL)) == -1)
                fail(cell, "accept");
            wait_for(cell, ESTABLISHED);
        }
    }
    if (strcmp(state, "bound") != 0 && strcmp(state, "listening") != 0 && strcmp(state, "connection") != 0) {
        lwip_close(fd);
        fd = -1;
    }
    if (strcmp(state, "fin-wait-2") == 0 || strcmp(state, "time-wait") == 0) {
        lwip_close(child);
        child = -1;
        wait_for(cell, FIN_WAIT_2);
    }
    if (strcmp(state, "time-wait") == 0 || strcmp(state, "close-wait") == 0) {
        if (child == -1 && lwip_read(client, &byte, 1) != 0)
            fail(cell, "the client's end of file");
        lwip_close(client);
        client = -1;
        wait_for(cell, child == -1 ? TIME_WAIT : CLOSE_WAIT);
    }

    new = bound(cell, b, type, &result);
    if (result == -1)
        snprintf(verdict, sizeof(verdict), "bind %d", errno);
    else if (type == SOCK_STREAM && lwip_listen(new, 16) == -1)
        snprintf(verdict, sizeof(verdict), "listen %d", errno);
    printf("%s\t%s\n", cell, verdict);

    for (int at = 0; at < 4; at++) {
        int all[] = {new, child, client, fd};
        if (all[at] != -1)
            lwip_close(all[at]);
    }
}

int main(int count, char *cells[])
{
    static struct netif loopback;
    ip4_addr_t address, mask, gateway;

    tcpip_init(NULL, NULL);
    IP4_ADDR(&address, 127, 0, 0, 1);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    IP4_ADDR(&gateway, 127, 0, 0, 1);
    LOCK_TCPIP_CORE();
    netif_add(&loopback, &address, &mask, &gateway, NULL, start, tcpip_input);
    netif_set_up(&loopback);
    netif_set_link_up(&loopback);
    UNLOCK_TCPIP_CORE();
    for (int at = 1; at < count; at++)
        try_cell(cells[at]);
    fflush(stdout);
    _exit(0); /* lwIP's thread does not end */
}
