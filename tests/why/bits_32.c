/* A program of 32 bits, without a C library: i386 has a number for each call, and socketcall for all. */
enum { SYS_SOCKET = 1, SYS_BIND = 2, SYS_SETSOCKOPT = 14 }; /* linux/net.h */
enum { SOL_SOCKET = 1, SO_REUSEADDR = 2 };

struct sockaddr_in { /* linux/in.h */
    unsigned short sin_family, sin_port;
    unsigned sin_addr;
    char zero[8];
};

static int call(int number, long a, long b, long c, long d, long e) {
    int result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "0"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
    return result;
}

static int socketcall(int number, long a, long b, long c, long d, long e) {
    long arguments[] = {a, b, c, d, e};
    return call(102, number, (long)arguments, 0, 0, 0);
}

void _start(void) {
    static struct sockaddr_in address = {.sin_family = 2};
    int on = 1, first, second;
    address.sin_addr = 0x0100007f;
    address.sin_port = __builtin_bswap16(3459);
    first = call(359, 2, 1, 0, 0, 0);
    call(361, first, (long)&address, sizeof address, 0, 0);
    second = call(359, 2, 1, 0, 0, 0);
    call(366, second, SOL_SOCKET, SO_REUSEADDR, (long)&on, sizeof on);
    call(361, second, (long)&address, sizeof address, 0, 0);
    address.sin_port = __builtin_bswap16(3460);
    first = socketcall(SYS_SOCKET, 2, 1, 0, 0, 0);
    socketcall(SYS_BIND, first, (long)&address, sizeof address, 0, 0);
    second = socketcall(SYS_SOCKET, 2, 1, 0, 0, 0);
    socketcall(SYS_SETSOCKOPT, second, SOL_SOCKET, SO_REUSEADDR, (long)&on, sizeof on);
    call(1, -socketcall(SYS_BIND, second, (long)&address, sizeof address, 0, 0), 0, 0, 0, 0);
}
