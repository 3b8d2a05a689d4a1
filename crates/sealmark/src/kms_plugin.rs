//! The program under the name `sigstore-kms-SCHEME`: then it is a plugin for keys, as cosign runs them.
//!
//! Standard output has one JSON document and nothing else, whatever happens.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use sealmark_kms::{Options, plugin};

/// Set to anything, it has requests and choices written to standard error, which cosign shows.
const VERBOSE: &str = "SEALMARK_VERBOSE";

/// The scheme to answer for, if the program was called by such a name.
pub(crate) fn scheme() -> Option<String> {
    let name = std::env::args_os().next()?;
    plugin::scheme(name.to_str()?).map(str::to_owned)
}

/// Answers the one call.
pub(crate) fn run(scheme: &str) -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut options = Options::default();
    if std::env::var_os(VERBOSE).is_some() {
        options.on_request = Some(Arc::new(|line: &str| crate::terminal::note(line)));
        options.note = Some(Arc::new(|line: &str| crate::terminal::note(line)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let answer = match runtime {
        Ok(runtime) => {
            let call = plugin::answer(scheme, &words, std::io::stdin(), &options);
            let answer = runtime.block_on(call);
            runtime.shutdown_background();
            answer
        }
        Err(cause) => plugin::Answer::failure(&format!("cannot start: {cause}")),
    };
    if words.is_empty() {
        // A person, who finds no JSON helpful.
        crate::terminal::note(&format!("error: {}", answer.message));
        return ExitCode::FAILURE;
    }
    // Whoever closed the pipe does not want to know.
    let _ = std::io::stdout().write_all(answer.json.as_bytes());
    match answer.failed() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
