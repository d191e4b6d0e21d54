/* leader: a listener on 127.0.0.1:3459, whose process goes on after the end of its first thread. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void *stay(void *nothing) {
    pause();
    return nothing;
}

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(3459)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    pthread_t thread;
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 8) ||
        pthread_create(&thread, 0, stay, 0))
        return 1;
    pthread_exit(0);
}
