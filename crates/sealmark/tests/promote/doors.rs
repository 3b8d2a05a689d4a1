//! Registries of other kinds, by a door in front of a real one: read-only, without deletion, with tags that stay, or closed
//! from some write on.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use sealmark_testkit::{FaultyServer, Reply, Request};

/// A registry that does what the rule says, and else what the one behind it does.
pub(crate) fn door(
    behind: &str,
    rule: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
) -> FaultyServer {
    let behind = behind.to_owned();
    FaultyServer::start(move |request| rule(request).unwrap_or_else(|| forward(&behind, request)))
}

pub(crate) fn reads(request: &Request) -> bool {
    ["GET", "HEAD"].contains(&request.method.as_str())
}

/// The name and the tag of a manifest that is put under a tag.
pub(crate) fn puts_tag(request: &Request) -> Option<(&str, &str)> {
    let path = request.path.strip_prefix("/v2/")?;
    let (name, tag) = path.split_once("/manifests/")?;
    (request.method == "PUT" && !tag.contains(':')).then_some((name, tag))
}

/// What the registry behind answers. HTTP/1.0, so that nothing comes in chunks.
pub(crate) fn forward(behind: &str, request: &Request) -> Reply {
    let mut stream = TcpStream::connect(behind).unwrap();
    let mut head = format!("{} {} HTTP/1.0\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        // The first line is among them where it has a colon.
        let is_header = !name.contains(' ');
        if is_header
            && !["connection", "content-length", "accept-encoding"].contains(&name.as_str())
        {
            head += &format!("{name}: {value}\r\n");
        }
    }
    head += &format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        request.body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&request.body).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let mut reply = Reply::status(status.parse().unwrap());
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name = name.to_ascii_lowercase();
        let is_length = name == "content-length" && request.method != "HEAD";
        if !is_length && !["connection", "transfer-encoding"].contains(&name.as_str()) {
            reply = reply.with(&name, value.trim());
        }
    }
    reply.body(&bytes[end + 4..])
}
