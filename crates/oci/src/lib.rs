//! Images, and what is attached to them, in registries and in layouts on disk.
//!
//! The only crate that talks to a registry. It decides nothing about trust: what it finds becomes
//! [`Evidence`](sealmark_verify::Evidence), and what it cannot reach becomes an [`Error`], never an empty answer.

pub mod attachments;
pub mod client;
pub mod copy;
pub mod credentials;
pub mod error;
pub mod layout;
pub mod manifest;
pub mod options;
pub mod reference;
pub mod tree;

pub use attachments::{Source, Want, gather};
pub use client::{
    Attached, BundleAttachment, Client, Manifest, Pushed, Referrers, ReferrersSource, Replace,
};
pub use copy::{Copied, Destination, Progress, copy};
pub use error::Error;
pub use layout::Layout;
pub use manifest::{Descriptor, ImageManifest, Index};
pub use options::{Options, RequestLog, Secret};
pub use reference::{Reference, Repository, attachment_tag};
