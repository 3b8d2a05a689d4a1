//! The ground that integration tests stand on: real programs, isolated from the user's own settings, on loopback.
//!
//! A dependency of tests only. Its functions panic where a test can do nothing but fail.
//!
//! ```
//! use sealmark_testkit::{Sandbox, require_or_skip};
//!
//! fn a_story() {
//!     let openssl = require_or_skip!("openssl");
//!     let sandbox = Sandbox::new();
//!     let version = sandbox.command(openssl).arg("version").run().success();
//!     assert!(version.stdout().contains("SSL"));
//! }
//! # a_story();
//! ```

mod faulty;
pub mod hosts;
mod http;
mod images;
mod key_places;
pub mod key_vault;
pub mod kubernetes;
mod peer;
mod program;
mod registry;
mod sandbox;
mod server;
mod tls;

pub use faulty::{FaultyServer, Reply, Request};
pub use http::{Response, get, post};
pub use images::{Images, images};
pub use key_places::{OpenBao, SoftHsm};
pub use peer::{Peer, skip};
pub use program::{Finished, Program};
pub use registry::{DockerRegistry, Login, SealmarkRegistry};
pub use sandbox::Sandbox;
pub use server::Server;
pub use tls::Tls;
