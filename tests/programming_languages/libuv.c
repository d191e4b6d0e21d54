/* A listener of libuv, with its default flags. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static void on_connection(uv_stream_t *server, int status)
{
    uv_tcp_t *client = malloc(sizeof(*client));
    (void)status;
    uv_tcp_init(server->loop, client);
    uv_accept(server, (uv_stream_t *)client);
}

int main(void)
{
    uv_tcp_t server;
    struct sockaddr_in address;
    int error;
    uv_tcp_init(uv_default_loop(), &server);
    uv_ip4_addr("0.0.0.0", 3459, &address);
    uv_tcp_bind(&server, (struct sockaddr *)&address, 0);
    error = uv_listen((uv_stream_t *)&server, 128, on_connection);
    if (error) {
        fprintf(stderr, "%s\n", uv_strerror(error));
        return 1;
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
