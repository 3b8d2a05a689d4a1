//! Credentials from a program: `client.authentication.k8s.io`
//! ([its protocol](https://kubernetes.io/docs/reference/config-api/client-authentication.v1/)).

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::kubeconfig::{Cluster, Exec};
use crate::program::Program;

/// The versions that are spoken; in what is used here they are the same.
const VERSIONS: [&str; 2] = [
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
];

/// What the program gives.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Credentials {
    pub(super) token: Option<Zeroizing<String>>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key_data: Option<Zeroizing<String>>,
    pub(super) expiration_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: String,
    kind: String,
    #[serde(default)]
    status: Credentials,
}

/// Runs the program. A path with a slash is relative to the kubeconfig's folder.
pub(super) async fn ask(
    exec: &Exec,
    cluster: &Cluster,
    authorities: Option<&str>,
    folder: &Path,
    timeout: Duration,
) -> Result<Credentials, String> {
    let command = exec.command.as_str();
    let failed = |reason: String| format!("the credential program {command:?} {reason}");
    if !VERSIONS.contains(&exec.api_version.as_str()) {
        return Err(failed(format!(
            "speaks {:?}, and {} is spoken here",
            exec.api_version, VERSIONS[0]
        )));
    }
    if exec.interactive_mode.as_deref() == Some("Always") {
        return Err(failed(
            "wants to talk to a person (interactiveMode: Always), which is not supported; log in with kubectl, and use \
             a token"
                .to_owned(),
        ));
    }
    let program = match command.contains('/') {
        true => Program::at(&folder.join(command)),
        false => Program::find(command),
    };
    let program = program.ok_or_else(|| {
        let hint = exec.install_hint.as_deref().map(sealmark_http::sanitise);
        failed(match hint {
            Some(hint) if !hint.is_empty() => format!("is not there: {hint}"),
            _ => "is not there".to_owned(),
        })
    })?;
    let mut spec = json!({"interactive": false});
    if exec.provide_cluster_info == Some(true) {
        let data = authorities.map(|pem| {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(pem)
        });
        spec["cluster"] = json!({
            "server": cluster.server,
            "certificate-authority-data": data,
            "insecure-skip-tls-verify": cluster.insecure_skip_tls_verify.unwrap_or_default(),
        });
        if let Some(name) = &cluster.tls_server_name {
            spec["cluster"]["tls-server-name"] = json!(name);
        }
    }
    let info =
        json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec}).to_string();
    let mut environment = vec![("KUBERNETES_EXEC_INFO", info.as_str())];
    for variable in exec.env.iter().flatten() {
        environment.push((&variable.name, &variable.value));
    }
    let words: Vec<&str> = exec.args.iter().flatten().map(String::as_str).collect();
    let output = program
        .run_with(&words, &environment, Vec::new(), timeout)
        .await
        .map_err(|reason| format!("the credential program: {reason}"))?;
    if !output.success {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        return Err(failed(format!(
            "failed: {}",
            sealmark_http::sanitise(line.unwrap_or("it said nothing"))
        )));
    }
    // The parser's words may quote a token.
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| failed("did not print an ExecCredential".to_owned()))?;
    if answer.kind != "ExecCredential" || answer.api_version != exec.api_version {
        return Err(failed(format!(
            "printed {:?} of {:?}, not an ExecCredential of {:?}",
            sealmark_http::sanitise(&answer.kind),
            sealmark_http::sanitise(&answer.api_version),
            exec.api_version
        )));
    }
    let status = answer.status;
    if status.token.is_none() && status.client_certificate_data.is_none() {
        return Err(failed("gave neither a token nor a certificate".to_owned()));
    }
    Ok(status)
}
