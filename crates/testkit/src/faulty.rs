//! A server on loopback that answers as a test says: every fault of a registry, on demand.
//!
//! Invariant: a connection of it ends when the client closes it, so nothing outlives the test.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Bytes of a request's body that are kept: a test sends manifests, not images.
const MAX_BODY: u64 = 16 << 20;

/// A request as it came. Header names are in lower case.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, if `content-length` announced one.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(have, _)| have == name)?;
        Some(value)
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers; a header `connection: close` also closes the connection.
    Full {
        /// The status code.
        status: u16,
        /// Without `content-length`, unless it is to lie.
        headers: Vec<(String, String)>,
        /// The body, left out in an answer to HEAD.
        body: Vec<u8>,
    },
    /// Keeps the connection and never says a word.
    Hang,
    /// Begins to answer, with these headers, and never ends.
    Endless(Vec<(String, String)>),
    /// Closes the connection without a word.
    Close,
}

impl Reply {
    /// An answer without a body.
    pub fn status(status: u16) -> Self {
        Self::Full {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A refusal in the form of the distribution specification.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::status(status)
            .with("content-type", "application/json")
            .body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        if let Self::Full { headers, .. } | Self::Endless(headers) = &mut self {
            headers.push((name.to_owned(), value.to_string()));
        }
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Self::Full { body, .. } = &mut self {
            *body = bytes.into();
        }
        self
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server; it takes no more connections once it is dropped.
#[derive(Debug)]
pub struct FaultyServer {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl FaultyServer {
    /// Listens on a free port of 127.0.0.1 and answers each request with what `answer` says.
    ///
    /// # Panics
    ///
    /// If there is no port to listen on.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", None, answer)
    }

    /// Listens on this address, with TLS if there is a configuration for it.
    ///
    /// # Panics
    ///
    /// If the address is taken.
    pub fn start_on(
        address: &str,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("cannot listen on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (log, stop) = (Arc::clone(&requests), Arc::clone(&stopped));
        let answer: Arc<Answer> = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, log, tls) = (Arc::clone(&answer), Arc::clone(&log), tls.clone());
                // A client that goes away is its own affair.
                std::thread::spawn(move || match tls {
                    None => connection(&stream, &*answer, &log),
                    Some(tls) => {
                        let session = ServerConnection::new(tls).map_err(std::io::Error::other)?;
                        connection(StreamOwned::new(session, stream), &*answer, &log)
                    }
                });
            }
        });
        Self {
            address: address.to_string(),
            requests,
            stopped,
        }
    }

    /// `127.0.0.1:PORT`, as it begins an image's name.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An address on which nothing listens: it was free a moment ago.
    ///
    /// # Panics
    ///
    /// If there is no port to listen on.
    pub fn nobody() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("cannot listen on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        address.to_string()
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(&self.address);
    }
}

fn connection<S: Read + Write>(
    stream: S,
    answer: &Answer,
    log: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader)? {
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(request.clone());
        let reply = answer(&request);
        write(reader.get_mut(), &reply, request.method == "HEAD")?;
        if matches!(reply, Reply::Hang) {
            // Until the client gives up.
            reader.read_to_end(&mut Vec::new())?;
        }
        let Reply::Full { headers, .. } = reply else {
            break;
        };
        if headers
            .iter()
            .any(|(name, value)| name == "connection" && value == "close")
        {
            break;
        }
    }
    Ok(())
}

/// `None` at the end of the connection, or if what came is no request.
fn read<S: Read>(reader: &mut BufReader<S>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let mut first = lines.iter().flat_map(|line| line.split(' '));
    let (Some(method), Some(path)) = (first.next(), first.next()) else {
        return Ok(None);
    };
    let headers = lines.iter().filter_map(|line| line.split_once(':'));
    let mut request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: headers
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect(),
        body: Vec::new(),
    };
    let length = request.header("content-length").unwrap_or("0").parse();
    let mut body = reader.take(length.unwrap_or(0).min(MAX_BODY));
    body.read_to_end(&mut request.body)?;
    Ok(Some(request))
}

fn write<S: Write>(stream: &mut S, reply: &Reply, only_head: bool) -> std::io::Result<()> {
    let head = |status: u16, headers: &[(String, String)]| {
        let lines = headers.iter();
        let lines: String = lines
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        format!("HTTP/1.1 {status} Scripted\r\n{lines}")
    };
    match reply {
        Reply::Hang | Reply::Close => Ok(()),
        Reply::Full {
            status,
            headers,
            body,
        } => {
            let mut text = head(*status, headers);
            if !headers.iter().any(|(name, _)| name == "content-length") {
                text += &format!("content-length: {}\r\n", body.len());
            }
            let mut bytes = (text + "\r\n").into_bytes();
            if !only_head {
                bytes.extend(body);
            }
            stream.write_all(&bytes)?;
            stream.flush()
        }
        Reply::Endless(headers) => {
            let text = head(200, headers) + "transfer-encoding: chunked\r\n\r\n";
            stream.write_all(text.as_bytes())?;
            let chunk = [&b"10000\r\n"[..], &[b' '; 1 << 16], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk)?;
            }
        }
    }
}
