//! The first program on tokio, with the runtime of one thread.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let runtime = Builder::new_current_thread().enable_io().build();
    runtime.expect("descriptors are left").block_on(serve())
}

async fn serve() -> ExitCode {
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("bind: {error}");
            return ExitCode::from(255);
        }
    };
    let client = match listener.accept().await {
        Ok((client, _)) => client,
        Err(error) => {
            eprintln!("accept: {error}");
            return ExitCode::from(255);
        }
    };
    println!("client connected");
    match echo(client).await {
        Ok(()) => println!("client close"),
        Err(_) => println!("client error"),
    }
    ExitCode::SUCCESS
}

fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 3459)))?;
    socket.listen(128)
}

async fn echo(mut client: TcpStream) -> io::Result<()> {
    let mut buff = [0; 100];
    loop {
        match client.read(&mut buff).await? {
            0 => return Ok(()),
            num => client.write_all(&buff[..num]).await?,
        }
    }
}
