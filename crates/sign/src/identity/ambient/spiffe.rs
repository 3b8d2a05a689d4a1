//! SPIFFE: the Workload API gives this process a token (JWT-SVID), over gRPC on a socket.
//!
//! <https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md>, gRPC's framing as in
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. One call without streaming needs no more of it.

use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use prost::Message;
use reqwest::header::HeaderMap;
use zeroize::Zeroizing;

use super::{Found, Place, given};
use crate::Error;
use sealmark_http::{Error as Failed, Options, innermost, sanitise};

const KIND: &str = "SPIFFE Workload API";
const SOCKET: &str = "SPIFFE_ENDPOINT_SOCKET";
const METHOD: &str = "SpiffeWorkloadAPI/FetchJWTSVID";
/// The largest answer: a few tokens.
const MAX_ANSWER: usize = 1 << 20;
/// A message begins with a byte that says whether it is compressed, and four of its length.
const PREFIX: usize = 5;

/// `JWTSVIDRequest` of `workload.proto`.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "1")]
    audience: Vec<String>,
    #[prost(string, tag = "2")]
    spiffe_id: String,
}

/// `JWTSVIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<Svid>,
}

/// `JWTSVID`.
#[derive(Clone, PartialEq, Message)]
struct Svid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(string, tag = "2")]
    svid: String,
}

/// Where the agent listens.
enum Endpoint {
    Socket(PathBuf),
    Address(String),
}

impl Endpoint {
    /// `unix:PATH` or `tcp://ADDRESS:PORT` (SPIFFE Workload Endpoint, section 4), or a path as cosign takes it.
    fn parse(text: &str) -> Result<Self, Error> {
        if let Some(address) = text.strip_prefix("tcp://") {
            return Ok(Self::Address(address.trim_end_matches('/').to_owned()));
        }
        let path = text
            .strip_prefix("unix://")
            .or_else(|| text.strip_prefix("unix:"));
        let path = Path::new(path.unwrap_or(text));
        match path.is_absolute() {
            true => Ok(Self::Socket(path.to_owned())),
            false => Err(Error::Identity(format!(
                "{SOCKET}: {:?} is neither unix:///PATH nor tcp://ADDRESS:PORT",
                sanitise(text)
            ))),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Socket(path) => format!("unix://{}", path.display()),
            Self::Address(address) => format!("tcp://{}", sanitise(address)),
        }
    }
}

pub(super) async fn token(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    let endpoint = match place.get(SOCKET) {
        Some(text) => Endpoint::parse(&text)?,
        None if place.spire_socket.exists() => Endpoint::Socket(place.spire_socket.clone()),
        None => {
            let path = place.spire_socket.display();
            return Ok(Found::Absent(format!(
                "{SOCKET} is not set, and there is no {path}"
            )));
        }
    };
    let request = format!("POST {}/{METHOD}", endpoint.shown());
    let asking = tokio::time::timeout(options.timeout, ask(&endpoint, &request, audience));
    let svid = asking.await.unwrap_or_else(|_| {
        let (request, after) = (request.clone(), options.timeout);
        Err(Error::Service(Failed::Timeout {
            kind: KIND,
            request,
            after,
        }))
    })?;
    if let Some(note) = &options.on_request {
        note(&format!("{request} gave {}", sanitise(&svid.spiffe_id)));
    }
    let secret = Zeroizing::new(svid.svid);
    given(&secret, format_args!("SPIFFE ({})", endpoint.shown()))
}

async fn ask(endpoint: &Endpoint, request: &str, audience: &str) -> Result<Svid, Error> {
    let failed = |error: reqwest::Error| Failed::Connect {
        kind: KIND,
        request: request.to_owned(),
        reason: innermost(&error),
        unknown_host: false,
    };
    let malformed = |reason: &str| Failed::Answer {
        kind: KIND,
        request: request.to_owned(),
        reason: reason.to_owned(),
    };
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .tls_certs_only([]);
    let (client, host) = match endpoint {
        Endpoint::Socket(path) => (client.unix_socket(path.clone()), "localhost"),
        Endpoint::Address(address) => (client, address.as_str()),
    };
    let message = Request {
        audience: vec![audience.to_owned()],
        spiffe_id: String::new(),
    };
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).map_err(|_| malformed("the audience is too long"))?;
    let framed = [&[0][..], &length.to_be_bytes(), &message].concat();
    let post = client
        .build()
        .map_err(failed)?
        .post(format!("http://{host}/{METHOD}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        // Whoever sends this was not tricked into it by a page in a browser (Workload Endpoint, section 5.2).
        .header("workload.spiffe.io", "true")
        .body(framed);
    let answer = post.send().await.map_err(failed)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(Error::Service(Failed::Refused {
            kind: KIND,
            request: request.to_owned(),
            status,
            message: String::new(),
        }));
    }
    let refused = |headers: &HeaderMap| -> Option<Error> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let code = text("grpc-status").filter(|code| *code != "0")?;
        let said = sanitise(text("grpc-message").unwrap_or("it does not say why"));
        let hint = match code {
            // PERMISSION_DENIED: "no identity issued".
            "7" => "; register this workload with the SPIRE server",
            _ => "",
        };
        Some(Error::Identity(format!(
            "{KIND}: {request}: refused with status {}: {said}{hint}",
            sanitise(code)
        )))
    };
    if let Some(error) = refused(answer.headers()) {
        return Err(error);
    }
    // With its trailers, where gRPC says how a call ended.
    let mut body = reqwest::Body::from(answer);
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(failed)?;
        if let Some(error) = frame.trailers_ref().and_then(&refused) {
            return Err(error);
        }
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > MAX_ANSWER {
                return Err(malformed(&format!("it is larger than {MAX_ANSWER} bytes")).into());
            }
            bytes.extend_from_slice(data);
        }
    }
    let message = bytes.get(PREFIX..).filter(|_| bytes[0] == 0);
    let message = message.filter(|message| {
        let length = u32::try_from(message.len()).map(u32::to_be_bytes);
        length.is_ok_and(|length| bytes[1..PREFIX] == length)
    });
    let message = message.ok_or_else(|| malformed("it is not one message, uncompressed"))?;
    let answer = Answer::decode(message).map_err(|_| malformed("it is not a JWTSVIDResponse"))?;
    // The first is the default identity (Workload API, section 6.1).
    let mut svids = answer.svids.into_iter();
    let first = svids.next();
    first.ok_or_else(|| malformed("it has no token").into())
}
