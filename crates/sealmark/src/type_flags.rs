//! Flags of the commands that verify attestations: of which types there must be one.

use sealmark_verify::policy::PredicateType;

use crate::error::Error;
use crate::policy_flags::PolicyFlags;

/// Which attestations there must be.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct TypeFlags {
    /// Type of attestation that there must be: custom, slsaprovenance1, spdxjson, vuln, …, or a URI; each of several
    /// [default: custom]
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
}

impl TypeFlags {
    /// The types by name or URI, each of which is known; none of them beside a policy file, which names its own.
    /// With `provenance` it is what is asked for where no type is named.
    pub(crate) fn names(
        &self,
        policy: &PolicyFlags,
        provenance: bool,
    ) -> Result<Vec<String>, Error> {
        for name in &self.types {
            PredicateType::named(name)
                .map_err(|cause| Error::Usage(format!("--type {name}: {cause}")))?;
        }
        match (self.types.as_slice(), policy.has_file()) {
            ([], true) => Ok(Vec::new()),
            ([], false) if provenance => Ok(vec!["slsa".to_owned()]),
            ([], false) => Ok(vec!["custom".to_owned()]),
            (_, true) => {
                Err(Error::Usage(
                    "--type and --policy: the policy file says which types of attestations there must be; \
                     leave one of them out"
                        .to_owned(),
                ))
            }
            (types, false) => Ok(types.to_vec()),
        }
    }
}
