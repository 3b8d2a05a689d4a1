//! The second story: three releases signed without a key, and a break-in that costs the middle one and no other.

use super::services::{SIGSTORE, Sigstore};
use super::stage::{Must, Stage};
use super::{World, images};
use crate::error::Error;

/// Who signs releases.
pub(super) const PIPELINE: &str = "pipeline@example.org";
/// What commands have the identity token in.
pub(super) const TOKEN: &str = "SIGSTORE_ID_TOKEN";

pub(super) async fn play(stage: &mut Stage<'_>, world: &mut World) -> Result<(), Error> {
    stage.title("2. Sign without a key, and survive a break-in")?;
    let sigstore = Sigstore::start(stage.directory).await?;
    let (mirror, issuer) = (
        format!("{}/tuf", sigstore.url),
        sigstore.issuer().to_owned(),
    );
    stage.say(&format!(
        "A private Sigstore is at {}: certificate authority, transparency log, timestamps and identity\n\
         provider. The pipeline is {PIPELINE} there (SIGSTORE_ID_TOKEN is its token); its keys live for one signature.",
        sigstore.url
    ))?;
    stage.set(TOKEN, sigstore.token(PIPELINE)?);
    world.sigstore = Some(sigstore);
    let root = format!("{SIGSTORE}/root.json");
    let initialize = ["initialize", "--mirror", &mirror, "--root", &root];
    stage
        .step("trust that Sigstore", Must::say("is trusted"), &initialize)
        .await?;
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(|tag| world.release(tag));
    let signed = Must::say("signed");
    push(stage, world, "v1", "print('v1')\n").await?;
    stage.say("The pipeline builds oss/flasksample:v1, pushes it and signs it.")?;
    let sign = |image| ["sign", "--yes", image];
    stage.step("sign v1", signed, &sign(&v1)).await?;

    stage.say("Somebody takes over the pipeline: v2 is built with a back door, and signed by the pipeline.")?;
    push(stage, world, "v2", "import backdoor\nprint('v2')\n").await?;
    stage.step("sign v2", signed, &sign(&v2)).await?;

    stage.say("The intruder is thrown out, and v3 is built and signed by the pipeline, the same identity.")?;
    push(stage, world, "v3", "print('v3')\n").await?;
    stage.step("sign v3", signed, &sign(&v3)).await?;

    stage.say("The signature of v2 is as genuine as the others. It is revoked, and it alone.")?;
    let revoke = [
        "revoke",
        "--yes",
        "--reason",
        "build-compromise",
        "--text",
        "the pipeline was taken over",
        &v2,
    ];
    stage.step("revoke v2", Must::say("falls"), &revoke).await?;
    stage.unset(TOKEN);
    let verify = |image| by(PIPELINE, &issuer, image);
    for (step, must, image) in [
        ("verify v1", Must::say("verified"), &v1),
        ("verify v2", Must::refuse(12, "revoked"), &v2),
        ("verify v3", Must::say("verified"), &v3),
    ] {
        stage.step(step, must, &verify(image)).await?;
    }
    let struck = Must::say("REVOKED");
    stage.step("show v2", struck, &["tree", &v2]).await
}

/// Builds an image and pushes it, off the stage.
pub(super) async fn push(
    stage: &Stage<'_>,
    world: &World,
    tag: &str,
    program: &str,
) -> Result<(), Error> {
    let folder = stage.directory.join(format!("oss-flasksample-{tag}"));
    images::build(&folder, tag, program)?;
    images::push(&folder, &world.client, &world.release(tag)).await
}

/// Verifies that an identity has signed.
pub(super) fn by<'a>(identity: &'a str, issuer: &'a str, image: &'a str) -> [&'a str; 6] {
    [
        "verify",
        "--certificate-identity",
        identity,
        "--certificate-oidc-issuer",
        issuer,
        image,
    ]
}
