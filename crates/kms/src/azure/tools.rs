//! Who is logged in with Azure's command-line tools: `az` and `azd`.

use serde_json::Value;

use super::chain::{Ask, Attempt};
use super::error::Error;
use super::identity::Token;
use crate::program::{Output, Program};

pub(crate) const AZURE_CLI: &str = "the Azure CLI (az)";
pub(crate) const DEVELOPER_CLI: &str = "the Azure Developer CLI (azd)";

/// `az account get-access-token`
pub(crate) async fn azure_cli(ask: &Ask<'_>) -> Attempt {
    let words = [
        "account",
        "get-access-token",
        "--output",
        "json",
        "--resource",
        ask.resource,
        "--tenant",
        ask.tenant,
    ];
    let login = format!("az login --tenant {}", ask.tenant);
    ask_tool(ask, AZURE_CLI, "az", &words, "accessToken", &login).await
}

/// `azd auth token`
pub(crate) async fn developer_cli(ask: &Ask<'_>) -> Attempt {
    let scope = format!("{}/.default", ask.resource);
    let words = [
        "auth",
        "token",
        "--output",
        "json",
        "--no-prompt",
        "--scope",
        &scope,
        "--tenant-id",
        ask.tenant,
    ];
    let login = format!("azd auth login --tenant-id {}", ask.tenant);
    ask_tool(ask, DEVELOPER_CLI, "azd", &words, "token", &login).await
}

async fn ask_tool(
    ask: &Ask<'_>,
    origin: &'static str,
    name: &str,
    words: &[&str],
    member: &str,
    login: &str,
) -> Attempt {
    let Some(program) = Program::find(name) else {
        return Attempt::Absent(format!("{name} is not in PATH"));
    };
    let output = match program.run(words, Vec::new(), ask.options.timeout).await {
        Ok(output) => output,
        Err(reason) => {
            return Attempt::Failed(Error::Login { origin, reason });
        }
    };
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if let (true, Some(token)) = (output.success, said.get(member).and_then(Value::as_str)) {
        return Attempt::Token(Token::new(origin, token.to_owned(), ask.now));
    }
    let words = words_of(&output);
    let lower = words.to_ascii_lowercase();
    // Nobody is logged in there: the next source may do.
    if lower.contains("az login") && lower.contains("setup account")
        || lower.contains("not logged in")
    {
        return Attempt::Absent(format!("nobody is logged in ({login})"));
    }
    Attempt::Failed(Error::Login {
        origin,
        reason: format!("`{name}` failed: {words}; log in: {login}"),
    })
}

/// What a tool says when it fails, without colours.
fn words_of(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text
        .lines()
        .map(|line| line.trim().trim_start_matches("ERROR: "))
        .find(|line| !line.is_empty());
    sealmark_http::sanitise(line.unwrap_or("it said nothing"))
}
