/* uring: a listener on 127.0.0.1:3459 that a ring has as a fixed file, and no descriptor. */
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(3459)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct io_uring_params parameters = {0};
    int ring = syscall(SYS_io_uring_setup, 1, &parameters);
    if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &listener, 1) ||
        bind(listener, (void *)&address, sizeof address) || listen(listener, 8))
        return 1;
    close(listener);
    pause();
    return 0;
}
