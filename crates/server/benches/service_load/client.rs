//! Connections that send requests: HTTP/1.1, kept alive, one request at a time on each.
//!
//! Invariant: without a rate, each connection sends its next request when it has its answer. With one, request `n` is due
//! at `n / rate`, and its time counts from then, however late it could be sent: a slow server cannot hide behind
//! requests that were not made.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::proc;
use super::requests::{Requests, find};

/// Every so many answers, one is looked into.
const SAMPLE: usize = 97;
/// How often memory is sampled.
const SAMPLES: usize = 50;

/// A run.
pub(crate) struct Load {
    pub(crate) address: String,
    pub(crate) pid: u32,
    pub(crate) connections: usize,
    /// Requests in a second; without one, as many as the connections bring.
    pub(crate) rate: Option<f64>,
    pub(crate) may_be_cut: bool,
}

/// What all connections share: they run on one thread.
struct Shared {
    load: Load,
    requests: Box<dyn Requests>,
    began: Instant,
    next: Cell<usize>,
    answered: Cell<usize>,
    cut: Cell<bool>,
    /// Microseconds, one for each answer.
    times: RefCell<Vec<u32>>,
    samples: RefCell<Vec<usize>>,
    /// Answers so far, and KiB that the server has then.
    memory: RefCell<Vec<(usize, u64)>>,
}

impl Load {
    /// Sends all requests; the figures.
    pub(crate) fn run(self, requests: Box<dyn Requests>) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime of one thread");
        let (pid, connections) = (self.pid, self.connections);
        let local = LocalSet::new();
        local.block_on(&runtime, async {
            let mut streams = Vec::new();
            for _ in 0..connections {
                let stream = TcpStream::connect(&self.address).await;
                let stream = stream.expect("the server takes connections");
                stream.set_nodelay(true).expect("a TCP connection");
                streams.push(stream);
            }
            let cpu = || {
                (
                    proc::cpu(pid).unwrap_or(0.0),
                    proc::cpu(std::process::id()).unwrap_or(0.0),
                )
            };
            let before = cpu();
            let shared = Rc::new(Shared {
                began: Instant::now(),
                next: Cell::new(0),
                answered: Cell::new(0),
                cut: Cell::new(false),
                times: RefCell::new(Vec::with_capacity(requests.len())),
                samples: RefCell::default(),
                memory: RefCell::default(),
                requests,
                load: self,
            });
            let connections: Vec<_> = streams
                .into_iter()
                .map(|stream| tokio::task::spawn_local(shared.clone().connection(stream)))
                .collect();
            for connection in connections {
                connection.await.expect("a connection's task ends");
            }
            let seconds = shared.began.elapsed().as_secs_f64();
            let after = cpu();
            shared.figures(seconds, after.0 - before.0, after.1 - before.1)
        })
    }
}

impl Shared {
    async fn connection(self: Rc<Self>, mut stream: TcpStream) {
        let (mut request, mut answer) = (Vec::new(), Vec::with_capacity(16 << 10));
        loop {
            let number = self.next.get();
            if number >= self.requests.len() || self.cut.get() {
                return;
            }
            self.next.set(number + 1);
            self.requests.request(number, &mut request);
            let mut from = Instant::now();
            if let Some(rate) = self.load.rate {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "there are fewer than 2^52 requests"
                )]
                let due = self.began + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
                from = due;
            }
            match exchange(&mut stream, &request, &mut answer).await {
                Ok(()) => self.count(from, &answer),
                Err(_) if self.load.may_be_cut => self.cut.set(true),
                Err(error) => panic!("request {number} was refused: {error}"),
            }
        }
    }

    fn count(&self, from: Instant, answer: &[u8]) {
        let time = u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX);
        self.times.borrow_mut().push(time);
        let answered = self.answered.get() + 1;
        self.answered.set(answered);
        if answered % SAMPLE == 1 {
            self.samples
                .borrow_mut()
                .extend(self.requests.sample(answer));
        }
        if answered.is_multiple_of(self.requests.len().div_ceil(SAMPLES)) {
            let resident = proc::memory(self.load.pid, "VmRSS");
            self.memory
                .borrow_mut()
                .extend(resident.map(|kib| (answered, kib)));
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no figure here needs more than 52 bits"
    )]
    fn figures(&self, seconds: f64, server_cpu: f64, own_cpu: f64) -> Value {
        let mut times = self.times.borrow_mut();
        times.sort_unstable();
        let count = times.len() as f64;
        let part = |part: usize| {
            let at = times.len() * part / 1000;
            times
                .get(at.min(times.len().saturating_sub(1)))
                .map(|time| f64::from(*time) / 1e3)
        };
        let samples = self.samples.borrow();
        json!({
            "entries": times.len(),
            "cut": self.cut.get(),
            "seconds": seconds,
            "perSecond": count / seconds,
            "p50": part(500),
            "p99": part(990),
            "longest": part(1000),
            "serverCpu": server_cpu / count * 1e6,
            "ownCpu": own_cpu / count * 1e6,
            "leafBytes": samples.iter().sum::<usize>() as f64 / samples.len().max(1) as f64,
            "peakKib": proc::memory(self.load.pid, "VmHWM"),
            "memory": *self.memory.borrow(),
        })
    }
}

/// Sends a request, and reads the whole answer, which must say that it was done.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(request).await?;
    answer.clear();
    let mut wanted = None;
    loop {
        if stream.read_buf(answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if wanted.is_none()
            && let Some(head) = find(answer, b"\r\n\r\n")
        {
            wanted = Some(end(&answer[..head], head + 4));
        }
        let whole = match wanted {
            Some(End::At(length)) => answer.len() >= length,
            Some(End::LastChunk) => answer.ends_with(b"\r\n0\r\n\r\n"),
            None => false,
        };
        if whole {
            break;
        }
    }
    match answer.starts_with(b"HTTP/1.1 201 ") || answer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(answer).into_owned(),
        )),
    }
}

#[derive(Clone, Copy)]
enum End {
    At(usize),
    LastChunk,
}

/// Where the body ends that begins at `start`.
fn end(head: &[u8], start: usize) -> End {
    let head = String::from_utf8_lossy(head);
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let value = value.trim().parse::<usize>().ok()?;
        name.eq_ignore_ascii_case("content-length").then_some(value)
    });
    length.map_or(End::LastChunk, |length| End::At(start + length))
}
