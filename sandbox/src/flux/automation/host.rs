//! The sandbox's own git host as a place to commit to: over the wire, with the `git` program.

use super::PushOrder;
use super::SourcePusher;
use super::Workspace;
use crate::flux::artifacts::Files;
use crate::flux::source::FetchFailure;
use crate::flux::source::Reference;
use crate::git::CloneError;
use crate::git::GitHost;
use crate::git::WorkingClone;

impl SourcePusher for GitHost {
    fn clone_at(
        &self,
        url: &str,
        credentials: Option<(&str, &str)>,
        reference: &Reference,
    ) -> Result<Box<dyn Workspace>, FetchFailure> {
        let name = match reference {
            Reference::Branch(name) => format!("refs/heads/{name}"),
            Reference::Tag(name) => format!("refs/tags/{name}"),
            Reference::Name(name) | Reference::Commit(name) => name.clone(),
        };
        match WorkingClone::new(url, credentials, &name, self.authority()) {
            Ok(clone) => Ok(Box::new(clone)),
            Err(CloneError::MissingRef) => Err(FetchFailure::MissingRef),
            Err(CloneError::Unauthorized) => Err(FetchFailure::Unauthorized),
            Err(CloneError::NotFound) => Err(FetchFailure::NotFound),
            Err(CloneError::Other(_)) => Err(FetchFailure::Down),
        }
    }
}

impl Workspace for WorkingClone {
    fn commit(&self) -> &str {
        self.id()
    }

    fn files(&self) -> &Files {
        self.content()
    }

    fn push(&mut self, order: &PushOrder) -> Result<String, String> {
        let (name, email) = &order.author;
        let id = self.commit_files(&order.files, &order.message, (name, email));
        let id = id.map_err(|error| error.to_string())?;
        for (reference, force) in &order.to {
            let pushed = self.push_commit(&id, reference, *force, &order.options);
            pushed.map_err(|error| error.to_string())?;
        }
        Ok(id)
    }
}
