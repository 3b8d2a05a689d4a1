//! Conditions in CEL (<https://github.com/google/cel-spec>): an expression over the statement that must be true.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use cel::objects::Key;
use cel::{Context, Program, Value};
use sealmark_verify::policy::PredicateCheck;
use serde_json::Value as Json;

use super::{bounded, brief, in_time};
use crate::error::Error;

/// One expression.
pub(super) struct Expression {
    /// For reports: the file, or the expression.
    name: Name,
    program: Arc<Program>,
}

#[derive(Debug)]
enum Name {
    File(String),
    Expression(String),
}

impl core::fmt::Debug for Expression {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Expression").field(&self.name).finish()
    }
}

impl Expression {
    fn compile(name: Name, said: &str, text: &str) -> Result<Self, Error> {
        let source = text.to_owned();
        // The parser recurses, so it gets the judge's stack too.
        let program = in_time(move || Program::compile(&source).map_err(|errors| causes(&errors)))
            .map_err(|causes| {
                Error::Usage(format!(
                    "{said} is no expression in CEL: {causes}; it is one like \
                     predicate.builder.id == \"https://…\""
                ))
            })?;
        Ok(Self {
            name,
            program: Arc::new(program),
        })
    }

    /// The text of a file.
    pub(super) fn of_file(path: &Path, text: &str) -> Result<Self, Error> {
        let name = path.display().to_string();
        Self::compile(Name::File(name.clone()), &name, text)
    }

    /// What `--cel` was given.
    pub(super) fn of_flag(text: &str) -> Result<Self, Error> {
        let said = format!("--cel {}", brief(text));
        Self::compile(Name::Expression(brief(text)), &said, text)
    }

    /// What a policy file says.
    pub(super) fn of_policy(text: &str) -> Result<Self, Error> {
        Self::compile(Name::Expression(brief(text)), &brief(text), text)
    }
}

fn causes(errors: &cel::ParseErrors) -> String {
    let list: Vec<_> = errors
        .errors
        .iter()
        .take(3)
        .map(|error| {
            format!(
                "line {}, column {}: {}",
                error.pos.0, error.pos.1, error.msg
            )
        })
        .collect();
    list.join("; ")
}

impl PredicateCheck for Expression {
    fn name(&self) -> String {
        match &self.name {
            Name::Expression(text) => format!("CEL expression {text}"),
            Name::File(file) => format!("CEL policy {file}"),
        }
    }

    fn asks(&self) -> String {
        "it to be true".to_owned()
    }

    fn check(&self, statement: &str) -> Result<(), String> {
        bounded(statement)?;
        let (program, statement) = (Arc::clone(&self.program), statement.to_owned());
        in_time(move || {
            let statement: Json = serde_json::from_str(&statement)
                .map_err(|cause| format!("a statement that is no JSON: {cause}"))?;
            let mut context = Context::default();
            for name in ["predicate", "predicateType", "subject"] {
                context.add_variable_from_value(name, value(&statement[name]));
            }
            context.add_variable_from_value("statement", value(&statement));
            match program.execute(&context) {
                Ok(Value::Bool(true)) => Ok(()),
                Ok(Value::Bool(false)) => Err("it to be false".to_owned()),
                Ok(other) => Err(format!(
                    "it to be {}, which is neither true nor false",
                    brief(&format!("{other:?}"))
                )),
                Err(cause) => Err(format!("an error: {}", brief(&cause.to_string()))),
            }
        })
    }
}

/// JSON as CEL has it. Whole numbers are `int`, so that they can be compared with what people write.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(large)) => Value::UInt(large),
            (None, None) => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(list) => Value::List(Arc::new(list.iter().map(value).collect())),
        Json::Object(members) => {
            let members: HashMap<Key, Value> = members
                .iter()
                .map(|(name, json)| (Key::String(Arc::new(name.clone())), value(json)))
                .collect();
            Value::Map(members.into())
        }
    }
}
