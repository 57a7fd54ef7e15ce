//! The Kubernetes API over loopback HTTP, on top of the store.
//!
//! It is the part of an API server that a client can tell apart: addresses and verbs, lists and
//! watches with their versions, answers in Kubernetes' words, tokens and RBAC. What it adds are
//! faults on demand and a log of all requests. A request takes this way: `server` accepts it,
//! `route` finds user, address and verb and asks `auth` and `rbac`, then `read`, `feed`, `write`,
//! `review` or `discovery` answer.

mod address;
mod auth;
mod discovery;
mod faults;
mod feed;
mod kubeconfig;
mod query;
mod rbac;
mod read;
mod refusal;
mod requests;
mod review;
mod route;
mod selector;
mod server;
mod tls;
mod write;

pub use auth::User;
pub use faults::{Answer, FaultId, Faults, Scope, Silence, Silenced};
pub use requests::Request;
pub use server::{Anonymous, ApiServer, Namespaces, Options, ServeError, serve};
pub use tls::{Tls, TlsError};
