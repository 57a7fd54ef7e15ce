//! One request: logged, spoiled if a fault says so, let in or not, and served.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jiff::fmt::rfc2822;
use tokio::time::Instant;

use super::fault::{self, Fault, RequestRecord, Route};
use super::signature::{self, Claim, Refusal, decode, pairs};
use super::xml::{Page, finish, location, refuse, refuse_with, status, xml};
use super::{Object, Shared, State};
use crate::loopback::{Answer, Cut, Service};

/// What a request speaks of.
struct Place {
    bucket: String,
    key: String,
    query: Vec<(String, String)>,
}

/// A written object that the world has to hear of: bucket, key and tag.
type Written = Option<(String, String, String)>;

impl Place {
    fn of(path: &str, query: &str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self { bucket: decode(bucket), key: decode(key), query: pairs(query).collect() }
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    fn route(&self, method: &Method) -> Route {
        match () {
            () if self.bucket.is_empty() => Route::Other,
            () if !self.key.is_empty() => Route::Object,
            () if self.value("location").is_some() || method == Method::HEAD => Route::Bucket,
            () if method == Method::GET => Route::List,
            () => Route::Other,
        }
    }
}

impl Service for Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Cut> {
        let (parts, body) = request.into_parts();
        let place = Place::of(parts.uri.path(), parts.uri.query().unwrap_or_default());
        let (number, fault) = self.log(&parts, &place);
        match &fault {
            Some(Fault::Cut) => return Err(Cut),
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::Slow(by)) => tokio::time::sleep(*by).await,
            _ => {}
        }
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let (mut answer, written) = {
            let mut state = self.lock();
            let mut answer = match &fault {
                Some(Fault::Refuse(status, code, after)) => (spoiled(*status, code, *after), None),
                _ => self.serve(&mut state, &parts, &place, body),
            };
            if let Some(Fault::RefuseAfter(status, code, after)) = &fault {
                answer.0 = spoiled(*status, code, *after);
            }
            state.requests[number].status = Some(answer.0.status().as_u16());
            let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&state.now());
            let date = date.ok().and_then(|it| it.parse().ok());
            answer.0.headers_mut().extend(date.map(|it| (header::DATE, it)));
            answer
        };
        if let Some((bucket, key, etag)) = written {
            self.tell(&bucket, &key, &etag);
        }
        if fault == Some(Fault::CutAfter) {
            return Err(Cut);
        }
        if parts.method == Method::HEAD {
            *answer.body_mut() = http_body_util::Full::new(Bytes::new());
        }
        Ok(answer)
    }
}

impl Shared {
    /// Writes the request down and takes the fault that it meets.
    fn log(&self, parts: &Parts, place: &Place) -> (usize, Option<Fault>) {
        let route = place.route(&parts.method);
        let record = RequestRecord {
            method: parts.method.clone(),
            route,
            target: parts.uri.to_string(),
            signed: parts.headers.contains_key(header::AUTHORIZATION),
            user_agent: signature::header(&parts.headers, "user-agent").to_owned(),
            at: Instant::now(),
            status: None,
        };
        let mut state = self.lock();
        state.requests.push(record);
        let fault = fault::take(&mut state.faults, &parts.method, route);
        (state.requests.len() - 1, fault)
    }

    fn serve(
        &self,
        state: &mut State,
        parts: &Parts,
        place: &Place,
        body: Bytes,
    ) -> (Answer, Written) {
        if let Err(refused) = self.admit(state, parts, &body) {
            return (*refused, None);
        }
        let Place { bucket, key, .. } = place;
        if !state.buckets.contains_key(bucket) {
            let more = format!("<BucketName>{bucket}</BucketName>");
            return (
                refuse(404, "NoSuchBucket", "The specified bucket does not exist", &more),
                None,
            );
        }
        let region = ("x-amz-bucket-region", self.region.as_str());
        let answer = match (&parts.method, place.route(&parts.method)) {
            (&Method::HEAD, Route::Bucket) => finish(status(200).header(region.0, region.1), ""),
            (&Method::GET, Route::Bucket) => xml(status(200), &location(&self.region)),
            (&Method::GET, Route::List) => xml(status(200), &state.page(place, self.page).to_xml()),
            (&Method::GET | &Method::HEAD, Route::Object) => state.read(place),
            (&Method::PUT, Route::Object) => {
                if let Some(refused) = state.condition(place, &parts.headers) {
                    return (refused, None);
                }
                let etag = state.write(bucket, key, body);
                let answer = finish(status(200).header(header::ETAG, format!("\"{etag}\"")), "");
                return (answer, Some((bucket.clone(), key.clone(), etag)));
            }
            (&Method::DELETE, Route::Object) => {
                state.remove(bucket, key);
                finish(status(204), "")
            }
            _ => refuse(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented.",
                "",
            ),
        };
        (answer, None)
    }

