//! A listener of the standard library.
use std::net::TcpListener;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:3459")?;
    let _client = listener.accept()?;
    std::thread::park();
    Ok(())
}
