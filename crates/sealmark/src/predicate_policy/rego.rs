//! Policies in Rego, as cosign reads them: version 0 of the language, the input is the in-toto statement, and
//! `data.signature.allow` must be exactly true.

use core::num::NonZeroU32;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};
use regorus::{Engine, Value};
use sealmark_verify::policy::PredicateCheck;

use super::{MAX_TIME, bounded, brief, in_time};
use crate::error::Error;

/// What cosign asks.
const ALLOW: &str = "data.signature.allow";
/// Messages of policies that say why not. They decide nothing, as in cosign.
const DENY: &str = "data.signature.deny";
/// So many messages are shown.
const MAX_MESSAGES: usize = 5;
/// The clock is looked at after so many steps, which take well below a millisecond.
const STEPS: NonZeroU32 = NonZeroU32::new(256).expect("it is not zero");

/// All files together: one program, as for cosign.
pub(super) struct Modules {
    names: Vec<String>,
    engine: Engine,
}

impl core::fmt::Debug for Modules {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Modules").field(&self.names).finish()
    }
}

/// The engine has no clock but the one that it is given.
struct Clock(OnceLock<Instant>);

impl TimeSource for Clock {
    fn now(&self) -> Option<Duration> {
        Some(self.0.get_or_init(Instant::now).elapsed())
    }
}

static CLOCK: Clock = Clock(OnceLock::new());

impl Modules {
    pub(super) fn compile(files: &[(PathBuf, String)]) -> Result<Self, Error> {
        // An error says that it is set already.
        let _ = set_time_source(&CLOCK);
        let mut engine = Engine::new();
        engine.set_rego_v0(true);
        // As in OPA: a builtin that fails makes its rule undefined, and not the whole query.
        engine.set_strict_builtin_errors(false);
        engine.set_execution_timer_config(ExecutionTimerConfig {
            limit: MAX_TIME,
            check_interval: STEPS,
        });
        let mut names = Vec::new();
        let mut packages = Vec::new();
        for (path, text) in files {
            let name = path.display().to_string();
            // The parser recurses, so it gets the judge's stack too.
            let (mut with, file, text) = (engine.clone(), name.clone(), text.clone());
            let (package, with) = in_time(move || {
                let package = with
                    .add_policy(file, text)
                    .map_err(|cause| cause.to_string())?;
                Ok((package, with))
            })
            .map_err(|cause| {
                Error::Usage(format!(
                    "policy in Rego, {name}:\n{}",
                    cause.trim_end().trim_start_matches('\n')
                ))
            })?;
            engine = with;
            packages.push(package);
            names.push(name);
        }
        if !packages.iter().any(|package| package == "data.signature") {
            return Err(Error::Usage(format!(
                "{}: a policy in Rego on attestations has `package signature` and a rule `allow`, and this has {}",
                names.join(", "),
                packages.join(", ").replace("data.", "package ")
            )));
        }
        Ok(Self { names, engine })
    }
}

impl PredicateCheck for Modules {
    fn name(&self) -> String {
        format!("Rego policy {}", self.names.join(", "))
    }

    fn asks(&self) -> String {
        format!("{ALLOW} to be true")
    }

    fn check(&self, statement: &str) -> Result<(), String> {
        bounded(statement)?;
        let (mut engine, statement) = (self.engine.clone(), statement.to_owned());
        in_time(move || {
            engine
                .set_input_json(&statement)
                .map_err(|cause| format!("a statement that is no JSON: {cause}"))?;
            let said = match value(&mut engine, ALLOW)? {
                Some(Value::Bool(true)) => return Ok(()),
                Some(other) => format!("it to be {}", brief(&other.to_string())),
                None => "it to be undefined".to_owned(),
            };
            // What they are for is to explain; one that fails explains nothing.
            Ok(match messages(&mut engine).unwrap_or_default() {
                list if list.is_empty() => Err(said),
                list => Err(format!("{said}: {}", list.join("; "))),
            })
            .and_then(|said| said)
        })
    }
}

/// The value of the one expression, if it has one.
fn value(engine: &mut Engine, query: &str) -> Result<Option<Value>, String> {
    let results = engine
        .eval_query(query.to_owned(), false)
        .map_err(|cause| format!("an error: {}", cause.to_string().trim()))?;
    let expression = results
        .result
        .into_iter()
        .next()
        .and_then(|result| result.expressions.into_iter().next());
    Ok(expression
        .map(|expression| expression.value)
        .filter(|value| *value != Value::Undefined))
}

fn messages(engine: &mut Engine) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => brief(text),
        other => brief(&other.to_string()),
    };
    Ok(match value(engine, DENY)? {
        Some(Value::Set(set)) => set.iter().take(MAX_MESSAGES).map(text).collect(),
        Some(Value::Array(list)) => list.iter().take(MAX_MESSAGES).map(text).collect(),
        Some(Value::String(message)) => vec![brief(&message)],
        _ => Vec::new(),
    })
}
