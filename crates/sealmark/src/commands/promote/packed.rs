//! Trusted material that came with a layout: what is used of it, and what is only told.

use sealmark_oci::Source;

use super::Arguments;
use super::ends::From;
use crate::error::Error;
use crate::terminal::Terminal;
use crate::trust_pack::{self, Unpacked};

/// Applies what the layout has of it to the flags: revocations always, whom to believe only if the user says so.
pub(super) fn take(
    arguments: &mut Arguments,
    from: &From,
    terminal: &Terminal,
) -> Result<Option<Unpacked>, Error> {
    let unpacked = match &from.source {
        Source::Layout(layout) => trust_pack::unpack(layout)?,
        Source::Registry { .. } => None,
    };
    let Some(unpacked) = unpacked else {
        return match arguments.trust_from_layout {
            true => Err(Error::Usage(format!(
                "--trust-from-layout: {} has no trusted material; save --with-trust puts it into a layout",
                from.reference
            ))),
            false => Ok(None),
        };
    };
    for path in &unpacked.revocations {
        arguments.asked.policy.take_revocations(path.clone());
    }
    if !arguments.trust_from_layout {
        let what = match (&unpacked.root, &unpacked.policy) {
            (Some(_), Some(_)) => "a trusted root and a policy",
            (Some(_), None) => "a trusted root",
            (None, Some(_)) => "a policy",
            (None, None) => return Ok(Some(unpacked)),
        };
        terminal.note(format!(
            "the layout has {what}, which is not believed: whoever made the layout made it. --trust-from-layout believes it"
        ));
        return Ok(Some(unpacked));
    }
    let asked = &mut arguments.asked;
    if asked.trust.trusted_root.is_some() {
        return Err(Error::Usage(
            "--trusted-root and --trust-from-layout: whose trusted root is it to be? Leave one of them out".to_owned(),
        ));
    }
    terminal.warn(format!(
        "whom to believe is what {} says itself (--trust-from-layout)",
        from.reference
    ));
    asked.trust.trusted_root.clone_from(&unpacked.root);
    if let (true, Some(policy)) = (asked.policy.names_nobody(), &unpacked.policy) {
        asked.policy.take_file(policy.clone());
    }
    Ok(Some(unpacked))
}
