//! What the operator of services decides: encryption, limits, whom to believe, what is logged and measured. The flags
//! are the same for all services.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use sealmark_server::listen::Tls;
use sealmark_server::ops::{Options, Rate};
use tokio::net::TcpListener;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::Error;
use crate::terminal::Terminal;

/// What one caller may do where other machines can reach the server: far more than any client does, and far less
/// than what keeps it from serving others.
const RATE: Rate = Rate::per_second(1000);
/// The body size that can be set: less would refuse entries, more would fill the memory.
const MAX_BODY: std::ops::RangeInclusive<u64> = 16 << 10..=256 << 20;

/// The services, as limits and metrics call them.
const SERVICES: [&str; 7] = ["log", "ca", "ct", "tsa", "tuf", "oidc", "witness"];

/// What the names of all modules of this program begin with.
const OURS: &str = "sealmark";
/// Who got a certificate, or tried to.
const AUDIT: &str = "audit";

/// How lines are logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// What is logged.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Level {
    /// What went wrong
    Error,
    /// What may go wrong
    Warn,
    /// Each request too
    Info,
    /// What happens on connections too
    Debug,
    /// Everything
    Trace,
}

/// Requests that a caller may make.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    Off,
    Rate(Rate),
}

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            rate => rate
                .parse()
                .map(Self::Rate)
                .map_err(|error: sealmark_server::ops::InvalidRate| format!("{error}; or off")),
        }
    }
}

impl Limit {
    fn rate(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::Rate(rate) => Some(rate),
        }
    }
}

/// A limit of all services, or of one.
#[derive(Clone, Debug)]
pub(crate) struct ServiceLimit {
    service: Option<&'static str>,
    limit: Limit,
}

impl std::str::FromStr for ServiceLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, limit)) = text.split_once('=') else {
            let limit = text.parse()?;
            let service = None;
            return Ok(Self { service, limit });
        };
        let service = SERVICES.into_iter().find(|known| *known == name);
        let service = service.ok_or_else(|| {
            format!(
                "{name:?} is not a service; there are {}",
                SERVICES.join(", ")
            )
        })?;
        Ok(Self {
            service: Some(service),
            limit: limit.parse()?,
        })
    }
}

/// Flags.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Operation")]
pub(crate) struct OperationFlags {
    /// Certificate of the server with its intermediates, PEM: it speaks HTTPS, and takes a new one when the file changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM, not encrypted
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// How lines are logged to standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: Format,
    /// What is logged: warn and worse as text, info (each request) and worse as JSON, if not given; and each certificate
    #[arg(long, value_enum, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// Answer GET /metrics for Prometheus on this address; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<String>,
    /// Network of a proxy whose X-Forwarded-For is believed; may be given several times
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    trusted_proxy: Vec<IpNet>,
    /// Bytes of the largest request
    #[arg(long, value_name = "BYTES", default_value_t = sealmark_server::ops::body::MAX_BODY as u64,
        value_parser = clap::value_parser!(u64).range(MAX_BODY))]
    max_body: u64,
    /// Requests that one address may make to each service, e.g. 100/s or 600/m, or off, or to one of them: tsa=20/s; may be
    /// repeated; if not given: off on loopback, 1000/s elsewhere
    #[arg(long, value_name = "[SERVICE=]RATE", value_delimiter = ',')]
    rate_limit: Vec<ServiceLimit>,
}

impl OperationFlags {
    /// Starts logging, for the rest of the process. What goes wrong here is told to the operator; a client gets a
    /// message without paths.
    pub(crate) fn start_log(&self) {
        let level = match (self.log_level, self.log_format) {
            (Some(Level::Error), _) => LevelFilter::ERROR,
            (Some(Level::Warn), _) | (None, Format::Text) => LevelFilter::WARN,
            (Some(Level::Info), _) | (None, Format::Json) => LevelFilter::INFO,
            (Some(Level::Debug), _) => LevelFilter::DEBUG,
            (Some(Level::Trace), _) => LevelFilter::TRACE,
        };
        // Who got a certificate is told in any case, unless somebody says otherwise.
        let audit = self.log_level.map_or(LevelFilter::INFO, |_| level);
        // Of what others log, no more than warnings: the libraries beneath speak of frames and headers.
        let targets = Targets::new()
            .with_default(level.min(LevelFilter::WARN))
            .with_target(OURS, level)
            .with_target(AUDIT, audit);
        let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        let log = tracing_subscriber::registry().with(targets);
        match self.log_format {
            Format::Text => log.with(lines.with_target(false).with_ansi(false)).init(),
            Format::Json => {
                let json = lines.json().flatten_event(true).with_span_list(false);
                log.with(json.with_current_span(true)).init();
            }
        }
    }

