//! What else somebody could try, and a file. The private Sigstore is stopped before anything is verified.

use sealmark_oci::Reference;

use super::keyless::{PIPELINE, TOKEN, by, push};
use super::stage::{Must, Stage};
use super::{World, images};
use crate::error::Error;

/// A file, and the bundle with its signature.
const FILE: &str = "release.txt";
const BUNDLE: &str = "release.sigstore.json";

pub(super) async fn play(stage: &mut Stage<'_>, world: &mut World) -> Result<(), Error> {
    stage.title("4. What else somebody could try")?;
    let Some(sigstore) = world.sigstore.take() else {
        return Ok(());
    };
    let issuer = sigstore.issuer().to_owned();
    images::write(&stage.directory.join(FILE), b"a release\n")?;
    stage.set(TOKEN, sigstore.token(PIPELINE)?);
    let sign = ["sign-blob", "--yes", "--bundle", BUNDLE, FILE];
    stage
        .step("sign a file", Must::say("signed"), &sign)
        .await?;
    stage.unset(TOKEN);
    sigstore.stop().await;

    stage.say("The private Sigstore is stopped: from here on nobody is asked but the registry.")?;
    let verify_blob = [
        "verify-blob",
        "--offline",
        "--bundle",
        BUNDLE,
        "--certificate-identity",
        PIPELINE,
        "--certificate-oidc-issuer",
        &issuer,
        FILE,
    ];
    let verified = Must::say("verified");
    stage
        .step("verify the file", verified, &verify_blob)
        .await?;
    stage.say("Someone changes the file.")?;
    images::write(&stage.directory.join(FILE), b"another release\n")?;
    let changed = Must::refuse(12, "a signature over another file");
    stage
        .step("refuse a changed file", changed, &verify_blob)
        .await?;

    let (v3, v4) = (world.release("v3"), world.release("v4"));
    let offline = |who, image| {
        let [verify, rest @ ..] = by(who, &issuer, image);
        [&[verify, "--offline"], &rest[..]].concat()
    };
    let stranger = Must::refuse(12, "found identity");
    let by_other = offline("stranger@example.org", &v3);
    stage
        .step("demand another signer", stranger, &by_other)
        .await?;
    stage.say("Someone pushes an image that nobody has signed.")?;
    push(stage, world, "v4", "import backdoor\nprint('v4')\n").await?;
    let unsigned = Must::refuse(10, "has no signature");
    stage
        .step(
            "refuse an unsigned image",
            unsigned,
            &offline(PIPELINE, &v4),
        )
        .await?;
    stage.say("Someone attaches the signature of v3 to it.")?;
    attach_signatures_of(world, &v3, &v4).await?;
    let borrowed = Must::refuse(12, "digest");
    stage
        .step(
            "refuse a borrowed signature",
            borrowed,
            &offline(PIPELINE, &v4),
        )
        .await?;
    stage.say("Someone moves the tag v3 to something else.")?;
    push(stage, world, "v3", "import backdoor\nprint('v3')\n").await?;
    stage
        .step("refuse a moved tag", unsigned, &offline(PIPELINE, &v3))
        .await
}

/// What anyone with the right to push can do: attach signatures to an image they were not made for.
async fn attach_signatures_of(world: &World, from: &str, to: &str) -> Result<(), Error> {
    let parse = |text: &str| text.parse::<Reference>().map_err(sealmark_oci::Error::from);
    let (from, to) = (parse(from)?, parse(to)?);
    let (client, repository) = (&world.client, from.in_repository());
    let signed = client.resolve(&from).await?;
    let victim = client.resolve(&to).await?;
    let referrers = client.referrers(&repository, &signed.digest, None).await?;
    for referrer in referrers.descriptors {
        let digest = referrer.digest.to_string();
        let manifest = client.manifest(&repository, &digest).await?;
        let mut image = manifest.image()?;
        image.subject = Some(victim.clone());
        let json = image.to_json().into();
        client
            .attach(&repository, &victim, &manifest.media_type, json)
            .await?;
    }
    Ok(())
}
