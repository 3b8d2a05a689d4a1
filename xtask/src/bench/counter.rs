//! Counts the HTTP requests that reach a registry: a TCP relay on loopback that reads along.
//!
//! Invariant: bytes pass unchanged, and a request is noted before it is passed on, so that a client which has its
//! answer has been counted.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::requests::{Event, Requests};
use crate::process::Outcome;

/// A relay in front of one registry. It listens until the process ends.
#[derive(Debug)]
pub(super) struct Counter {
    /// `127.0.0.1:PORT`, to be used in place of the registry's.
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Event>>>,
}

impl Counter {
    /// Starts to relay to `upstream` (`127.0.0.1:PORT`).
    pub(super) fn start(upstream: &str) -> Outcome<Self> {
        let error = |error: io::Error| format!("cannot listen on 127.0.0.1: {error}");
        let listener = TcpListener::bind("127.0.0.1:0").map_err(error)?;
        let address = listener.local_addr().map_err(error)?.to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (upstream, log) = (upstream.to_owned(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (upstream, log) = (upstream.clone(), Arc::clone(&log));
                // A connection that breaks shows as an error of the client, which fails the run.
                std::thread::spawn(move || relay(&client, &upstream, &log));
            }
        });
        Ok(Self { address, seen })
    }

    /// The first lines of all requests since the last call.
    pub(super) fn take(&self) -> Outcome<Vec<String>> {
        let events = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let mut lines = Vec::new();
        for event in events {
            match event {
                Event::Request(line) => lines.push(line),
                // Asked on loopback only, to see if the registry speaks HTTPS: with TLS it would be the same connection.
                Event::TlsHello => {}
                Event::Unreadable => {
                    return Err("a client sent what is not HTTP/1.1: it can't be counted".into());
                }
            }
        }
        Ok(lines)
    }
}

fn relay(client: &TcpStream, upstream: &str, seen: &Mutex<Vec<Event>>) -> io::Result<()> {
    let server = TcpStream::connect(upstream)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from, mut to) = (server.try_clone()?, client.try_clone()?);
    let answers = std::thread::spawn(move || {
        let result = io::copy(&mut &from, &mut to);
        // It may be closed already.
        let _ = to.shutdown(Shutdown::Write);
        result
    });
    let result = requests(client, &server, seen);
    let _ = server.shutdown(Shutdown::Write);
    // Its error is the same broken connection.
    let _ = answers.join();
    result
}

fn requests(
    mut client: &TcpStream,
    mut server: &TcpStream,
    seen: &Mutex<Vec<Event>>,
) -> io::Result<()> {
    let mut requests = Requests::default();
    let mut buffer = [0; 16 << 10];
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let events = requests.read(&buffer[..length]);
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(events);
        server.write_all(&buffer[..length])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what it is sent, until the client has nothing more to say.
    fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || io::copy(&mut &stream, &mut &stream));
            }
        });
        address
    }

    fn exchange(address: &str, text: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn bytes_pass_unchanged_and_requests_are_counted_once() {
        let counter = Counter::start(&echo()).unwrap();
        let two = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        assert_eq!(exchange(&counter.address, two), two);
        exchange(&counter.address, "GET /c HTTP/1.1\r\n\r\n");
        let lines = counter.take().unwrap();
        assert_eq!(
            lines,
            ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "GET /c HTTP/1.1"]
        );
        assert!(counter.take().unwrap().is_empty());
        exchange(&counter.address, "EHLO registry\r\n\r\n");
        assert!(counter.take().is_err());
    }
}
