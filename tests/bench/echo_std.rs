//! The first program on the standard library, in its own manner: `TcpListener` sets SO_REUSEADDR by
//! itself, and has a backlog of 128.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;

fn main() -> ExitCode {
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, 3459)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("bind: {error}");
            return ExitCode::from(255);
        }
    };
    let mut client = match listener.accept() {
        Ok((client, _)) => client,
        Err(error) => {
            eprintln!("accept: {error}");
            return ExitCode::from(255);
        }
    };
    println!("client connected");

    let mut buff = [0; 100];
    loop {
        let done = match client.read(&mut buff) {
            Ok(0) => break,
            Ok(num) => client.write_all(&buff[..num]),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        };
        if done.is_err() {
            println!("client error");
            return ExitCode::SUCCESS;
        }
    }
    println!("client close");
    ExitCode::SUCCESS
}
