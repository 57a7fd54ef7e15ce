//! A gate whose one token lies in a file, such as a mounted Secret.
//!
//! The file is read anew for every request, so that a token that was exchanged holds at once and
//! the old one no longer does. Requests for runs are rare.

use crate::web::ports::{Denied, Gate};
use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// Longest token that is read; a service account's has about a thousand bytes.
const LONGEST: u64 = 16 << 10;

/// Admits whoever knows the token in a file, for every scenario.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    /// What was last said of the file, so that it is said once.
    said: Mutex<Option<String>>,
}

// === impl TokenFile ===

impl TokenFile {
    /// A gate with the token in this file; white space around it does not count. As long as the
    /// file is missing or empty, nobody is admitted.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, said: Mutex::new(None) }
    }

    /// The token, or why there is none.
    async fn token(&self) -> Result<SecretSlice<u8>, String> {
        let read = async {
            let mut bytes = Vec::new();
            File::open(&self.path).await?.take(LONGEST).read_to_end(&mut bytes).await?;
            io::Result::Ok(SecretSlice::from(bytes))
        };
        match read.await {
            Ok(bytes) if bytes.expose_secret().trim_ascii().is_empty() => {
                Err("it is empty".to_owned())
            }
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Tells the log why nobody is admitted, unless that was the last thing it was told.
    fn tell(&self, why: Option<String>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said == why {
            return;
        }
        let path = self.path.display();
        if let Some(why) = &why {
            tracing::warn!("nobody may ask for runs: there is no token in `{path}`: {why}");
        } else {
            tracing::info!("there is a token in `{path}` again");
        }
        *said = why;
    }
}

#[async_trait]
impl Gate for TokenFile {
    async fn admit(&self, bearer: Option<&SecretString>, _: &str) -> Result<(), Denied> {
        let token = match self.token().await {
            Ok(token) => {
                self.tell(None);
                token
            }
            Err(why) => {
                self.tell(Some(why));
                let sentence = "nobody may ask for runs at the moment, because the service has no \
                                token to compare with: its log says why";
                return Err(Denied::Unavailable(sentence.to_owned()));
            }
        };
        let bearer = bearer.ok_or(Denied::Missing)?.expose_secret().as_bytes();
        let token = token.expose_secret().trim_ascii();
        verify_slices_are_equal(bearer, token).map_err(|_| Denied::Wrong)
    }
}
