//! Entry point: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two crates would each choose a TLS provider; the first word counts. It fails only if one is
    // chosen already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    hopclock::cli::main()
}