    /// Whether a request may be carried out.
    fn admit(&self, state: &State, parts: &Parts, body: &[u8]) -> Result<(), Box<Answer>> {
        if state.accounts.is_empty() {
            return Ok(());
        }
        let refused = |refusal| Box::new(self.refusal(refusal));
        let claim = Claim::of(&parts.headers).map_err(refused)?;
        let account = state.accounts.iter().find(|it| it.access_key == claim.access_key);
        let account = account.ok_or_else(|| refused(Refusal::UnknownKey))?;
        let request = signature::Request {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
        };
        let checked = claim.check(&request, body, &account.secret_key, &self.region, state.now());
        checked.map_err(refused)?;
        let writes = !matches!(parts.method, Method::GET | Method::HEAD);
        if writes && !account.may_write {
            return Err(Box::new(refuse(403, "AccessDenied", "Access Denied", "")));
        }
        Ok(())
    }

    fn refusal(&self, refusal: Refusal) -> Answer {
        let region = format!("<Region>{}</Region>", self.region);
        let (status, code, message, more) = match refusal {
            Refusal::Anonymous => (403, "AccessDenied", "Access Denied", ""),
            Refusal::Malformed => {
                (400, "AuthorizationHeaderMalformed", "The authorization header is malformed.", "")
            }
            Refusal::WrongRegion => (
                400,
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed; the region is wrong.",
                region.as_str(),
            ),
            Refusal::UnknownKey => (
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
                "",
            ),
            Refusal::Skewed => (
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                "",
            ),
            Refusal::Mismatch => (
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
                "",
            ),
            Refusal::OtherBody => (
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
                "",
            ),
        };
        refuse(status, code, message, more)
    }
}

impl State {
    fn page(&self, place: &Place, most: usize) -> Page {
        let prefix = place.value("prefix").unwrap_or_default();
        let after = place.value("continuation-token").or(place.value("start-after"));
        let most = place.value("max-keys").and_then(|it| it.parse().ok()).unwrap_or(most).min(most);
        let all = self.buckets.get(&place.bucket).into_iter().flatten();
        let all = all.filter(|it| it.0.starts_with(prefix));
        let mut rest = all.filter(|it| after.is_none_or(|after| it.0.as_str() > after)).peekable();
        let mut objects = Vec::new();
        while objects.len() < most
            && let Some((key, Object { body, etag, modified })) = rest.next()
        {
            objects.push((key.clone(), etag.clone(), body.len(), modified.to_string()));
        }
        let next = rest.peek().and_then(|_| objects.last()).map(|it| it.0.clone());
        Page { bucket: place.bucket.clone(), prefix: prefix.to_owned(), objects, next }
    }

    fn read(&self, place: &Place) -> Answer {
        let object = self.buckets.get(&place.bucket).and_then(|it| it.get(&place.key));
        let Some(object) = object else {
            return refuse(404, "NoSuchKey", "The specified key does not exist.", "");
        };
        let modified = rfc2822::DateTimePrinter::new();
        let modified = modified.timestamp_to_rfc9110_string(&object.modified).unwrap_or_default();
        let answer = status(200)
            .header(header::ETAG, format!("\"{}\"", object.etag))
            .header(header::LAST_MODIFIED, modified)
            .header(header::CONTENT_LENGTH, object.body.len());
        finish(answer, object.body.clone())
    }

    /// The refusal of a write whose condition does not hold.
    fn condition(&self, place: &Place, headers: &HeaderMap) -> Option<Answer> {
        if self.ignores_conditions {
            return None;
        }
        let object = self.buckets.get(&place.bucket).and_then(|it| it.get(&place.key));
        let (wanted, unwanted) =
            (signature::header(headers, "if-match"), signature::header(headers, "if-none-match"));
        let failed = |code, number| {
            let message = "At least one of the pre-conditions you specified did not hold";
            Some(refuse(number, code, message, ""))
        };
        match object {
            None if !wanted.is_empty() => failed("NoSuchKey", 404),
            Some(it) if !wanted.is_empty() && wanted.trim_matches('"') != it.etag => {
                failed("PreconditionFailed", 412)
            }
            Some(_) if unwanted == "*" => failed("PreconditionFailed", 412),
            _ => None,
        }
    }
}

/// The answer of a fault.
fn spoiled(number: u16, code: &str, after: Option<u32>) -> Answer {
    let mut answer = status(number);
    if let Some(seconds) = after {
        answer = answer.header(header::RETRY_AFTER, seconds);
    }
    refuse_with(answer, code, "Refused on purpose.", "")
}
