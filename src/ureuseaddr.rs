#![no_std] // stdio.h: printf! and perror come from rt
#![no_main] // unistd.h: so does exit; getpid comes from rustix
#![forbid(unsafe_code)] // string.h: no memset; memchr is an iterator's position
use rustix::process::getpid; // errno.h: each error comes with its call
use rt::{exit, perror, printf}; // sys/types.h: each type comes with its call
use rustix::net::{AddressFamily, RecvFlags, SocketType, bind, ipproto, recvfrom, socket, sockopt};
use core::net::{Ipv4Addr, SocketAddrV4};
rt::start!(main); // arpa/inet.h: no inet_pton, no htons

fn main() -> ! {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, Some(ipproto::UDP));
    let Ok(fd) = fd else {
        perror(c"socket: ", fd.unwrap_err());
        exit(-1);
    };

    let mut sockaddr = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    // memset: new has set every field
    // sin_family: a SocketAddrV4 is AF_INET
    sockaddr.set_port(3459); // htons: rustix swaps the bytes
    sockaddr.set_ip(Ipv4Addr::new(0, 0, 0, 0)); // inet_pton: 127.0.0.1 gets no multicast
    if cfg!(feature = "reuseaddr") {
        let optval = true;
        let _ = sockopt::set_socket_reuseaddr(&fd, optval);
    }
    if let Err(no) = bind(&fd, &sockaddr) {
        perror(c"bind: ", no);
        exit(-1);
    }

    // mreq: set_ip_add_membership makes it from the two addresses
    let multiaddr = Ipv4Addr::new(239, 255, 34, 59); // inet_pton: the compiler does it
    let interface = Ipv4Addr::new(127, 0, 0, 1); // inet_pton: the loopback interface
    if let Err(no) = sockopt::set_ip_add_membership(&fd, &multiaddr, &interface) {
        perror(c"setsockopt: ", no);
        exit(-1);
    }

    let pid = getpid();
    let mut buff = [0; 100];
    loop {
        // claddr: recvfrom makes room for a sockaddr_storage
        // addrlen: recvfrom knows how much of it the kernel has filled
        let num = recvfrom(&fd, &mut buff, RecvFlags::empty());
        let Ok((num, _, claddr)) = num else {
            perror(c"recvfrom: ", num.unwrap_err());
            exit(-1);
        };
        let from = claddr.and_then(|claddr| SocketAddrV4::try_from(claddr).ok());
        let port = from.map_or(0, |from| from.port()); // ntohs: rustix swaps the bytes
        let end = buff[..num].iter().position(|&byte| byte == b'\n');
        let len = end.unwrap_or(num);
        printf!(c"[%d] %d: %.*s\n", pid, port, &buff[..len]);
    }
}
