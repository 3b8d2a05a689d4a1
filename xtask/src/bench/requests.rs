//! Finds the requests in what an HTTP client sends: RFC 9112, the client's half of a connection.
//!
//! Invariant: a request is counted once, when its head is complete, whatever stands in bodies and however the bytes
//! are cut. Bytes that are no HTTP/1.1 are never counted, and never passed over in silence.

/// A longer head is no client's that is measured here.
const MAX_HEAD: usize = 64 << 10;

/// What a client sent on one connection, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: State,
}

/// What a piece of the stream was the end of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Event {
    /// A request's head: its first line, `GET /v2/ HTTP/1.1`.
    Request(String),
    /// The client tried TLS: this connection carries no requests.
    TlsHello,
    /// Not HTTP/1.1: this connection can't be counted.
    Unreadable,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Start,
    Head(Vec<u8>),
    Body(u64),
    ChunkSize(Vec<u8>),
    /// With the line end after it.
    Chunk(u64),
    Trailer(Vec<u8>),
    /// Nothing more is looked at.
    Opaque,
}

impl Requests {
    /// Reads on.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            if let Some(event) = self.step(*byte) {
                events.push(event);
            }
        }
        events
    }

    fn step(&mut self, byte: u8) -> Option<Event> {
        match &mut self.state {
            // The record type of a TLS handshake: RFC 8446, section 5.1.
            State::Start if byte == 0x16 => {
                self.state = State::Opaque;
                return Some(Event::TlsHello);
            }
            // Empty lines before a request are to be ignored: RFC 9112, section 2.2.
            State::Start if byte == b'\r' || byte == b'\n' => {}
            State::Start => self.state = State::Head(vec![byte]),
            State::Head(head) => {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    return Some(self.end_of_head());
                }
                if head.len() > MAX_HEAD {
                    return Some(self.give_up());
                }
            }
            State::Body(left) | State::Chunk(left) if *left > 1 => *left -= 1,
            State::Body(_) => self.state = State::Start,
            State::Chunk(_) => self.state = State::ChunkSize(Vec::new()),
            State::ChunkSize(line) => {
                line.push(byte);
                if byte == b'\n' {
                    match chunk_size(line) {
                        Some(0) => self.state = State::Trailer(Vec::new()),
                        Some(size) => self.state = State::Chunk(size.saturating_add(2)),
                        None => return Some(self.give_up()),
                    }
                } else if line.len() > MAX_HEAD {
                    return Some(self.give_up());
                }
            }
            State::Trailer(line) => {
                line.push(byte);
                if line == b"\r\n" {
                    self.state = State::Start;
                } else if byte == b'\n' {
                    line.clear();
                } else if line.len() > MAX_HEAD {
                    return Some(self.give_up());
                }
            }
            State::Opaque => {}
        }
        None
    }

    fn end_of_head(&mut self) -> Event {
        let State::Head(head) = std::mem::take(&mut self.state) else {
            return self.give_up();
        };
        match parse(&head) {
            Some((line, state)) => {
                self.state = state;
                Event::Request(line)
            }
            None => self.give_up(),
        }
    }

    fn give_up(&mut self) -> Event {
        self.state = State::Opaque;
        Event::Unreadable
    }
}

/// The first line, and what follows the head. RFC 9112, section 6.3.
fn parse(head: &[u8]) -> Option<(String, State)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next()?;
    let words: Vec<&str> = line.split(' ').collect();
    if words.len() != 3 || !words[2].starts_with("HTTP/1.") {
        return None;
    }
    let mut state = State::Start;
    for header in lines {
        let (name, value) = header.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case("chunked") {
                return None;
            }
            state = State::ChunkSize(Vec::new());
        } else if name.eq_ignore_ascii_case("content-length") {
            let length: u64 = value.parse().ok()?;
            if length > 0 && matches!(state, State::Start) {
                state = State::Body(length);
            }
        }
    }
    Some((line.to_owned(), state))
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let digits = line.split(';').next()?.trim_end();
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that is used for everything: what looks like requests in the bodies is none.
    const KEPT_ALIVE: &str = "GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n\
        PUT /blob HTTP/1.1\r\ncontent-length: 20\r\n\r\nGET /no HTTP/1.1\r\n\r\n\
        POST /chunks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        14\r\nGET /no HTTP/1.1\r\n\r\n\r\n1;x=y\r\nz\r\n0\r\nTrailer: GET /no\r\n\r\n\
        \r\nHEAD /last HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

    const ITS_REQUESTS: [&str; 4] = [
        "GET /v2/ HTTP/1.1",
        "PUT /blob HTTP/1.1",
        "POST /chunks HTTP/1.1",
        "HEAD /last HTTP/1.1",
    ];

    #[test]
    fn requests_of_one_connection_are_counted_however_the_bytes_are_cut() {
        let expected = ITS_REQUESTS.map(|line| Event::Request(line.to_owned()));
        for size in [1, 2, 3, 7, 19, KEPT_ALIVE.len()] {
            let mut requests = Requests::default();
            let pieces = KEPT_ALIVE.as_bytes().chunks(size);
            let events: Vec<Event> = pieces.flat_map(|piece| requests.read(piece)).collect();
            assert_eq!(events, expected, "pieces of {size} bytes");
        }
    }

    #[test]
    fn a_client_that_tries_tls_first_has_made_no_request() {
        let events = Requests::default().read(b"\x16\x03\x01\x02\x00 GET / HTTP/1.1\r\n\r\n");
        assert_eq!(events, [Event::TlsHello]);
    }

    #[test]
    fn what_is_no_http_1_is_said_to_be_unreadable() {
        for text in [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n",
            "GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
        ] {
            let events = Requests::default().read(text.as_bytes());
            assert_eq!(events, [Event::Unreadable], "{text}");
        }
        let mut chunked = Requests::default();
        chunked.read(b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(chunked.read(b"size\r\n"), [Event::Unreadable]);
        let mut endless = Requests::default();
        assert_eq!(endless.read(&vec![b'a'; MAX_HEAD + 9]), [Event::Unreadable]);
    }
}
