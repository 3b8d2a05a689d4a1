//! The first story: an image is signed with a key that is in a KMS, with an SBOM and provenance.

use super::stage::{Must, Stage};
use super::{World, images, services};
use crate::error::Error;

/// The key as it is named where its name is not the point.
pub(super) const KEY: &str = "awskms:///alias/release";
/// Who verifies has this of it.
const PUBLIC_KEY: &str = "release.pub";
/// What was built, and what is said of that.
const SOURCE: &str = "https://github.com/example/flasksample";
const PROVENANCE: &str = "flasksample-v1.slsa.json";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(super) async fn play(stage: &mut Stage<'_>, world: &World) -> Result<(), Error> {
    let image = format!("{}/flasksample:v1", world.public.address);
    stage.title("1. Sign an image with a key in a KMS")?;
    stage.say(&format!(
        "The key is in AWS KMS, which {} stands in for (AWS_ENDPOINT_URL_KMS is set to it).\n\
         The build has left flasksample:v1 in flasksample-v1/.",
        world.kms.url
    ))?;
    stage.set("AWS_ENDPOINT_URL_KMS", &world.kms.url);
    stage.set("AWS_REGION", services::REGION);
    stage.set("AWS_ACCESS_KEY_ID", services::ACCESS_KEY);
    stage.set("AWS_SECRET_ACCESS_KEY", "demo");
    images::build(
        &stage.directory.join("flasksample-v1"),
        "v1",
        "print('v1')\n",
    )?;
    let step = "push v1";
    stage
        .step(
            step,
            Must::say("Loaded"),
            &["load", "--dir", "flasksample-v1", &image],
        )
        .await?;

    stage.say("The key is named as the console shows it, by its id, its ARN or an alias, with any number of slashes.")?;
    let (id, arn) = (services::KEY_ID, &world.kms.arn);
    let (id, arn) = (format!("awskms://{id}"), format!("awskms://{arn}"));
    let signs = |key| ["sign", "--key", key, image.as_str()];
    stage
        .step("sign v1 by the key's id", Must::say("signed"), &signs(&id))
        .await?;
    let already = Must::say("this key has signed this already");
    stage
        .step("sign v1 by the key's ARN", already, &signs(&arn))
        .await?;
    let slip = Must::refuse(1, "did you mean awskms:///alias/release?");
    let step = "name the key wrongly";
    stage.step(step, slip, &signs("awskms:///release")).await?;

    stage.say("An SBOM: what is in the image, and the same as SPDX, signed and attached.")?;
    stage
        .step("list the packages", Must::say("Flask"), &["sbom", &image])
        .await?;
    let spdx = Must::say("attested https://spdx.dev/Document");
    let attest = ["attest", "--key", KEY, "--sbom", "spdx-json", &image];
    stage.step("attest the SBOM", spdx, &attest).await?;

    stage.say("SLSA provenance: who built it from what. In CI `attest --provenance` reads that from the environment.")?;
    let provenance = [
        "provenance",
        "--builder-id",
        "https://ci.example.com/builder",
        "--build-type",
        "https://ci.example.com/image/v1",
        "--source",
        SOURCE,
        "--ref",
        "refs/tags/v1",
        "--commit",
        COMMIT,
        "--out",
        PROVENANCE,
    ];
    let written = Must::write(PROVENANCE, "ci.example.com/builder");
    stage.step("write provenance", written, &provenance).await?;
    let attest = ["attest", "--key", KEY, "--predicate", PROVENANCE, &image];
    let slsa = Must::say("attested https://slsa.dev/provenance/v1");
    stage.step("attest the provenance", slsa, &attest).await?;
    let all = Must::say("attestation https://slsa.dev/provenance/v1");
    let step = "show what is attached";
    stage.step(step, all, &["tree", &image]).await?;

    stage.say("Who verifies needs the public key and the registry, and no access to the KMS.")?;
    let public = ["public-key", "--key", KEY, "--outfile", PUBLIC_KEY];
    let written = Must::write(PUBLIC_KEY, "PUBLIC KEY");
    stage.step("fetch the public key", written, &public).await?;
    stage.unset("AWS_ACCESS_KEY_ID");
    let key = ["--key", PUBLIC_KEY];
    let verify = [&["verify"], &key[..], &[&image]].concat();
    stage
        .step("verify the signature", Must::say("verified"), &verify)
        .await?;
    let attested = |flags: &[&'static str]| {
        [&["verify-attestation"], &key[..], flags, &[&image]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (step, must, flags) in [
        (
            "verify the SBOM",
            Must::say("verified"),
            &["--type", "spdxjson"][..],
        ),
        (
            "pull the SBOM",
            Must::write("flasksample-v1.spdx.json", "SPDX-2.3"),
            &[
                "--type",
                "spdxjson",
                "--output",
                "predicate",
                "--output-file",
                "flasksample-v1.spdx.json",
            ],
        ),
        (
            "verify the provenance",
            Must::say("verified"),
            &[
                "--slsa-source",
                "github.com/example/flasksample",
                "--slsa-tag",
                "v1",
            ],
        ),
        (
            "ask for another source",
            Must::refuse(12, "expected source"),
            &["--slsa-source", "github.com/stranger/flasksample"],
        ),
    ] {
        let arguments = attested(flags);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        stage.step(step, must, &arguments).await?;
    }
    stage.set("AWS_ACCESS_KEY_ID", services::ACCESS_KEY);
    Ok(())
}
