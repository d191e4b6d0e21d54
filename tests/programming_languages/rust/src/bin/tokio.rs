//! A listener of tokio.
use tokio::net::TcpListener;

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("0.0.0.0:3459").await?;
        let _client = listener.accept().await?;
        std::future::pending().await
    })
}
