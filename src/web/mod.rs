//! What hopclock answers over HTTP.
//!
//! What it says comes through ports, so that a page can be tested without a cluster, and so that
//! nothing here decides when something runs.

mod accept;
mod body;
mod crowd;
mod front;
mod notices;
mod pages;
mod patient;
mod ports;
mod reply;
mod run;
mod token_file;
mod unheard;

use std::net::SocketAddr;

pub use accept::{Limits, listen, serve};
pub use front::{Front, Turned};
pub use notices::{
    Delivered, NoKey, NoticeKey, NoticeKeys, NoticePages, Noticeboard, notice_pages,
};
pub use pages::{Pages, private_pages};
pub use ports::{
    Check, CheckState, Denied, Gate, Readiness, Ready, Refused, Requested, Runs, Wait,
};
pub use token_file::TokenFile;

/// A page could not be offered at all. Bad usage: the address is the user's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error(
        "cannot listen on `{address}`: the port is in use by another program; \
         stop that one or choose another port"
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The port is reserved for root.
    #[error("cannot listen on `{address}`: not permitted; choose a port above 1023")]
    NotPermitted {
        /// The address.
        address: SocketAddr,
    },
    /// The address is not this machine's, or something rarer.
    #[error("cannot listen on `{address}`: choose an address of this machine, such as `0.0.0.0`")]
    Unavailable {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
