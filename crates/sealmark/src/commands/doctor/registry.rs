//! The registry: is it there, are we logged in, may we read, and how are signatures found?

use sealmark_oci::credentials::{self, Kind};
use sealmark_oci::{Client, Reference, ReferrersSource};
use sealmark_sign::http::{self, Service};

use super::services::date;
use super::{Arguments, Finding, Told};
use crate::flags;
use crate::service_flags;
use crate::terminal::Terminal;

pub(super) const REGISTRY: &str = "registry";
pub(super) const LOGIN: &str = "login";
pub(super) const IMAGE: &str = "image";
pub(super) const REFERRERS: &str = "referrers";

pub(super) async fn check(
    arguments: &Arguments,
    findings: &mut Vec<Finding>,
    told: &mut Vec<Told>,
    terminal: &Terminal,
) {
    let Some(name) = &arguments.image else {
        findings.push(Finding::skipped(REGISTRY, "no image was named"));
        return;
    };
    let known = name.parse::<Reference>().map_err(sealmark_oci::Error::from);
    let known = known.map_err(crate::error::Error::from).and_then(|image| {
        let repository = flags::signature_repository(&image)?;
        Ok((image, repository, arguments.registry.client(terminal)?))
    });
    let (image, repository, client) = match known {
        Ok(known) => known,
        Err(error) => {
            findings.push(Finding::failed(REGISTRY, error.to_string()));
            return;
        }
    };
    let registry = image.in_repository().registry;
    if let Some(time) = time(&registry, &client, terminal).await {
        told.push(time);
    }
    let found = credentials::lookup(&registry, &repository.name, client.options()).await;
    let login = client.check_login(&registry).await;
    let who = match &found {
        Ok(Some(credential)) => {
            let who = match &credential.kind {
                Kind::Basic { username, .. } => format!("user {username}"),
                Kind::IdentityToken(_) => "an identity token".to_owned(),
                Kind::RegistryToken(_) => "a registry token".to_owned(),
            };
            Some(format!("{who}, from {}", credential.source))
        }
        Ok(None) => None,
        Err(error) => {
            findings.push(Finding::failed(LOGIN, error.to_string()));
            return;
        }
    };
    let to_do = format!("sealmark login {registry}");
    match (login, who) {
        (Ok(()), who) => {
            findings.push(Finding::ok(REGISTRY, format!("{registry} answers")));
            findings.push(match who {
                Some(who) => Finding::ok(LOGIN, who),
                None => Finding::warning(
                    LOGIN,
                    "nobody: what needs no login can be read, and most registries let nobody write so",
                    to_do,
                ),
            });
        }
        (Err(error @ sealmark_oci::Error::Unauthorized { .. }), who) => {
            findings.push(Finding::ok(REGISTRY, format!("{registry} answers")));
            let who = who.unwrap_or_else(|| "nobody".to_owned());
            findings.push(Finding::failed(LOGIN, format!("{who}: {error}")).remedy(to_do));
            return;
        }
        (Err(error), _) => {
            findings.push(Finding::failed(REGISTRY, error.to_string()));
            return;
        }
    }
    let digest = match client.resolve(&image).await {
        Ok(descriptor) => {
            let detail = format!("{} can be read", image.by_digest(&descriptor.digest));
            findings.push(Finding::ok(IMAGE, detail));
            descriptor.digest
        }
        Err(error) => {
            findings.push(Finding::failed(IMAGE, error.to_string()));
            return;
        }
    };
    findings.push(match client.referrers(&repository, &digest, None).await {
        Ok(found) => {
            let how = match found.source {
                ReferrersSource::Api => "the registry's referrers API",
                ReferrersSource::None => {
                    "the fallback tag, which is not there yet: the registry has no referrers API"
                }
                ReferrersSource::FallbackIndex => {
                    "the fallback tag: the registry has no referrers API, and lists are kept by clients"
                }
            };
            let count = found.descriptors.len();
            Finding::ok(REFERRERS, format!("{count} found by {how}"))
        }
        Err(error) => Finding::failed(REFERRERS, error.to_string()),
    });
}

/// The time that the registry's answers have.
async fn time(registry: &str, client: &Client, terminal: &Terminal) -> Option<Told> {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let plain = client.options().allow_http || http::is_loopback(host);
    let scheme = if plain { "http" } else { "https" };
    let options = http::Options {
        tries: 1,
        ..service_flags::options(terminal)
    };
    let service = Service::new("registry", &format!("{scheme}://{registry}"), &options).ok()?;
    let answer = service
        .get(&service.at("v2/"), |request| request)
        .await
        .ok()?;
    date(registry, &answer)
}
