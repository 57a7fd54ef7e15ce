//! From a request to its answer: who asks, for what, may they, and who answers.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use tokio::{sync::mpsc, time::Instant};

use crate::store::Store;

use super::{
    Anonymous, Answer, Faults, Namespaces, Request, Silence, User,
    address::{self, Address, Place},
    auth::{self, Tokens},
    discovery,
    faults::About,
    feed,
    query::Query,
    rbac::{self, Question},
    read::{self, Pages},
    refusal::{Refusal, page_not_found},
    requests::RequestLog,
    review,
    write::Writing,
};

/// The largest body that is read, as real servers have it.
const BODY_LIMIT: usize = 3 * 1024 * 1024;

/// What all requests share.
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) tokens: Tokens,
    pub(super) faults: Faults,
    pub(super) log: RequestLog,
    pub(super) pages: Pages,
    pub(super) anonymous: Anonymous,
    pub(super) namespaces: Namespaces,
}

/// What is noted of a request while it is answered.
#[derive(Default)]
struct Noted {
    verb: &'static str,
    /// Whom to tell that it was done and gets no answer.
    silenced: Option<mpsc::UnboundedSender<()>>,
}

/// Answers a request and notes it.
pub(super) async fn handle<B>(context: Arc<Context>, request: http::Request<B>) -> Response
where
    B: http_body_util::BodyExt<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let (parts, body) = request.into_parts();
    let mut noted = Noted::default();
    let user = user(&context, &parts.headers);
    let response = match &user {
        Ok(user) => answer(&context, user, &parts, Body::new(body), &mut noted).await,
        Err(refusal) => Err(refusal.clone()),
    };
    if let Some(say) = noted.silenced {
        fall_silent(&say).await;
    }
    let response = response.unwrap_or_else(|refusal| refusal.response());
    context.log.note(Request {
        at: Instant::now(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        user: user.map(|user| user.name).unwrap_or_default(),
        verb: noted.verb,
        status: response.status().as_u16(),
    });
    response
}

/// Says so, and ends only with the connection.
async fn fall_silent(say: &mpsc::UnboundedSender<()>) {
    // Nobody has to listen.
    let _ = say.send(());
    std::future::pending::<()>().await;
}

fn user(context: &Context, headers: &HeaderMap) -> Result<User, Refusal> {
    match auth::bearer(headers) {
        Some(token) => {
            context.tokens.user(token, auth::API_SERVER).ok_or_else(Refusal::unauthorized)
        }
        None if headers.contains_key(header::AUTHORIZATION) => Err(Refusal::unauthorized()),
        None => Ok(match context.anonymous {
            Anonymous::Nobody => User::anonymous(),
            Anonymous::Admin => User::new("system:admin", &["system:masters"]),
        }),
    }
}

async fn answer(
    context: &Context,
    user: &User,
    parts: &Parts,
    body: Body,
    noted: &mut Noted,
) -> Result<Response, Refusal> {
    let path = parts.uri.path();
    let query = Query::parse(&parts.uri)?;
    let found = address::find(&context.store, path);
    let verb = verb_of(&parts.method, found.as_ref(), &query)?;
    noted.verb = verb;
    let kind = match &found {
        Some(Address::Resource(place)) => place.resource.kind.as_str(),
        _ => "",
    };
    let about = About { kind, verb, user: &user.name };
    if let Some(answer) = context.faults.strike(&about) {
        return Err(injected(answer, user, &question(verb, path, found.as_ref(), "")));
    }
    match context.faults.silenced(&about) {
        Some((Silence::Before, say)) => fall_silent(&say).await,
        Some((Silence::After, say)) => noted.silenced = Some(say),
        None => (),
    }
    let named = named(found.as_ref(), &query)?;
    let rbac_name = match &found {
        Some(Address::Resource(place)) => place.rbac_name(),
        _ => String::new(),
    };
    let mut question = question(verb, path, found.as_ref(), &rbac_name);
    if let Question::Resource { name, .. } = &mut question
        && name.is_empty()
    {
        *name = &named;
    }
    if !rbac::allows(&context.store, user, &question) {
        return Err(Refusal::forbidden(&user.name, &question));
    }
    let place = match found {
        None => return Ok(page_not_found()),
        Some(Address::Page) => {
            return Ok(discovery::page(
                &context.store,
                path,
                text(&parts.headers, &header::ACCEPT),
            ));
        }
        Some(Address::Resource(place)) => place,
    };
    match verb {
        "watch" => return Ok(feed::open(context, &place, &user.name, &query)),
        "list" => {
            let about = About { kind: &place.resource.kind, verb, user: &user.name };
            if let Some(delay) = context.faults.list_delay(&about) {
                tokio::time::sleep(delay).await;
            }
            return read::list(context, &place, &query);
        }
        _ => {}
    }
    if query.get("dryRun").is_some() {
        return Err(Refusal::bad_request("dryRun is not served by the sandbox"));
    }
    let body = axum::body::to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        let message = format!("Request entity too large: {error}");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    })?;
    let content_type = text(&parts.headers, &header::CONTENT_TYPE);
    let writing = Writing {
        context,
        place: &place,
        query: &query,
        manager: &manager(&query, &parts.headers),
        content_type: content_type.split(';').next().unwrap_or_default().trim(),
        body,
    };
    object(user, verb, &writing)
}

