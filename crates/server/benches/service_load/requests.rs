//! What is sent: requests that were made before the clock starts, all different.

use std::thread;

/// Requests of one kind.
pub(crate) trait Requests {
    /// How many.
    fn len(&self) -> usize;

    /// Writes one of them, in place of what `out` holds.
    fn request(&self, number: usize, out: &mut Vec<u8>);

    /// A figure of an answer that is looked into. It panics over an answer that is not what was asked for.
    fn sample(&self, answer: &[u8]) -> Option<usize>;
}

/// What `make` makes of the numbers below `count`, on all cores.
pub(crate) fn in_parallel<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let part = count.div_ceil(cores).max(1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .step_by(part)
            .map(|from| {
                let make = &make;
                scope
                    .spawn(move || -> Vec<T> { (from..count.min(from + part)).map(make).collect() })
            })
            .collect();
        let parts = threads.into_iter();
        parts
            .flat_map(|part| part.join().expect("making goes well"))
            .collect()
    })
}

/// A whole request with its body.
pub(crate) fn post(host: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The body of an answer.
pub(crate) fn body(answer: &[u8]) -> &[u8] {
    find(answer, b"\r\n\r\n").map_or(&[], |end| &answer[end + 4..])
}

/// Where `needle` stands first.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len())
        .position(|window| window == needle)
}
