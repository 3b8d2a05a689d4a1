//! The browser's answer, which it brings to a port of this machine (RFC 8252, section 7.3).
//!
//! Invariant: an answer without the state of this login is sent away, and so is whoever says nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use zeroize::Zeroizing;

use crate::Error;
use sealmark_http::sanitise;

/// The first line of what a browser sends, with a code and a state in it.
const MAX_REQUEST_LINE: usize = 8 << 10;
/// Where the browser brings its answer.
const CALLBACK: &str = "/auth/callback";

/// A port of this machine for the browser's answer, and the URL of it that providers expect: by name.
pub(super) async fn listen(wanted: Option<&Url>) -> Result<(TcpListener, Url), Error> {
    let port = wanted.and_then(Url::port).unwrap_or(0);
    let is_here = |url: &Url| {
        url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1"))
    };
    if let Some(url) = wanted.filter(|url| !is_here(url)) {
        return Err(Error::Identity(format!(
            "--oidc-redirect-url {url}: the browser must bring its answer here, to http://localhost:PORT/PATH, or nowhere: urn:ietf:wg:oauth:2.0:oob"
        )));
    }
    let failed = |error: std::io::Error| {
        Error::Identity(format!(
            "cannot listen for the browser's answer on port {port}: {error}"
        ))
    };
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    let host = wanted.and_then(Url::host_str).unwrap_or("localhost");
    let path = wanted.map(Url::path).unwrap_or(CALLBACK);
    let text = format!("http://{host}:{port}{path}");
    let url = Url::parse(&text).map_err(|error| Error::Identity(format!("{text}: {error}")))?;
    Ok((listener, url))
}

/// Waits for the browser; others who knock are sent away.
pub(super) async fn answer_of(
    listener: &TcpListener,
    path: &str,
    state: &str,
) -> Result<Zeroizing<String>, Error> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        // One who says nothing must not keep the browser waiting.
        let read = tokio::time::timeout(Duration::from_secs(5), request_target(&mut stream)).await;
        let Ok(Some(target)) = read else { continue };
        let base = Url::parse("http://localhost").ok();
        let Some(url) = base.and_then(|base| base.join(&target).ok()) else {
            continue;
        };
        let parameter = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs
                .find(|(found, _)| found == name)
                .map(|(_, value)| value.into_owned())
        };
        if url.path() != path || parameter("state").as_deref() != Some(state) {
            reply(
                &mut stream,
                "404 Not Found",
                "This is not the answer that sealmark waits for.",
            )
            .await;
            continue;
        }
        match parameter("code") {
            Some(code) => {
                reply(
                    &mut stream,
                    "200 OK",
                    "You are logged in. You can close this page.",
                )
                .await;
                return Ok(Zeroizing::new(code));
            }
            None => {
                reply(&mut stream, "200 OK", "You are not logged in.").await;
                let reason = parameter("error_description").or_else(|| parameter("error"));
                return Err(Error::Identity(format!(
                    "the identity provider did not log you in: {}",
                    sanitise(&reason.unwrap_or_else(|| "it does not say why".to_owned()))
                )));
            }
        }
    }
}

/// The target of `GET TARGET HTTP/1.1`.
async fn request_target(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < MAX_REQUEST_LINE {
        let mut piece = [0; 1024];
        match stream.read(&mut piece).await.ok()? {
            0 => return None,
            count => line.extend_from_slice(&piece[..count]),
        }
    }
    let text = String::from_utf8(line).ok()?;
    let target = text.strip_prefix("GET ")?.split(' ').next()?;
    Some(target.to_owned())
}

async fn reply(stream: &mut TcpStream, status: &str, text: &str) {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\
         Cache-Control: no-store\r\n\r\n{text}",
        text.len()
    );
    // A browser that is gone needs no answer.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
