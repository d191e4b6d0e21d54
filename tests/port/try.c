/* try tcp|udp ADDRESS PORT OPTIONS: what a server's bind and listen say, as a number: 0 or errno. OPTIONS as
 * bindtable port names them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char *argv[]) {
    if (argc != 5)
        return 2;
    int is_tcp = !strcmp(argv[1], "tcp"), on = 1;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[3]))};
    int is_v4 = inet_pton(AF_INET, argv[2], &v4.sin_addr) == 1;
    if (!is_v4 && inet_pton(AF_INET6, argv[2], &v6.sin6_addr) != 1)
        return 2;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, is_tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
    if (strstr(argv[4], "REUSEADDR"))
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (strstr(argv[4], "REUSEPORT"))
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    const struct sockaddr *address = is_v4 ? (void *)&v4 : (void *)&v6;
    int failed = bind(fd, address, is_v4 ? sizeof v4 : sizeof v6) || (is_tcp && listen(fd, 1));
    printf("%d\n", failed ? errno : 0);
    return 0;
}
