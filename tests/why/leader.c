/* A process whose first thread has a listener and ends; the second one binds the same address. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int bound(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(3459)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address))
        perror("bind");
    return fd;
}

static void *second(void *first) {
    pthread_join(*(pthread_t *)first, NULL);
    bound();
    return NULL;
}

int main(void) {
    static pthread_t first;
    pthread_t other;
    first = pthread_self();
    listen(bound(), 8);
    pthread_create(&other, NULL, second, &first);
    pthread_exit(NULL);
}
