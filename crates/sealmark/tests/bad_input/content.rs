//! What a scripted registry has: an image, and whatever a test attaches to it, well formed or not.

use std::collections::HashMap;

use sealmark_formats::Digest;
use sealmark_testkit::{FaultyServer, Reply, Request};
use serde_json::{Value, json};

use crate::Ground;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";

/// The repository `team/app` of a registry, read only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// By path.
    files: HashMap<String, (String, Vec<u8>)>,
    referrers: Vec<Value>,
}

impl Content {
    /// An image at the tag `v1`, with nothing attached.
    pub(crate) fn with_image() -> (Self, Digest) {
        let mut content = Self::default();
        let image = content.image("v1", "{}", Vec::new());
        (content, image)
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let kind = "application/octet-stream".to_owned();
        let path = format!("/v2/team/app/blobs/{digest}");
        self.files.insert(path, (kind, bytes.to_vec()));
        digest
    }

    /// A manifest of these layers at a tag.
    pub(crate) fn image(&mut self, tag: &str, config: &str, layers: Vec<Value>) -> Digest {
        let kind = "application/vnd.oci.image.config.v1+json";
        let config = self.layer(kind, config.as_bytes(), json!({}));
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
        });
        let bytes = manifest.to_string().into_bytes();
        let path = format!("/v2/team/app/manifests/{tag}");
        self.files
            .insert(path, (MANIFEST.to_owned(), bytes.clone()));
        self.manifest(&bytes)
    }

    /// Stores a blob and describes it as a layer.
    pub(crate) fn layer(&mut self, kind: &str, bytes: &[u8], annotations: Value) -> Value {
        let digest = self.blob(bytes);
        json!({
            "mediaType": kind, "digest": digest, "size": bytes.len(), "annotations": annotations,
        })
    }

    /// A layer of a legacy signature.
    pub(crate) fn signed_layer(&mut self, payload: &str, signature: &str) -> Value {
        let annotations = json!({ SIGNATURE_ANNOTATION: signature });
        self.layer(SIMPLE_SIGNING, payload.as_bytes(), annotations)
    }

    /// The image at `sha256-….sig`.
    pub(crate) fn legacy(&mut self, subject: &Digest, layers: Vec<Value>) -> Digest {
        self.image(&format!("sha256-{}.sig", subject.hex()), "{}", layers)
    }

    /// A manifest with this layer that refers to `subject`.
    pub(crate) fn referrer(&mut self, subject: &Digest, layer: Value) -> Digest {
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::sha256(b"{}"), "size": 2 },
            "layers": [layer],
            "subject": { "mediaType": MANIFEST, "digest": subject, "size": 2 },
        });
        let bytes = manifest.to_string().into_bytes();
        let digest = self.manifest(&bytes);
        self.list(&digest, bytes.len());
        digest
    }

    /// Lists a referrer; it need not be there.
    pub(crate) fn list(&mut self, digest: &Digest, size: usize) {
        self.referrers.push(json!({
            "mediaType": MANIFEST, "digest": digest, "size": size, "artifactType": BUNDLE,
        }));
    }

    fn manifest(&mut self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let path = format!("/v2/team/app/manifests/{digest}");
        self.files
            .insert(path, (MANIFEST.to_owned(), bytes.to_vec()));
        digest
    }

    pub(crate) fn answer(&self, request: &Request) -> Reply {
        if request.path.starts_with("/v2/team/app/referrers/") {
            let index = json!({
                "schemaVersion": 2, "mediaType": INDEX, "manifests": self.referrers,
            });
            return Reply::status(200)
                .with("content-type", INDEX)
                .body(index.to_string());
        }
        match self.files.get(&request.path) {
            Some((kind, bytes)) => {
                let reply = Reply::status(200)
                    .with("content-type", kind)
                    .body(bytes.clone());
                match request.path.contains("/manifests/") {
                    true => reply.with("docker-content-digest", Digest::sha256(bytes)),
                    false => reply,
                }
            }
            None => Reply::error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }

    pub(crate) fn serve(self) -> FaultyServer {
        FaultyServer::start(move |request| self.answer(request))
    }
}

/// The payload of a legacy signature over `image`.
pub(crate) fn payload(image: &Digest, annotations: &Value) -> String {
    json!({
        "critical": {
            "identity": { "docker-reference": "example.com/team/app" },
            "image": { "docker-manifest-digest": image },
            "type": "cosign container image signature",
        },
        "optional": annotations,
    })
    .to_string()
}

/// The signature of `cosign.key` over a text, in base64.
pub(crate) fn sign(ground: &Ground, text: &str) -> String {
    ground.write("payload", text);
    let signed = ground.run("sign-blob --key cosign.key payload").success();
    signed.stdout().trim().to_owned()
}

/// The bundle that `cosign.key` makes for the image `v1` of `content`.
pub(crate) fn bundle(ground: &Ground, content: &Content) -> String {
    let server = content.clone().serve();
    let image = format!("{}/team/app:v1", server.address());
    let line = format!("sign --key cosign.key --upload=false --bundle image.json {image}");
    ground.run(&line).success();
    ground.read("image.json")
}
