//! Where the services of AWS are: partitions, regions, and their host names.
//!
//! <https://docs.aws.amazon.com/general/latest/gr/kms.html>

use super::config::Config;
use super::{Error, Key, reference::Id};

/// A part of AWS that has names of its own.
struct Partition {
    name: &'static str,
    /// How the names of its regions begin.
    regions: &'static [&'static str],
    /// What its host names end with.
    domain: &'static str,
    /// The same for hosts with IPv4 and IPv6.
    dual_stack: Option<&'static str>,
}

/// The first is that of every region whose name is not known.
const PARTITIONS: [Partition; 8] = [
    Partition {
        name: "aws",
        regions: &[],
        domain: "amazonaws.com",
        dual_stack: Some("api.aws"),
    },
    Partition {
        name: "aws-cn",
        regions: &["cn-"],
        domain: "amazonaws.com.cn",
        dual_stack: Some("api.amazonwebservices.com.cn"),
    },
    Partition {
        name: "aws-us-gov",
        regions: &["us-gov-"],
        domain: "amazonaws.com",
        dual_stack: Some("api.aws"),
    },
    Partition {
        name: "aws-eusc",
        regions: &["eusc-"],
        domain: "amazonaws.eu",
        dual_stack: Some("api.amazonwebservices.eu"),
    },
    Partition {
        name: "aws-iso",
        regions: &["us-iso-"],
        domain: "c2s.ic.gov",
        dual_stack: None,
    },
    Partition {
        name: "aws-iso-b",
        regions: &["us-isob-"],
        domain: "sc2s.sgov.gov",
        dual_stack: None,
    },
    Partition {
        name: "aws-iso-e",
        regions: &["eu-isoe-"],
        domain: "cloud.adc-e.uk",
        dual_stack: None,
    },
    Partition {
        name: "aws-iso-f",
        regions: &["us-isof-"],
        domain: "csp.hci.ic.gov",
        dual_stack: None,
    },
];

impl Partition {
    fn of(name: Option<&str>, region: &str) -> &'static Self {
        let found = match name {
            Some(name) => PARTITIONS.iter().find(|p| p.name == name),
            None => PARTITIONS
                .iter()
                .find(|p| p.regions.iter().any(|start| region.starts_with(start))),
        };
        found.unwrap_or(&PARTITIONS[0])
    }
}

/// Where a service is, and in which region it works.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) url: String,
    pub(super) region: String,
    /// Who said so, for people.
    pub(super) origin: String,
}

/// Where KMS is for this key. What the reference says wins over what is set.
pub(super) fn kms(key: &Key, config: &Config) -> Result<Place, Error> {
    let set = config.endpoint("kms");
    let region = match key.region().map(str::to_owned).or_else(|| config.region()) {
        Some(region) => region,
        None => match &set {
            // The name of an own host of AWS has the region in it.
            Some(url) if region_in(url).is_some() => region_in(url).unwrap_or_default(),
            _ => {
                return Err(Error::NoRegion {
                    key: key.to_string(),
                    profile: config.profile.clone(),
                    places: config.places(),
                });
            }
        },
    };
    let (url, origin) = match (&key.endpoint, set) {
        (Some(host), _) => (format!("https://{host}"), "the reference".to_owned()),
        (None, Some(url)) => (url, "the endpoint that is set for KMS".to_owned()),
        (None, None) => {
            let partition = match &key.id {
                Id::Arn(arn) => Some(arn.partition.as_str()),
                _ => None,
            };
            let host = host("kms", &region, partition, config)?;
            (format!("https://{host}"), "the region".to_owned())
        }
    };
    Ok(Place {
        url,
        region,
        origin,
    })
}

fn region_in(url: &str) -> Option<String> {
    let host = url.split("://").nth(1)?.split('/').next()?;
    super::reference::region_of_host(host).map(str::to_owned)
}

/// Where the security token service is.
pub(super) fn sts(region: &str, config: &Config) -> Result<Place, Error> {
    let (url, origin) = match config.endpoint("sts") {
        Some(url) => (url, "the endpoint that is set for STS".to_owned()),
        None => {
            let host = host("sts", region, None, config)?;
            (format!("https://{host}"), "the region".to_owned())
        }
    };
    Ok(Place {
        url,
        region: region.to_owned(),
        origin,
    })
}

/// The portal that gives the credentials of somebody who has logged in with IAM Identity Center.
pub(super) fn sso(region: &str, config: &Config) -> String {
    config.endpoint("sso").unwrap_or_else(|| {
        let domain = Partition::of(None, region).domain;
        format!("https://portal.sso.{region}.{domain}")
    })
}