/// Answers what is neither a list nor a watch.
fn object(user: &User, verb: &str, writing: &Writing<'_>) -> Result<Response, Refusal> {
    let (context, place) = (writing.context, writing.place);
    if review::is_review(&place.resource) {
        return if verb == "create" && place.name.is_empty() {
            Ok(review::answer(context, user, place, writing.object()?))
        } else {
            Err(Refusal::method_not_allowed())
        };
    }
    match (place.subresource.as_str(), verb) {
        ("token", "create") if place.resource.kind == "ServiceAccount" => {
            return review::token_request(context, place);
        }
        ("", _) => {}
        ("status", "get" | "update" | "patch") if place.resource.status => {}
        ("status", _) if place.resource.status => return Err(Refusal::method_not_allowed()),
        _ => return Ok(page_not_found()),
    }
    match verb {
        "get" => read::get(context, place),
        "create" if place.name.is_empty() => writing.create(),
        "update" => writing.replace(),
        "patch" => writing.patch(),
        "delete" => writing.delete(),
        "deletecollection" => writing.delete_collection(),
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// Kubernetes' verb for a request.
fn verb_of(
    method: &Method,
    address: Option<&Address>,
    query: &Query,
) -> Result<&'static str, Refusal> {
    let place = match address {
        Some(Address::Resource(place)) => place,
        _ if method == Method::GET || method == Method::HEAD => return Ok("get"),
        _ if method == Method::POST => return Ok("post"),
        _ => return Err(Refusal::method_not_allowed()),
    };
    let collection = place.name.is_empty();
    match *method {
        Method::GET if !collection => Ok("get"),
        Method::GET if query.is_on("watch") => Ok("watch"),
        Method::GET => Ok("list"),
        Method::POST => Ok("create"),
        Method::PUT if !collection => Ok("update"),
        Method::PATCH if !collection => Ok("patch"),
        Method::DELETE if collection => Ok("deletecollection"),
        Method::DELETE => Ok("delete"),
        _ => Err(Refusal::method_not_allowed()),
    }
}

/// What the authoriser is asked.
fn question<'a>(
    verb: &'a str,
    path: &'a str,
    address: Option<&'a Address>,
    rbac_name: &'a str,
) -> Question<'a> {
    match address {
        Some(Address::Resource(Place { resource, namespace, name, .. })) => {
            let resource_name = if rbac_name.is_empty() { &resource.plural } else { rbac_name };
            // A namespace is an object of itself, as far as permissions go.
            let namespace = if resource.kind == "Namespace" { name } else { namespace };
            Question::Resource {
                verb,
                group: &resource.group,
                resource: resource_name,
                namespace,
                name,
            }
        }
        _ => Question::Page { verb, path },
    }
}

/// The one object that a list or watch of a single name is about.
fn named(address: Option<&Address>, query: &Query) -> Result<String, Refusal> {
    let Some(Address::Resource(place)) = address else { return Ok(String::new()) };
    let selector = query.selector(&place.resource.kind)?;
    Ok(selector.name().unwrap_or_default().to_owned())
}

fn injected(answer: Answer, user: &User, question: &Question<'_>) -> Refusal {
    match answer {
        Answer::Unauthorized => Refusal::unauthorized(),
        Answer::Forbidden => Refusal::forbidden(&user.name, question),
        Answer::Expired => {
            Refusal::expired("The resourceVersion for the provided watch is too old.")
        }
        Answer::TooManyRequests(seconds) => Refusal::too_many_requests(seconds),
        Answer::InternalError => Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "Internal error occurred: a fault was asked for",
        ),
        Answer::Unavailable => Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        ),
    }
}

