//! What hopclock answers over HTTP.

mod accept;
mod private;

use std::net::SocketAddr;

pub use accept::{Limits, listen, serve};
pub use private::{private_pages, serve_metrics};

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
