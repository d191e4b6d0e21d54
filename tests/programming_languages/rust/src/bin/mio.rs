//! A listener of mio.
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

fn main() -> std::io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("0.0.0.0:3459".parse().expect("it is an address"))?;
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    poll.poll(&mut Events::with_capacity(1), None)?;
    let _client = listener.accept()?;
    std::thread::park();
    Ok(())
}
