//! The images that tests sign: built by `cargo xtask image` with umoci from real packages.

use std::path::PathBuf;

use crate::peer::{Peer, skip};
use crate::sandbox::Sandbox;

/// An OCI layout and the tags in it.
#[derive(Clone, Debug)]
pub struct Images {
    /// The folder with `oci-layout` and `index.json`. Shared by all tests: copy it before you change it.
    pub layout: PathBuf,
    /// An image for linux/amd64 with three layers and dpkg's database.
    pub single: &'static str,
    /// An index of linux/amd64 and linux/arm64, each with an attestation manifest as BuildKit attaches it.
    pub index: &'static str,
    /// Like `index`, but both attestation entries are the same manifest, as BuildKit writes them without a tag.
    pub shared: &'static str,
}

/// The images, or `None` if they have not been built: then the test is skipped, aloud.
///
/// # Panics
///
/// Where `SEALMARK_REQUIRE_PEERS=1` says that nothing may be skipped.
pub fn images() -> Option<Images> {
    let layout = Peer::folder().join("../images/oci");
    if !layout.join("index.json").is_file() {
        skip("images/oci (the test images)");
        return None;
    }
    Some(Images {
        layout,
        single: "v1",
        index: "multi",
        shared: "multi-shared",
    })
}

impl Images {
    /// The digest (`sha256:…`) that `tag` has in the layout, and keeps in a registry.
    ///
    /// # Panics
    ///
    /// If there is no such tag.
    pub fn digest(&self, tag: &str) -> String {
        let path = self.layout.join("../digests");
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, digest) = lines
            .find(|(name, _)| *name == tag)
            .unwrap_or_else(|| panic!("no image {tag}"));
        digest.to_owned()
    }

    /// Copies `tag` with skopeo to `reference` (`127.0.0.1:5000/team/app:v1`), over plain HTTP and byte for byte; an
    /// index with all that it lists. Without skopeo, says so and returns `false`.
    ///
    /// # Panics
    ///
    /// If skopeo fails, or is missing where peers are required.
    #[must_use = "without skopeo nothing is pushed"]
    pub fn push(&self, sandbox: &Sandbox, tag: &str, reference: &str) -> bool {
        let Some(skopeo) = Peer::find("skopeo") else {
            skip("skopeo");
            return false;
        };
        let source = format!("oci:{}:{tag}", self.layout.display());
        let copy = sandbox
            .command(skopeo)
            .args(["copy", "--quiet", "--all", "--preserve-digests"]);
        let copy = copy.args([
            "--dest-tls-verify=false",
            &source,
            &format!("docker://{reference}"),
        ]);
        copy.run().success();
        true
    }
}