/// The field manager: as said, else the first word of the user agent.
fn manager(query: &Query, headers: &HeaderMap) -> String {
    let agent = || text(headers, &header::USER_AGENT).split('/').next().unwrap_or_default();
    let manager = query.get("fieldManager").unwrap_or_else(agent);
    if manager.is_empty() { "unknown".to_owned() } else { manager.to_owned() }
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{BodyExt, Empty};
    use serde_json::{Value, json};

    use crate::{
        api::Scope,
        store::{Key, Part},
    };

    use super::*;

    const WATCH: &str = "/apis/lab.hopclock.dev/v1/widgets?watch=true&resourceVersion=1";

    fn context() -> Arc<Context> {
        let store = Store::new();
        Arc::new(Context {
            faults: Faults::new(store.clone()),
            store,
            tokens: Tokens::default(),
            log: RequestLog::new(10),
            pages: Pages::default(),
            anonymous: Anonymous::Admin,
            namespaces: Namespaces::Any,
        })
    }

    fn write(context: &Context, size: u64) {
        let key = Key::new("Widget", "lab", "a");
        let spec = json!({ "spec": { "size": size } });
        if context.store.merge(&key, &spec, Part::Whole, "test").is_err() {
            let metadata = json!({ "name": "a", "namespace": "lab" });
            let object = json!({ "kind": "Widget", "metadata": metadata });
            context.store.create(object, "test").unwrap();
        }
    }

    async fn watch(context: &Arc<Context>, more: &str) -> Body {
        let request = http::Request::get(format!("{WATCH}{more}")).body(Empty::<Bytes>::new());
        handle(context.clone(), request.unwrap()).await.into_body()
    }

    /// The type of the next event and how long it took to come; nothing at the end.
    async fn next(body: &mut Body) -> Option<(String, Duration)> {
        let asked = Instant::now();
        let line = body.frame().await?.unwrap().into_data().unwrap();
        let event: Value = serde_json::from_slice(&line).unwrap();
        Some((event["type"].as_str().unwrap().to_owned(), asked.elapsed()))
    }

    fn after(seconds: u64, kind: &str) -> (String, Duration) {
        (kind.to_owned(), Duration::from_secs(seconds))
    }

    async fn patch(context: &Arc<Context>, size: u64) -> StatusCode {
        let body = json!({ "spec": { "size": size } }).to_string();
        let request = http::Request::patch("/apis/lab.hopclock.dev/v1/namespaces/lab/widgets/a")
            .header(header::CONTENT_TYPE, "application/merge-patch+json")
            .body(http_body_util::Full::new(Bytes::from(body)));
        handle(context.clone(), request.unwrap()).await.status()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_falls_into_silence_is_done_or_not_and_never_answered() {
        let context = context();
        write(&context, 0);
        let size = || context.store.get(&Key::new("Widget", "lab", "a")).unwrap()["spec"].clone();
        for (silence, last) in [(Silence::Before, 1), (Silence::After, 2)] {
            let scope = Scope::all().kind("Widget").verb("patch").behind(1);
            let mut silenced = context.faults.silence(silence, scope);
            assert_eq!(patch(&context, 1).await, StatusCode::OK);
            let hour = Duration::from_secs(3600);
            tokio::time::timeout(hour, patch(&context, 2)).await.unwrap_err();
            tokio::time::timeout(hour, silenced.struck()).await.unwrap();
            assert_eq!(size(), json!({ "size": last }), "{silence:?}");
            context.faults.lift(silenced.id);
            assert_eq!(patch(&context, 3).await, StatusCode::OK);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bookmarks_come_every_minute_and_two_seconds_before_the_end() {
        let context = context();
        let mut body = watch(&context, "&allowWatchBookmarks=true&timeoutSeconds=150").await;
        assert_eq!(next(&mut body).await, Some(after(60, "BOOKMARK")));
        assert_eq!(next(&mut body).await, Some(after(60, "BOOKMARK")));
        assert_eq!(next(&mut body).await, Some(after(28, "BOOKMARK")));
        let last = Instant::now();
        assert_eq!(next(&mut body).await, None);
        assert_eq!(last.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_did_not_ask_gets_no_bookmarks() {
        let mut body = watch(&context(), "&timeoutSeconds=150").await;
        let opened = Instant::now();
        assert_eq!(next(&mut body).await, None);
        assert_eq!(opened.elapsed(), Duration::from_secs(150));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_names_no_timeout_lives_half_an_hour_to_an_hour() {
        let mut body = watch(&context(), "").await;
        let opened = Instant::now();
        assert_eq!(next(&mut body).await, None);
        let lived = opened.elapsed().as_secs();
        assert!((1800..=3600).contains(&lived), "{lived}");
    }

    #[tokio::test(start_paused = true)]
    async fn delayed_events_come_that_much_later_and_in_order() {
        let context = context();
        let mut body = watch(&context, "").await;
        let delay = Duration::from_secs(5);
        let fault = context.faults.delay_events(delay, Scope::all().kind("Widget"));
        write(&context, 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        write(&context, 2);
        assert_eq!(next(&mut body).await, Some(after(3, "ADDED")));
        assert_eq!(next(&mut body).await, Some(after(2, "MODIFIED")));
        context.faults.lift(fault);
        write(&context, 3);
        assert_eq!(next(&mut body).await, Some(after(0, "MODIFIED")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_black_hole_gives_neither_event_nor_bookmark_nor_end() {
        let context = context();
        let mut body = watch(&context, "&allowWatchBookmarks=true&timeoutSeconds=100").await;
        let hole = context.faults.black_hole_watches(Scope::all());
        write(&context, 1);
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, next(&mut body)).await.is_err());
        context.faults.lift(hole);
        assert_eq!(next(&mut body).await, Some(after(0, "ADDED")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_list_takes_its_time() {
        let context = context();
        let delay = Duration::from_secs(40);
        context.faults.slow_lists(delay, Scope::all());
        let asked = Instant::now();
        let request = http::Request::get("/api/v1/secrets").body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(handle(context, request).await.status(), 200);
        assert_eq!(asked.elapsed(), delay);
    }
}
