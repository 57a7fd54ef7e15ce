//! Takes in a request's body before anybody looks at the request.
//!
//! No page expects more than a few kilobytes. Taken in here, a body that is too long or does not
//! come is refused in one place, and no page can forget to.

use crate::web::accept::Limits;
use crate::web::front::Turned;
use crate::web::reply::refusal;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};

/// A request that no page will see: why, and what its client hears.
pub(super) type TurnedAway = (Turned, Box<Response<Body>>);

/// The request with its whole body, or the refusal of it.
pub(super) async fn take_in(
    request: Request<Incoming>,
    limits: &Limits,
) -> Result<Request<Body>, TurnedAway> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(Request::from_parts(parts, Body::empty()));
    }
    let too_long = || {
        let most = limits.body;
        let sentence = format!("the request's body is too long: at most {most} bytes are read");
        let answer = refusal(StatusCode::PAYLOAD_TOO_LARGE, "body_too_long", &sentence);
        (Turned::TooLong, Box::new(answer))
    };
    if body.size_hint().lower() > limits.body as u64 {
        return Err(too_long());
    }
    let whole = Limited::new(body, limits.body).collect();
    match tokio::time::timeout(limits.body_time, whole).await {
        Ok(Ok(whole)) => Ok(Request::from_parts(parts, Body::from(whole.to_bytes()))),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => {
            let sentence = "the request's body ended too early or is not well-formed";
            let answer = refusal(StatusCode::BAD_REQUEST, "bad_body", sentence);
            Err((Turned::Broken, Box::new(answer)))
        }
        Err(_) => {
            let sentence = "the request's body did not come in time";
            let answer = refusal(StatusCode::REQUEST_TIMEOUT, "body_too_slow", sentence);
            Err((Turned::Broken, Box::new(answer)))
        }
    }
}
