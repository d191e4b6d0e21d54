//! What a plain listener gets from std.

fn main() -> std::io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:3459")?;
    listener.accept().map(|_| ())
}
