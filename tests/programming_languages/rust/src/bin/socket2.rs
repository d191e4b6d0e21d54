//! A listener of socket2, which sets what it is told to.
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;

fn main() -> std::io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let address: SocketAddr = "0.0.0.0:3459".parse().expect("it is an address");
    socket.bind(&address.into())?;
    socket.listen(128)?;
    let _client = socket.accept()?;
    std::thread::park();
    Ok(())
}
