//! One request: logged, spoiled if a fault says so, let in or not, and served by git.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::access::Rights;
use super::fault::{Fault, RequestKind, RequestRecord};
use super::history::UpdatedBy;
use super::refusal::RefusedBy;
use super::{Repository, Shared, access, backend, fault, pkt, webhook};
use crate::loopback::{Answer, Cut, Service};

impl Service for Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Cut> {
        answer(self, request).await
    }
}

/// Answers one request.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Answer, Cut> {
    let (parts, body) = request.into_parts();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let kind = RequestKind::of(path, query);
    let fault = log(&shared, &parts, kind);
    match &fault {
        Some(Fault::Cut) => return Err(Cut),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Slow(by)) => tokio::time::sleep(*by).await,
        Some(Fault::Status(status, retry_after)) => return Ok(status_only(*status, *retry_after)),
        Some(Fault::Redirect(to)) => {
            let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
            let location = format!("{}{target}", to.trim_end_matches('/'));
            let answer = Response::builder().status(302).header(header::LOCATION, location);
            return Ok(finish(answer, Bytes::new()));
        }
        _ => {}
    }
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let Some((name, rest)) = split(path) else { return Ok(status_only(404, None)) };
    let repository = shared.lock().repositories.get(name).cloned();
    let Some(repository) = repository else { return Ok(status_only(404, None)) };
    let proof = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match access::rights_by_header(&repository.accounts, proof) {
        None => return Ok(unauthorized()),
        Some(Rights::None) => return Ok(status_only(403, None)),
        Some(Rights::Read) if kind.is_push() => return Ok(status_only(403, None)),
        Some(_) => {}
    }
    // A push that arrived is carried out even when the client hangs up meanwhile.
    let (name, inside) = (name.to_owned(), format!("/{name}.git{rest}"));
    let served = tokio::spawn({
        let (shared, headers, method) = (shared.clone(), parts.headers.clone(), parts.method);
        let query = query.to_owned();
        async move {
            let push = (kind == RequestKind::Push).then(|| pkt::read_push(&body));
            if let Some(answer) = push.as_ref().and_then(|push| protected(&repository, push)) {
                return Ok(answer);
            }
            let (backend, root) = (&shared.backend, shared.root.path());
            let request = backend::Request {
                method: &method,
                path: inside,
                query: &query,
                headers: &headers,
                body,
            };
            let served = backend::run(backend, root, request).await?;
            if let Some(push) = push {
                after_push(&shared, &name, &push, &served).await;
            }
            Ok::<_, std::io::Error>(relay(served))
        }
    });
    let answer = served.await.map_err(|_| Cut)?;
    match fault {
        Some(Fault::CutAfter) => return Err(Cut),
        Some(Fault::AnswerLate(by)) => tokio::time::sleep(by).await,
        _ => {}
    }
    Ok(answer.unwrap_or_else(|_| status_only(500, None)))
}

/// Writes the request down and takes the fault that it meets.
fn log(shared: &Shared, parts: &http::request::Parts, kind: RequestKind) -> Option<Fault> {
    let user_agent = parts.headers.get(header::USER_AGENT);
    let record = RequestRecord {
        kind,
        target: parts.uri.to_string(),
        authorized: parts.headers.contains_key(header::AUTHORIZATION),
        user_agent: user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned(),
        at: Instant::now(),
    };
    let mut state = shared.lock();
    state.requests.push(record);
    fault::take(&mut state.faults, kind)
}

/// Stamps what a push moved and sends its webhooks, at the moment each asks for.
async fn after_push(shared: &Arc<Shared>, name: &str, push: &pkt::Push, served: &backend::Answer) {
    let at = served.reported.unwrap_or_else(Instant::now);
    for command in &push.commands {
        if pkt::reports_ok(&served.body, &command.reference) {
            let update = shared.stamp(name, command, at, UpdatedBy::Push, &push.options);
            webhook::send(shared, &update).await;
        }
    }
}

/// The host's own refusal, if the push touches a protected ref.
fn protected(repository: &Repository, push: &pkt::Push) -> Option<Answer> {
    let refusal = repository.refusal.as_ref()?;
    let touched = |command: &pkt::Command| command.reference == refusal.reference;
    if refusal.by != RefusedBy::ProtectedBranch || !push.commands.iter().any(touched) {
        return None;
    }
    let body = pkt::refuse(push, &refusal.message, "protected branch hook declined");
    let kind = "application/x-git-receive-pack-result";
    Some(finish(Response::builder().header(header::CONTENT_TYPE, kind), body.into()))
}

/// Parts `/group/name.git/info/refs` into the repository's name and what is asked of it.
fn split(path: &str) -> Option<(&str, &str)> {
    let asked = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
    let rest = asked.into_iter().find(|asked| path.ends_with(asked))?;
    let name = path.strip_suffix(rest)?.trim_start_matches('/');
    Some((name.strip_suffix(".git").unwrap_or(name), rest))
}

fn relay(served: backend::Answer) -> Answer {
    let mut answer = Response::builder().status(served.status);
    for (name, value) in served.headers {
        answer = answer.header(name, value);
    }
    finish(answer, served.body)
}

fn unauthorized() -> Answer {
    let answer = Response::builder().status(401);
    finish(answer.header(header::WWW_AUTHENTICATE, "Basic realm=\"sandbox\""), Bytes::new())
}

fn status_only(status: u16, retry_after: Option<u32>) -> Answer {
    if status == 401 {
        return unauthorized();
    }
    let mut answer = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    finish(answer, Bytes::new())
}

fn finish(answer: http::response::Builder, body: Bytes) -> Answer {
    let fallback = || {
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        answer
    };
    answer.body(Full::new(body)).unwrap_or_else(|_| fallback())
}
