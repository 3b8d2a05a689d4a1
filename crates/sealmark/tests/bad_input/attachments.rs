//! What is attached to an image, and is not what it should be.

use sealmark_formats::Digest;
use sealmark_testkit::{FaultyServer, Reply, SealmarkRegistry, images};
use serde_json::json;

use crate::content::{BUNDLE, Content, SIMPLE_SIGNING, bundle, payload, sign};
use crate::{Ground, SEALMARK, Table};

fn verify(server: &FaultyServer) -> String {
    format!("verify --key cosign.pub {}/team/app:v1", server.address())
}

#[test]
fn an_attachment_that_is_not_what_it_should_be() {
    let ground = Ground::new();
    let mut table = Table::default();
    // What is attached is at `at`, and not good for this reason.
    let mut expect = |what: &str, content: Content, at: &Digest, reason: &str| {
        let server = content.serve();
        let image = format!("{}/team/app", server.address());
        let reason = reason.replace("HOST", server.address());
        let message =
            format!("{image}:v1: its one signature is not good\n  {image}@{at}: {reason}");
        table.expect(what, ground.sealmark(&verify(&server)), 12, &message);
    };
    const FORMAT: &str = "format: expected a well-formed signature or attestation, found";
    let (empty, image) = Content::with_image();
    let other = Digest::sha256(b"another image");
    let for_other = payload(&other, &json!(null));
    let over_other = sign(&ground, &for_other);
    let for_image = payload(&image, &json!(null));

    let mut content = empty.clone();
    let layer = content.signed_layer(&for_other, &over_other);
    let at = content.legacy(&image, vec![layer]);
    let reason = format!(
        "digest: expected a signature of {image}, found a signature of another image, {other}"
    );
    expect("legacy, of another image", content, &at, &reason);

    let mut content = empty.clone();
    let layer = content.signed_layer(&for_image, &over_other);
    let at = content.legacy(&image, vec![layer]);
    let reason = format!(
        "signature: expected a signature by key {} (ecdsa-p256), found the signature does not match: it was made \
         with another key, or over other data (tried ECDSA P-256 with SHA-256)",
        ground.key_id()
    );
    expect("legacy, the payload exchanged", content, &at, &reason);

    let mut content = empty.clone();
    let layer = content.signed_layer(&for_image, "%%%");
    let at = content.legacy(&image, vec![layer]);
    let reason =
        format!("{FORMAT} the signature annotation is not base64: Invalid symbol 37, offset 0.");
    expect("legacy, not base64", content, &at, &reason);

    let mut content = empty.clone();
    let layer = content.layer(SIMPLE_SIGNING, for_image.as_bytes(), json!({}));
    let at = content.legacy(&image, vec![layer]);
    let reason = format!(
        "{FORMAT} a payload without a signature: the layer has no annotation dev.cosignproject.cosign/signature"
    );
    expect("legacy, no signature", content, &at, &reason);

    let mut content = empty.clone();
    let layer = content.signed_layer("not json", &sign(&ground, "not json"));
    let at = content.legacy(&image, vec![layer]);
    let reason =
        format!("{FORMAT} not a valid simple signing payload: expected ident at line 1 column 2");
    expect("legacy, signed nonsense", content, &at, &reason);

    let mut content = empty.clone();
    let hostile = "text/\u{1b}[2J\nverified";
    let layer = content.layer(hostile, b"{}", json!({}));
    let at = content.legacy(&image, vec![layer]);
    let reason = format!(r#"{FORMAT} layer of unknown media type "text/\u{{1b}}[2J\nverified""#);
    expect(
        "legacy, a media type with control characters",
        content,
        &at,
        &reason,
    );

    let mut elsewhere = Content::default();
    let another = elsewhere.image("v1", r#"{"other":true}"#, Vec::new());
    let of_other = bundle(&ground, &elsewhere);
    let mut content = empty.clone();
    let layer = content.layer(BUNDLE, of_other.as_bytes(), json!({}));
    let at = content.referrer(&image, layer);
    let reason = format!(
        "digest: expected a signature of {image}, found a signature of another artifact, {another}"
    );
    expect("bundle, of another image", content, &at, &reason);

    let mut content = empty.clone();
    let layer = content.layer(BUNDLE, b"<html>", json!({}));
    let at = content.referrer(&image, layer);
    let reason = format!("{FORMAT} not a valid Sigstore bundle: it is not a JSON object");
    expect("bundle, not JSON", content, &at, &reason);

    let mut content = empty.clone();
    let mut layer = content.layer(BUNDLE, b"{}", json!({}));
    layer["digest"] = json!(other);
    let at = content.referrer(&image, layer);
    let reason = format!("{FORMAT} nothing at HOST/team/app@{other}");
    expect("bundle, its blob is missing", content, &at, &reason);

    let mut content = empty.clone();
    content.list(&other, 300);
    let reason = format!("{FORMAT} nothing at HOST/team/app@{other}");
    expect("bundle, its manifest is missing", content, &other, &reason);

    let mut content = empty;
    let packed = bomb();
    let kind = format!("{BUNDLE}+gzip");
    let layer = content.layer(&kind, &packed, json!({}));
    let at = content.referrer(&image, layer);
    let reason = format!(
        "{FORMAT} attachment {}, unpacked, is larger than 201326592 bytes; it is not read further",
        Digest::sha256(&packed)
    );
    expect("bundle, a gzip bomb", content, &at, &reason);
}

#[test]
fn an_image_without_signature() {
    let ground = Ground::new();
    let (content, image) = Content::with_image();
    let server = content.serve();
    let name = format!("{}/team/app:v1", server.address());
    let message = format!(
        "{name} has no signature: no bundle refers to {image}, and there is no tag sha256-{}.sig. Signatures in \
         another repository are found with COSIGN_REPOSITORY",
        image.hex()
    );
    let mut table = Table::default();
    table.expect("none", ground.sealmark(&verify(&server)), 10, &message);
}

/// 256 MiB of zeros, packed.
fn bomb() -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn more_attachments_than_are_looked_at_are_not_called_none() {
    let ground = Ground::new();
    let mut table = Table::default();
    let (empty, image) = Content::with_image();
    let message = |server: &FaultyServer| {
        format!(
            "attachments of {}/team/app@{image}: more than 1000; it is not read further",
            server.address()
        )
    };

    let mut content = empty.clone();
    for n in 0..1001 {
        content.list(&Digest::sha256(format!("{n}").as_bytes()), 300);
    }
    let server = content.serve();
    table.expect(
        "bundles",
        ground.sealmark(&verify(&server)),
        1,
        &message(&server),
    );

    let mut content = empty;
    let layers = (0..1001)
        .map(|n| content.signed_layer(&format!("{n}"), "AAAA"))
        .collect();
    content.legacy(&image, layers);
    let server = content.serve();
    table.expect(
        "legacy",
        ground.sealmark(&verify(&server)),
        1,
        &message(&server),
    );
}

#[test]
fn a_blob_without_an_end_is_not_read_to_it() {
    let ground = Ground::new();
    let (mut content, image) = Content::with_image();
    let layer = content.layer(BUNDLE, b"{}", json!({}));
    let at = content.referrer(&image, layer);
    let server = FaultyServer::start(move |request| match request.path.contains("/blobs/") {
        true => Reply::Endless(Vec::new()),
        false => content.answer(request),
    });
    let mut table = Table::default();
    let name = format!("{}/team/app", server.address());
    let message = format!(
        "{name}:v1: its one signature is not good\n  {name}@{at}: format: expected a well-formed signature or \
         attestation, found blob {name}@{} is larger than 2 bytes; it is not read further",
        Digest::sha256(b"{}")
    );
    table.expect("endless", ground.sealmark(&verify(&server)), 12, &message);
}

#[test]
fn a_fault_while_looking_for_attachments_is_not_their_absence() {
    let ground = Ground::new();
    let mut table = Table::default();
    let (content, image) = Content::with_image();
    for (what, path, attempt) in [
        (
            "referrers",
            "/referrers/",
            "listing the referrers of HOST/team/app@IMAGE",
        ),
        (
            "legacy",
            ".sig",
            "reading the manifest HOST/team/app:sha256-HEX.sig",
        ),
    ] {
        let content = content.clone();
        let server = FaultyServer::start(move |request| match request.path.contains(path) {
            true => Reply::error(403, "DENIED", "no"),
            false => content.answer(request),
        });
        let message = format!(
            "{attempt}: HOST denies access (DENIED: no); used: nothing. Ask for the permission, or use another account"
        );
        let message = message
            .replace("HOST", server.address())
            .replace("IMAGE", &image.to_string())
            .replace("HEX", image.hex().as_ref());
        table.expect(what, ground.sealmark(&verify(&server)), 1, &message);
    }
}

#[test]
fn copies_of_a_signature_count_once_and_are_called_copies() {
    let ground = Ground::new();
    let (mut content, image) = Content::with_image();
    let text = payload(&image, &json!(null));
    let signature = sign(&ground, &text);
    let layer = content.signed_layer(&text, &signature);
    content.legacy(&image, vec![layer.clone(), layer]);
    let server = content.serve();
    let verified = ground.run(&verify(&server)).success();
    let copies = verified.stdout().matches("a copy of").count();
    assert_eq!(copies, 1, "{verified}");
}

#[test]
fn exit_codes_are_the_same_in_every_layout() {
    let Some(images) = images() else { return };
    let ground = Ground::new();
    ground
        .run("generate-key-pair --output-key-prefix other")
        .success();
    let registry = SealmarkRegistry::start(SEALMARK);
    for layout in ["bundle", "legacy"] {
        let image = format!("{}/team/{layout}:v1", registry.address());
        let exit = |key: &str, image: &str| {
            ground
                .run(&format!("verify --key {key} {image}"))
                .exit_code()
        };
        assert_eq!(exit("cosign.pub", &image), Some(11), "{layout}: no image");
        if !images.push(&ground.sandbox, images.single, &image) {
            return;
        }
        assert_eq!(exit("cosign.pub", &image), Some(10), "{layout}: none");
        let line = format!("sign --key cosign.key --format {layout} {image}");
        ground.run(&line).success();
        assert_eq!(exit("cosign.pub", &image), Some(0), "{layout}: good");
        assert_eq!(exit("other.pub", &image), Some(12), "{layout}: no match");
        let absent = image.replace(":v1", ":v2");
        assert_eq!(exit("cosign.pub", &absent), Some(11), "{layout}: no tag");
    }
}
