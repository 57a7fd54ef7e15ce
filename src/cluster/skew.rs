//! How far our clock and that of the API server are apart.
//!
//! Nothing is measured by it: sightings are stamped by one clock. But signatures, certificates,
//! tokens and Leases need clocks that agree.

use crate::cluster::api::Ask;
use crate::cluster::{Cluster, Error, Target};
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

/// Resolution of the header `Date`.
const SECOND: SignedDuration = SignedDuration::from_secs(1);

// === impl Cluster ===

impl Cluster {
    /// How far our clock is ahead of the API server's, at least; zero if they may agree, none if
    /// the server does not tell its time.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked.
    pub async fn skew(&self) -> Result<Option<SignedDuration>, Error> {
        let path = "/version".to_owned();
        let target = Target { verb: "get", resource: path.clone(), ..Target::default() };
        let api = &self.hub.api;
        let before = api.clock.wall();
        let answer = api.get(&Ask { target, path }).await?;
        let after = api.clock.wall();
        Ok(answer.date.map(|it| apart(before, after, it)))
    }
}

/// The server's time as an answer tells it: whole seconds, rounded down.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|it| it.timestamp())
}

/// How far we are ahead at least, where the server said `date` somewhen between `before` and
/// `after` by our clock.
fn apart(before: Timestamp, after: Timestamp, date: Timestamp) -> SignedDuration {
    let ahead = before.duration_since(date) - SECOND;
    let behind = date.duration_since(after);
    if ahead.is_positive() {
        ahead
    } else if behind.is_positive() {
        -behind
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn at(seconds: i64, millis: i32) -> Timestamp {
        Timestamp::new(1_800_000_000 + seconds, millis * 1_000_000).unwrap()
    }

    #[test]
    fn clocks_agree_unless_the_answer_cannot_be_of_that_time() {
        assert_eq!(apart(at(10, 900), at(11, 100), at(10, 0)), SignedDuration::ZERO);
        assert_eq!(apart(at(10, 900), at(11, 100), at(11, 0)), SignedDuration::ZERO);
        assert_eq!(apart(at(10, 500), at(10, 600), at(4, 0)), SignedDuration::from_millis(5500));
        assert_eq!(apart(at(10, 0), at(11, 0), at(31, 0)), SignedDuration::from_secs(-20));
    }

    #[test]
    fn the_servers_time_is_read_from_its_answer() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        let value = HeaderValue::from_static("Sat, 21 Nov 2026 14:40:00 GMT");
        headers.insert(header::DATE, value);
        assert_eq!(date(&headers), Some("2026-11-21T14:40:00Z".parse().unwrap()));
        headers.insert(header::DATE, HeaderValue::from_static("now"));
        assert_eq!(date(&headers), None);
    }
}
