//! The third story: an image is taken from a public registry into our own, verified, and signed with our key.

use super::World;
use super::keyless::PIPELINE;
use super::kms_key::KEY;
use super::stage::{Must, Stage};
use crate::error::Error;

pub(super) async fn play(stage: &mut Stage<'_>, world: &World) -> Result<(), Error> {
    let Some(sigstore) = &world.sigstore else {
        return Ok(());
    };
    stage.title("3. Take an image into our own registry, under our own key")?;
    stage.say(
        "What the pipeline has signed is verified, copied with all that is attached to it, and signed with our key in the\n\
         KMS; a signed statement says where it comes from. The tag moves last.",
    )?;
    let own = |tag| format!("{}/flasksample:{tag}", world.internal.address);
    let promote = |from, to| {
        [
            "promote",
            "--key",
            KEY,
            "--certificate-identity",
            PIPELINE,
            "--certificate-oidc-issuer",
            sigstore.issuer(),
            from,
            to,
        ]
    };
    let (v2, v3) = (world.release("v2"), world.release("v3"));
    let (own_v2, own_v3) = (own("v2"), own("v3"));
    let revoked = Must::refuse(12, "revoked");
    stage
        .step("promote v2", revoked, &promote(&v2, &own_v2))
        .await?;
    let verified = Must::say("verified at the destination, with the own key alone");
    stage
        .step("promote v3", verified, &promote(&v3, &own_v3))
        .await?;
    let source = v3.strip_suffix(":v3").unwrap_or(&v3);
    let verify = ["verify", "--key", KEY, "--promoted-from", source, &own_v3];
    let step = "verify it by the key in KMS";
    stage.step(step, Must::say("verified"), &verify).await
}
