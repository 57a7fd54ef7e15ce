//! Registries as controllers see them: names of images, the Secrets that open them, the requests.
//!
//! image-reflector-controller asks for tags and digests, source-controller for artifacts too; both
//! prove themselves in the same way and report trouble in the same words.

mod access;
mod client;
mod reference;

pub(crate) use access::access;
pub(crate) use client::Access;
pub(crate) use client::on_a_thread;
pub(crate) use reference::ImageName;
