/* A listener as the C library makes it: nothing is set. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(3459)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == -1) {
        perror("bind");
        return 1;
    }
    listen(fd, SOMAXCONN);
    accept(fd, NULL, NULL);
    pause();
    return 0;
}
