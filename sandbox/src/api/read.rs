//! Single objects and lists, in pages where a limit asks for them.
//!
//! A continue token stands for the rest of the list as it was at the first page, so that pages
//! are consistent; only the newest tokens are kept, older ones have expired.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::store::Key;

use super::{
    address::Place,
    query::{From, Query},
    refusal::{Refusal, bytes_response, json_response},
    route::Context,
};

/// How many continue tokens are remembered.
const PAGES: usize = 256;

/// The rests of lists that somebody may still ask for.
#[derive(Default)]
pub(super) struct Pages(Mutex<VecDeque<(String, Rest)>>);

#[derive(Clone)]
struct Rest {
    objects: Vec<Arc<Value>>,
    version: u64,
}

/// Answers one object.
pub(super) fn get(context: &Context, place: &Place) -> Result<Response, Refusal> {
    let key = Key::new(&place.resource.kind, &place.namespace, &place.name);
    let object =
        context.store.get(&key).ok_or_else(|| Refusal::not_found(&place.resource, &place.name))?;
    Ok(json_response(StatusCode::OK, &object))
}

/// Answers a collection or a page of it.
pub(super) fn list(context: &Context, place: &Place, query: &Query) -> Result<Response, Refusal> {
    let limit = query.number("limit")?.unwrap_or(0);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let rest = match query.get("continue") {
        Some(token) => context.pages.take(token).ok_or_else(|| {
            Refusal::expired(
                "The provided continue parameter is too old to display a consistent list result. \
                 You must start a new list without the continue parameter.",
            )
        })?,
        None => first(context, place, query)?,
    };
    let count = if limit == 0 { rest.objects.len() } else { limit.min(rest.objects.len()) };
    let (page, remaining) = rest.objects.split_at(count);
    let mut metadata = json!({ "resourceVersion": rest.version.to_string() });
    if !remaining.is_empty() {
        metadata["remainingItemCount"] = remaining.len().into();
        let rest = Rest { objects: remaining.to_vec(), version: rest.version };
        metadata["continue"] = context.pages.keep(rest).into();
    }
    let head = json!({
        "kind": format!("{}List", place.resource.kind),
        "apiVersion": place.resource.api_version(),
        "metadata": metadata,
    });
    Ok(bytes_response(StatusCode::OK, encode(&head, page)))
}

/// The objects of a place that a request's selectors choose.
pub(super) fn chosen(
    context: &Context,
    place: &Place,
    query: &Query,
) -> Result<(Vec<Arc<Value>>, u64), Refusal> {
    let selector = query.selector(&place.resource.kind)?;
    let (mut objects, version) = context.store.list(&place.resource.kind, place.namespace_filter());
    if !selector.is_empty() {
        objects.retain(|object| selector.matches(object));
    }
    Ok((objects, version))
}

impl Pages {
    fn keep(&self, rest: Rest) -> String {
        let token = format!("{:032x}", fastrand::u128(..));
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() == PAGES {
            pages.pop_front();
        }
        pages.push_back((token.clone(), rest));
        token
    }

    fn take(&self, token: &str) -> Option<Rest> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.iter().find(|(known, _)| known == token).map(|(_, rest)| rest.clone())
    }
}

fn first(context: &Context, place: &Place, query: &Query) -> Result<Rest, Refusal> {
    let (objects, version) = chosen(context, place, query)?;
    if let From::Version(wanted) = query.from()? {
        if wanted > version {
            return Err(Refusal::too_large_version(wanted, version));
        }
        if wanted < version && query.get("resourceVersionMatch") == Some("Exact") {
            return Err(Refusal::expired("The resourceVersion for the provided list is too old."));
        }
    }
    Ok(Rest { objects, version })
}

fn encode(head: &Value, items: &[Arc<Value>]) -> Vec<u8> {
    let mut body = head.to_string().into_bytes();
    body.pop();
    body.extend_from_slice(b",\"items\":[");
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, &**item).expect("a JSON value always encodes into memory");
    }
    body.extend_from_slice(b"]}");
    body
}
