//! What is printed of a promotion.

use sealmark_formats::promotion::Promotion;
use sealmark_oci::{Copied, Reference};
use sealmark_sign::image::Signed;
use sealmark_sign::{Signatory, State};
use sealmark_verify::Kind;
use sealmark_verify::report::Verdict;
use serde::Serialize;

use super::ends::{From, TagState, To};
use super::judgement::{self, Judgement};
use super::rescan::Rescanned;
use super::{Arguments, Done, statement};
use crate::commands::promotions::counted;
use crate::commands::sign::{SignedJson, SignerJson};
use crate::error::Error;
use crate::flags::Format;
use crate::progress::bytes;
use crate::report;
use crate::terminal::Terminal;

/// All of it, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    dry_run: bool,
    source: &'a str,
    destination: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<TagJson>,
    /// Whether anything at the destination was changed, or would be.
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    copied: Option<&'a Copied>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signatures: Vec<SignedJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    promotions: Vec<SignedJson<'a>>,
    promotion: &'a Promotion,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    sboms: &'a [Rescanned],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TagJson {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    state: TagState,
}

/// The source, and what is good of it.
pub(super) fn verified(
    from: &From,
    judgement: &Judgement,
    explain: bool,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    terminal.line(format!("verified {}", from.pinned))?;
    match explain {
        true => report::explain(&judgement.report, terminal),
        false => report::print(&judgement.report, terminal),
    }
}

pub(super) fn copied(copied: &Copied, terminal: &mut Terminal) -> Result<(), Error> {
    for skipped in &copied.skipped {
        terminal.warn(format!(
            "not copied: {}, listed as attached to {}: {}",
            skipped.digest, skipped.subject, skipped.reason
        ));
    }
    terminal.line(format!(
        "copied {} images and {} attachments: {} in {} blobs, {} manifests; {} blobs were there already",
        copied.images,
        copied.attachments,
        bytes(copied.bytes_sent),
        copied.blobs_sent,
        copied.manifests_sent,
        copied.blobs_present
    ))
}

/// The end: where the tag points, and whether anything had to be done at all.
pub(super) fn done(
    arguments: &Arguments,
    from: &From,
    to: &To,
    moved: TagState,
    done: &Done,
    signatory: &Signatory,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let added = |all: &[Signed]| {
        let mut placed = all.iter().flat_map(|one| &one.signatures);
        placed.any(|placed| matches!(placed.state, State::Attached(_)))
    };
    let sent = done
        .copied
        .as_ref()
        .is_some_and(|copied| copied.blobs_sent + copied.manifests_sent > 0);
    let tag_is_new = matches!(moved, TagState::Set | TagState::Moved);
    let sboms = done.sboms.iter().any(|sbom| sbom.added);
    let changed = sent || sboms || added(&done.signed) || added(&done.attested) || tag_is_new;
    if arguments.output == Format::Json {
        let by = SignerJson::new(signatory);
        let outcome = Outcome {
            dry_run: false,
            source: &from.pinned,
            destination: to.pinned(&from.digest),
            tag: tag_json(to, moved),
            changed,
            copied: done.copied.as_ref(),
            signatures: signed_json(&done.signed, &by),
            promotions: signed_json(&done.attested, &by),
            promotion: &done.statement,
            sboms: &done.sboms,
        };
        return terminal.json(&outcome);
    }
    let pinned = to.pinned(&from.digest);
    match (moved, to.tag_name(), &to.before) {
        (TagState::Set, Some(tag), _) => terminal.line(format!("{tag} is {pinned} from now on"))?,
        (TagState::Moved, Some(tag), Some(before)) => {
            terminal.line(format!("{tag} is {pinned} from now on; it was {before}"))?;
        }
        (TagState::AlreadyThere, Some(tag), _) => {
            terminal.line(format!("{tag} is {pinned} already"))?
        }
        _ => {}
    }
    match changed {
        true => terminal.line(format!("promoted {} to {pinned}", from.reference)),
        false => terminal.line(format!(
            "{} was promoted to {pinned} before: nothing was changed",
            from.reference
        )),
    }
}

fn signed_json<'a>(all: &'a [Signed], by: &'a SignerJson) -> Vec<SignedJson<'a>> {
    all.iter().map(|one| SignedJson::new(one, by)).collect()
}

fn tag_json(to: &To, state: TagState) -> Option<TagJson> {
    Some(TagJson {
        name: to.tag_name()?,
        before: to.before.as_ref().map(ToString::to_string),
        state,
    })
}

/// What would be done.
pub(super) async fn plan(
    arguments: &Arguments,
    from: &From,
    to: &To,
    wanted: Promotion,
    signatory: Option<&Signatory>,
    terminal: &mut Terminal,
) -> Result<(), Error> {
    let image: Reference = to.repository.with_digest(&from.digest);
    let is_there = match to.client.resolve(&image).await {
        Ok(_) => true,
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    let there = match is_there {
        true => to.gather(&from.digest).await?,
        false => Vec::new(),
    };
    let signed = signatory.is_some_and(|own| {
        let policy = own.policy(Kind::ImageSignature);
        let none = sealmark_verify::Revocations::default();
        judgement::verify_own(&there, &from.digest, &policy, own, &none).verdict
            == Verdict::Verified
    });
    let earlier = signatory.and_then(|own| statement::earlier(&there, own, &from.digest, &wanted));
    let moved = match (&to.tag, &to.before) {
        (None, _) => TagState::NoTag,
        (_, Some(before)) if *before == from.digest => TagState::AlreadyThere,
        (_, Some(_)) => TagState::Moved,
        (_, None) => TagState::Set,
    };
    let changed = !(is_there && signed && earlier.is_some())
        || matches!(moved, TagState::Set | TagState::Moved);
    let pinned = to.pinned(&from.digest);
    if arguments.output == Format::Json {
        return terminal.json(&Outcome {
            dry_run: true,
            source: &from.pinned,
            destination: pinned,
            tag: tag_json(to, moved),
            changed,
            copied: None,
            signatures: Vec::new(),
            promotions: Vec::new(),
            promotion: &wanted,
            sboms: &[],
        });
    }
    let by = match signatory {
        Some(own) => format!("key {}", own.signer().public_key().id()),
        None => "whoever logs in".to_owned(),
    };
    terminal.line(match is_there {
        true => format!("{pinned} is there already; what is missing of it and of what is attached would be copied"),
        false => format!("would copy to {pinned}"),
    })?;
    terminal.line(match signed {
        true => format!("{by} has signed it there already"),
        false => format!("would sign it, by {by}"),
    })?;
    terminal.line(match earlier {
        Some(time) => format!("{by} has attached the same promotion already, of {time}"),
        None => format!(
            "would attach a promotion from {}: {} met the policy",
            wanted.source.reference,
            counted(wanted.verified.len())
        ),
    })?;
    if arguments.rescan_sbom {
        terminal.line(
            "would list the packages of each image, and attest that SBOM if it is not attested yet",
        )?;
    }
    terminal.line("would verify that at the destination, with the own key alone")?;
    match (moved, to.tag_name(), &to.before) {
        (TagState::Set, Some(tag), _) => terminal.line(format!("would set the tag {tag}"))?,
        (TagState::Moved, Some(tag), Some(before)) => {
            terminal.line(format!("would move the tag {tag}, which is {before} now"))?;
        }
        (TagState::AlreadyThere, Some(tag), _) => {
            terminal.line(format!("the tag {tag} is this image already"))?;
        }
        _ => {}
    }
    terminal.line("nothing was changed (--dry-run)")
}
