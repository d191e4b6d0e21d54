#![no_std] // stdio.h: printf! and perror come from rt
#![no_main] // unistd.h: so do close, fork and exit; read and write come from rustix
#![forbid(unsafe_code)] // string.h: no memset
use rustix::io::{Errno, read, write};
use rt::{close, exit, perror, printf}; // sys/types.h: each type comes with its call
use rustix::net::{AddressFamily, SocketType, acceptfrom, bind, ipproto, listen, socket, sockopt};
use core::net::{Ipv4Addr, SocketAddrV4};
rt::start!(main); // arpa/inet.h: no inet_pton, no htons

fn main() -> ! {
    let lfd = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP));
    let Ok(lfd) = lfd else {
        perror(c"socket: ", lfd.unwrap_err());
        exit(-1);
    };

    let mut sockaddr = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    // memset: new has set every field
    // sin_family: a SocketAddrV4 is AF_INET
    sockaddr.set_port(3459); // htons: rustix swaps the bytes
    sockaddr.set_ip(Ipv4Addr::new(127, 0, 0, 1)); // inet_pton: the compiler does it
    if cfg!(feature = "reuseaddr") {
        let optval = true;
        let _ = sockopt::set_socket_reuseaddr(&lfd, optval);
    }
    if let Err(no) = bind(&lfd, &sockaddr) {
        perror(c"bind: ", no);
        exit(-1);
    }

    if let Err(no) = listen(&lfd, 128) {
        perror(c"listen: ", no);
        exit(-1);
    }

    // claddr: acceptfrom makes room for a sockaddr_storage
    // addrlen: acceptfrom knows how much of it the kernel has filled
    let cfd = acceptfrom(&lfd);
    let Ok((cfd, _claddr)) = cfd else {
        perror(c"accept: ", cfd.unwrap_err());
        exit(-1);
    };
    printf!(c"client connected: %d\n", cfd);

    let mut buff = [0; 100];
    loop {
        let num = read(&cfd, &mut buff);
        if num == Ok(0) {
            printf!(c"client close: %d\n", cfd);
            close(cfd);
            break;
        } else if let Err(no) = num {
            // errno: the result has it
            if no != Errno::INTR && no != Errno::AGAIN && no != Errno::WOULDBLOCK {
                printf!(c"client error: %d\n", cfd);
                break close(cfd); // C goes on, and reads the closed descriptor
            }
        } else {
            if write(&cfd, &buff[..num.unwrap()]) != num {
                printf!(c"client error: %d\n", cfd);
                break close(cfd); // as above
            }
        }
    }
    exit(0);
}
