//! The sandbox's own git host as a place where commits come from.

use super::FetchFailure;
use super::FetchedCommit;
use super::Reference;
use super::SignedText;
use super::SourceFetcher;
use crate::git::FetchError;
use crate::git::GitHost;
use crate::git::GitRef;

impl SourceFetcher for GitHost {
    fn fetch(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &Reference,
    ) -> Result<FetchedCommit, FetchFailure> {
        let reference = match reference.clone() {
            Reference::Branch(name) => GitRef::Branch(name),
            Reference::Tag(name) => GitRef::Tag(name),
            Reference::Name(name) => GitRef::Name(name),
            Reference::Commit(id) => GitRef::Commit(id),
        };
        match GitHost::fetch(self, url, credentials, &reference) {
            Ok(fetched) => Ok(FetchedCommit {
                commit: fetched.commit,
                signed: fetched.signed.map(|(signature, text)| SignedText { signature, text }),
                files: fetched.files,
                subject: fetched.subject,
            }),
            Err(FetchError::Down) => Err(FetchFailure::Down),
            Err(FetchError::NotFound(_)) => Err(FetchFailure::NotFound),
            Err(FetchError::Unauthorized) => Err(FetchFailure::Unauthorized),
            Err(FetchError::MissingRef(_)) => Err(FetchFailure::MissingRef),
        }
    }
}
