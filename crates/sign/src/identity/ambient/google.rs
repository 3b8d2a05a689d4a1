//! Google's cloud: the identity of the machine or pod, or of an account that it may act as.
//!
//! <https://cloud.google.com/docs/authentication/get-id-token>

use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{Found, Place, given};
use crate::Error;
use sealmark_http::{Options, Service, sanitise};

const METADATA: &str = "Google's metadata server";
const IAM: &str = "Google's IAM credentials service";
/// The account to act as, as cosign has it.
const ACCOUNT: &str = "GOOGLE_SERVICE_ACCOUNT_NAME";
/// gcloud's own variables: an access token, and another place of the service.
const ACCESS_TOKEN: &str = "CLOUDSDK_AUTH_ACCESS_TOKEN";
const IAM_ENDPOINT: &str = "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS";

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
}

#[derive(Deserialize)]
struct IdToken {
    token: String,
}

/// Whether this is a machine of Google's; if not, what shows that.
fn is_google(place: &Place<'_>) -> Result<(), String> {
    let product = std::fs::read_to_string(&place.product_name).unwrap_or_default();
    match place.has("GCE_METADATA_HOST") || product.trim().starts_with("Google") {
        true => Ok(()),
        false => Err(format!(
            "GCE_METADATA_HOST is not set, and {} does not say Google",
            place.product_name.display()
        )),
    }
}

/// The metadata server, at what it has of the default account.
fn metadata(place: &Place<'_>, what: &str, options: &Options) -> Result<Service, Error> {
    let host = place.get("GCE_METADATA_HOST");
    let host = host.unwrap_or_else(|| "metadata.google.internal".to_owned());
    let path = "computeMetadata/v1/instance/service-accounts/default";
    let url = format!("http://{host}/{path}/{what}");
    Ok(Service::new(METADATA, &url, options)?)
}

pub(super) async fn workload_identity(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    if place.has(ACCOUNT) {
        return Ok(Found::Absent(format!("{ACCOUNT} asks for another account")));
    }
    if let Err(reason) = is_google(place) {
        return Ok(Found::Absent(reason));
    }
    let service = metadata(place, "identity", options)?;
    let mut url = service.url().clone();
    url.query_pairs_mut()
        .append_pair("audience", audience)
        .append_pair("format", "full");
    let get = service.get(&url, |request| request.header("Metadata-Flavor", "Google"));
    let answer = get.await?.good()?;
    let token = Zeroizing::new(String::from_utf8_lossy(&answer.body).into_owned());
    given(&token, METADATA)
}

/// <https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken>
pub(super) async fn impersonate(
    place: &Place<'_>,
    audience: &str,
    options: &Options,
) -> Result<Found, Error> {
    let Some(account) = place.get(ACCOUNT) else {
        return Ok(place.without(&[ACCOUNT]));
    };
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || "-._@".contains(c);
    if !account.chars().all(of_a_name) {
        return Err(Error::Identity(format!(
            "{ACCOUNT}: {:?} is not the email address or number of a service account",
            sanitise(&account)
        )));
    }
    let access = match place.get(ACCESS_TOKEN).map(Zeroizing::new) {
        Some(token) => token,
        None => {
            if let Err(reason) = is_google(place) {
                return Err(Error::Identity(format!(
                    "{ACCOUNT} is set, and nothing here may act as {account}: {reason}; elsewhere than on Google's \
                     machines, give an access token: {ACCESS_TOKEN}=$(gcloud auth print-access-token)"
                )));
            }
            let service = metadata(place, "token", options)?;
            let url = service.url().clone();
            let get = service.get(&url, |request| request.header("Metadata-Flavor", "Google"));
            let answer: AccessToken = get.await?.good()?.json()?;
            Zeroizing::new(answer.access_token)
        }
    };
    let base = place.get(IAM_ENDPOINT);
    let base = base.unwrap_or_else(|| "https://iamcredentials.googleapis.com".to_owned());
    let service = Service::new(IAM, &base, options)?;
    let url = service.at(&format!(
        "v1/projects/-/serviceAccounts/{account}:generateIdToken"
    ));
    let body = json!({"audience": audience, "includeEmail": true}).to_string();
    let post = service.post(&url, |request| {
        let request = request.header("content-type", "application/json");
        request.bearer_auth(access.as_str()).body(body.clone())
    });
    let answer: IdToken = post.await?.good()?.json()?;
    given(
        &Zeroizing::new(answer.token),
        format_args!("{IAM}, for {account}"),
    )
}
