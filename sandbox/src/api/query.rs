//! The parameters of a request, as far as the sandbox understands them.

use std::{collections::HashMap, time::Duration};

use axum::extract::Query as Decoder;
use http::Uri;

use super::{refusal::Refusal, selector::Selector};

/// The parameters after the question mark.
#[derive(Debug, Default)]
pub(super) struct Query(HashMap<String, String>);

/// From which version a list or a watch may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Unset or `0`: what is there now.
    Now,
    /// Exactly after this version, for a watch; at least this one, for a list.
    Version(u64),
}

impl Query {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Refusal> {
        let Decoder(pairs) = Decoder::<HashMap<String, String>>::try_from_uri(uri)
            .map_err(|error| Refusal::bad_request(error.to_string()))?;
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn from(&self) -> Result<From, Refusal> {
        match self.get("resourceVersion") {
            None | Some("0") => Ok(From::Now),
            Some(text) => text.parse().map(From::Version).map_err(|_| {
                Refusal::bad_request(format!("Invalid value: \"{text}\": strconv.ParseUint"))
            }),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            Refusal::bad_request(format!("{name}: Invalid value: \"{text}\": must be a number"))
        })?;
        Ok(Some(number))
    }

    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        Ok(self.number(name)?.filter(|&seconds| seconds > 0).map(Duration::from_secs))
    }

    pub(super) fn selector(&self, kind: &str) -> Result<Selector, Refusal> {
        Selector::parse(kind, self.get("labelSelector"), self.get("fieldSelector"))
            .map_err(Refusal::bad_request)
    }
}
