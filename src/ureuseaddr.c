#include <stdio.h>
#include <unistd.h>
#include <string.h>
#include <errno.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>

int main(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    if (fd == -1) {
        perror("socket: ");
        return -1;
    }

    struct sockaddr_in sockaddr;
    memset(&sockaddr, 0, sizeof(sockaddr));
    sockaddr.sin_family = AF_INET;
    sockaddr.sin_port = htons(3459);
    inet_pton(AF_INET, "0.0.0.0", &sockaddr.sin_addr); // 127.0.0.1 gets no multicast
#ifdef REUSEADDR
    int optval = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &optval, sizeof(optval));
#endif
    if (bind(fd, (struct sockaddr *)&sockaddr, sizeof(sockaddr)) == -1) {
        perror("bind: ");
        return -1;
    }

    struct ip_mreq mreq;
    inet_pton(AF_INET, "239.255.34.59", &mreq.imr_multiaddr);
    inet_pton(AF_INET, "127.0.0.1", &mreq.imr_interface); // the loopback interface
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) == -1) {
        perror("setsockopt: ");
        return -1;
    }

    pid_t pid = getpid();
    char buff[100];
    for (;;) {
        struct sockaddr_storage claddr;
        socklen_t addrlen = sizeof(claddr);
        ssize_t num = recvfrom(fd, buff, 100, 0, (struct sockaddr *)&claddr, &addrlen);
        if (num == -1) {
            perror("recvfrom: ");
            return -1;
        }
        struct sockaddr_in *from = (struct sockaddr_in *)&claddr;
        int port = ntohs(from->sin_port);
        char *end = memchr(buff, '\n', num);
        int len = end ? end - buff : num;
        printf("[%d] %d: %.*s\n", pid, port, len, buff);
    }
}