/// The host name of a service.
fn host(
    service: &str,
    region: &str,
    partition: Option<&str>,
    config: &Config,
) -> Result<String, Error> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if region.is_empty() || !region.chars().all(legal) {
        return Err(Error::Setting {
            what: format!("the region {:?}", sealmark_http::sanitise(region)),
            reason: "a region is named like us-west-2".to_owned(),
        });
    }
    let partition = Partition::of(partition, region);
    let fips = config.is_on("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    let dual = config.is_on("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    let service = if fips {
        format!("{service}-fips")
    } else {
        service.to_owned()
    };
    let domain = match (dual, partition.dual_stack) {
        (false, _) => partition.domain,
        (true, Some(domain)) => domain,
        (true, None) => {
            return Err(Error::Setting {
                what: "AWS_USE_DUALSTACK_ENDPOINT".to_owned(),
                reason: format!("the partition {} has no such endpoints", partition.name),
            });
        }
    };
    Ok(format!("{service}.{region}.{domain}"))
}

#[cfg(test)]
mod tests {
    use super::super::config::tests::config;
    use super::*;

    #[tokio::test]
    async fn each_partition_has_its_hosts() {
        let id = "61c124fb-bf47-4f95-a805-65dda7cd08ae";
        let fips = ("AWS_USE_FIPS_ENDPOINT", "true");
        let dual = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
        let region = |name| ("AWS_REGION", name);
        let url = ("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:4566");
        for (reference, variables, expected) in [
            (
                format!("/{id}"),
                vec![region("us-west-2")],
                "https://kms.us-west-2.amazonaws.com us-west-2",
            ),
            (
                format!("/{id}"),
                vec![region("us-west-2"), fips],
                "https://kms-fips.us-west-2.amazonaws.com us-west-2",
            ),
            (
                format!("/{id}"),
                vec![region("us-west-2"), dual],
                "https://kms.us-west-2.api.aws us-west-2",
            ),
            (
                format!("/{id}"),
                vec![region("us-gov-west-1"), fips, dual],
                "https://kms-fips.us-gov-west-1.api.aws us-gov-west-1",
            ),
            (
                format!("/{id}"),
                vec![region("cn-north-1")],
                "https://kms.cn-north-1.amazonaws.com.cn cn-north-1",
            ),
            (
                format!("/{id}"),
                vec![region("us-isob-east-1")],
                "https://kms.us-isob-east-1.sc2s.sgov.gov us-isob-east-1",
            ),
            // The region of the ARN, and not the one that is set; also with an endpoint.
            (
                format!("arn:aws:kms:eu-west-1:562077019569:key/{id}"),
                vec![region("us-west-2")],
                "https://kms.eu-west-1.amazonaws.com eu-west-1",
            ),
            (
                format!("arn:aws-eusc:kms:eusc-de-east-1:562077019569:key/{id}"),
                vec![],
                "https://kms.eusc-de-east-1.amazonaws.eu eusc-de-east-1",
            ),
            (
                format!("arn:aws:kms:eu-west-1:562077019569:key/{id}"),
                vec![region("us-west-2"), url],
                "http://127.0.0.1:4566 eu-west-1",
            ),
            // The endpoint in the reference, and not the one that is set.
            (
                format!("localhost:1/{id}"),
                vec![region("us-west-2"), url],
                "https://localhost:1 us-west-2",
            ),
            (
                format!("kms.eu-west-3.amazonaws.com/{id}"),
                vec![],
                "https://kms.eu-west-3.amazonaws.com eu-west-3",
            ),
            (
                format!("/{id}"),
                vec![(
                    "AWS_ENDPOINT_URL",
                    "https://vpce-1.kms.eu-west-3.vpce.amazonaws.com/",
                )],
                "https://vpce-1.kms.eu-west-3.vpce.amazonaws.com/ eu-west-3",
            ),
        ] {
            let key = Key::parse(&reference).unwrap();
            let (_home, config) = config(&variables, "", "").await;
            let place = kms(&key, &config).unwrap();
            assert_eq!(
                format!("{} {}", place.url, place.region),
                expected,
                "{reference} {variables:?}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_region_it_is_said_where_one_was_looked_for() {
        let key = Key::parse("/alias/release").unwrap();
        let (_home, settings) = config(&[("AWS_PROFILE", "work")], "", "").await;
        let error = kms(&key, &settings).unwrap_err().to_string();
        for part in [
            "awskms:///alias/release",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "profile work",
            "ARN",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let (_home, settings) = config(&[("AWS_REGION", "us west")], "", "").await;
        assert!(
            kms(&key, &settings)
                .unwrap_err()
                .to_string()
                .contains("the region \"us west\"")
        );
    }
}