    /// Tells the operator something, in the form that all lines have.
    pub(crate) fn note(&self, terminal: &Terminal, text: impl AsRef<str>) {
        match self.log_format {
            Format::Text => terminal.note(text),
            Format::Json => tracing::info!("{}", text.as_ref()),
        }
    }

    /// Warns the operator.
    pub(crate) fn warn(&self, terminal: &Terminal, text: impl AsRef<str>) {
        match self.log_format {
            Format::Text => terminal.warn(text),
            Format::Json => tracing::warn!("{}", text.as_ref()),
        }
    }

    /// How a task tells the operator something that went well, or (`true`) did not.
    pub(crate) fn teller(&self) -> impl Fn(&str, bool) + Send + Sync + 'static {
        let format = self.log_format;
        move |text, is_warning| match (format, is_warning) {
            (Format::Text, false) => crate::terminal::note(text),
            (Format::Text, true) => crate::terminal::note(&format!("warning: {text}")),
            (Format::Json, false) => tracing::info!("{text}"),
            (Format::Json, true) => tracing::warn!("{text}"),
        }
    }

    /// `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls_cert {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The options of a server on this address.
    pub(crate) fn options(
        &self,
        address: SocketAddr,
        terminal: &Terminal,
    ) -> Result<Options, Error> {
        let of_all = self.rate_limit.iter().rev();
        let of_all = of_all
            .filter(|limit| limit.service.is_none())
            .map(|its| its.limit)
            .next();
        let rate = match of_all {
            Some(limit) => limit.rate(),
            None => (!address.ip().is_loopback()).then_some(RATE),
        };
        let own = self.rate_limit.iter();
        let rates = own.filter_map(|its| Some((its.service?.to_owned(), its.limit.rate())));
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                let tls = Tls::open(certificate, key).map_err(sealmark_server::Error::from)?;
                if let Some(mode) = tls.key_is_open_to_others() {
                    self.warn(
                        terminal,
                        format!(
                            "{} has mode {mode:04o}: others can read the key; chmod 600 it",
                            key.display()
                        ),
                    );
                }
                Some(tls)
            }
            _ => None,
        };
        if !address.ip().is_loopback() {
            if tls.is_none() {
                self.warn(
                    terminal,
                    format!(
                        "{address} can be reached from other machines over plain HTTP: give --tls-cert and --tls-key, or put a server with TLS in front of it"
                    ),
                );
            }
            if let Some(rate) = rate {
                self.note(
                    terminal,
                    format!(
                        "each address may make {rate} requests to each service (--rate-limit); behind a proxy that is all clients together unless --trusted-proxy names it"
                    ),
                );
            }
        }
        Ok(Options {
            tls,
            max_body: usize::try_from(self.max_body).unwrap_or(usize::MAX),
            rate,
            rates: rates.collect(),
            trusted_proxies: self.trusted_proxy.clone(),
        })
    }

    /// Where metrics are read, if anywhere.
    pub(crate) async fn metrics(&self, terminal: &Terminal) -> Result<Option<TcpListener>, Error> {
        let Some(given) = &self.metrics else {
            return Ok(None);
        };
        let failed = |cause: io::Error| {
            Error::Usage(format!(
                "cannot listen on {given} for metrics: {cause}; give another address with --metrics, e.g. 127.0.0.1:0 for any free port"
            ))
        };
        let listener = TcpListener::bind(given).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        self.note(terminal, format!("metrics at http://{address}/metrics"));
        Ok(Some(listener))
    }
}
