//! Azure's clouds: where each has its vaults, and where one logs in.
//! <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers>

/// A cloud.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Cloud {
    /// The values of `AZURE_ENVIRONMENT` that mean it, in lower case.
    names: &'static [&'static str],
    /// The domain of its vaults.
    pub(crate) vaults: &'static str,
    /// The domain of its managed HSMs.
    pub(crate) hsms: &'static str,
    /// Where one logs in.
    #[cfg_attr(not(feature = "azure"), allow(dead_code, reason = "nobody logs in"))]
    pub(crate) authority: &'static str,
}

/// All of them, the public one first.
pub(crate) const CLOUDS: [Cloud; 3] = [
    Cloud {
        names: &["azurecloud", "azurepubliccloud", "public"],
        vaults: "vault.azure.net",
        hsms: "managedhsm.azure.net",
        authority: "https://login.microsoftonline.com",
    },
    Cloud {
        names: &["azureusgovernment", "azureusgovernmentcloud"],
        vaults: "vault.usgovcloudapi.net",
        hsms: "managedhsm.usgovcloudapi.net",
        authority: "https://login.microsoftonline.us",
    },
    Cloud {
        names: &["azurechinacloud", "azurechina"],
        vaults: "vault.azure.cn",
        hsms: "managedhsm.azure.cn",
        authority: "https://login.chinacloudapi.cn",
    },
];

impl Cloud {
    /// The cloud that a value of `AZURE_ENVIRONMENT` means.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase();
        CLOUDS
            .iter()
            .find(|cloud| cloud.names.contains(&name.as_str()))
    }

    /// The cloud of a host, and the part of the host's name before the domain.
    pub(crate) fn of(host: &str) -> Option<(&'static Self, &str)> {
        CLOUDS.iter().find_map(|cloud| {
            let domain = [cloud.vaults, cloud.hsms];
            let name = domain.iter().find_map(|domain| below(host, domain))?;
            Some((cloud, name))
        })
    }
}

/// The part of a host's name before a domain.
pub(crate) fn below<'a>(host: &'a str, domain: &str) -> Option<&'a str> {
    let name = host.strip_suffix(domain)?.strip_suffix('.')?;
    (!name.is_empty()).then_some(name)
}
