//! A registry on a port of its own, and a client for it.

use std::net::SocketAddr;
use std::path::PathBuf;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use sealmark_formats::Digest;
use sealmark_server::registry::{Options, Registry};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(crate) struct Service {
    pub(crate) directory: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        Self::start_in(TempDir::new().unwrap(), options).await
    }

    pub(crate) async fn start_in(directory: TempDir, options: Options) -> Self {
        let registry = Registry::open_with(directory.path(), options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(registry.serve(listener, async {
            let _ = stopped.await;
        }));
        let client = Client::new(address);
        Self {
            directory,
            address,
            client,
            stop,
            serving,
        }
    }

    /// Ends the registry in good order and returns its directory.
    pub(crate) async fn stop(self) -> TempDir {
        let _ = self.stop.send(());
        self.serving.await.unwrap();
        self.directory
    }

    /// Where the registry keeps this content.
    pub(crate) fn content_file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.directory
            .path()
            .join("blobs")
            .join(digest.algorithm().name())
            .join(&hex[..2])
            .join(&hex)
    }
}

#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    pub(crate) base: String,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            http,
            base: format!("http://{address}"),
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, method: &str, path: &str) -> Answer {
        Answer::of(self.request(method, path)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path).await
    }

    /// Pushes a blob with POST and PUT.
    pub(crate) async fn push_blob(&self, name: &str, data: &[u8]) -> Digest {
        let digest = Digest::sha256(data);
        let begun = self
            .send("POST", &format!("/v2/{name}/blobs/uploads/"))
            .await;
        assert_eq!(begun.status, 202, "{begun:?}");
        let path = format!("{}?digest={digest}", begun.header("location"));
        let done = Answer::of(self.request("PUT", &path).body(data.to_vec())).await;
        assert_eq!(done.status, 201, "{done:?}");
        digest
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        manifest: &Value,
    ) -> Answer {
        let media_type = manifest["mediaType"]
            .as_str()
            .unwrap_or(MANIFEST)
            .to_owned();
        let path = format!("/v2/{name}/manifests/{reference}");
        let request = self
            .request("PUT", &path)
            .header("content-type", media_type);
        Answer::of(request.body(manifest.to_string())).await
    }

    /// Pushes an image of one layer and returns its manifest and digest.
    pub(crate) async fn push_image(&self, name: &str, tag: &str, layer: &[u8]) -> (Value, Digest) {
        let config = self.push_blob(name, b"{}").await;
        let layer_digest = self.push_blob(name, layer).await;
        let manifest = image(&config, 2, &[(&layer_digest, layer.len())]);
        let put = self.put_manifest(name, tag, &manifest).await;
        assert_eq!(put.status, 201, "{put:?}");
        let digest = Digest::sha256(manifest.to_string().as_bytes());
        assert_eq!(put.header("docker-content-digest"), digest.to_string());
        (manifest, digest)
    }

    /// Pushes an artifact of this type that refers to `subject`, and returns its digest.
    pub(crate) async fn attach(
        &self,
        name: &str,
        subject: &Digest,
        artifact_type: &str,
        note: &str,
    ) -> (Answer, Digest) {
        let config = self.push_blob(name, b"{}").await;
        let mut manifest = image(&config, 2, &[]);
        manifest["artifactType"] = json!(artifact_type);
        manifest["annotations"] = json!({ "note": note });
        manifest["subject"] = json!({"mediaType": MANIFEST, "digest": subject, "size": 7});
        let digest = Digest::sha256(manifest.to_string().as_bytes());
        (
            self.put_manifest(name, &digest.to_string(), &manifest)
                .await,
            digest,
        )
    }
}

pub(crate) fn image(config: &Digest, config_size: usize, layers: &[(&Digest, usize)]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|(digest, size)| {
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": size})
        })
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": config_size
        },
        "layers": layers,
    })
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        if status != StatusCode::NO_CONTENT {
            assert_eq!(
                headers.get("docker-distribution-api-version").unwrap(),
                "registry/2.0"
            );
        }
        Self {
            status: status.as_u16(),
            headers,
            body: response.bytes().await.unwrap().to_vec(),
        }
    }

    /// The value of a header, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The path in `Link: <…>; rel="next"`.
    pub(crate) fn next(&self) -> Option<String> {
        let link = self.headers.get("link")?.to_str().unwrap();
        Some(
            link.strip_prefix('<')
                .unwrap()
                .strip_suffix(">; rel=\"next\"")
                .unwrap()
                .to_owned(),
        )
    }

    /// Checks that this is a refusal with this status and code in its first error.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/json");
        let errors = self.json()["errors"].clone();
        assert_eq!(errors[0]["code"], code, "{errors}");
        assert!(!errors[0]["message"].as_str().unwrap().is_empty());
        errors
    }
}
