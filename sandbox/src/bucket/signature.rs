//! AWS's signature, version 4: made by the sandbox's Flux, and checked by its bucket server.
//!
//! Both sides build the same text of a request and sign it with a key that is derived from the
//! secret, the day and the region. What a client forgot to encode, or signed with another key or at
//! another time, does not fit; that is what these checks are for.

use aws_lc_rs::{constant_time, digest, hmac};
use http::HeaderMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How far a request's time may be off.
const MOST_SKEW_SECONDS: i64 = 15 * 60;

/// How times are written in a signature.
const TIME: &str = "%Y%m%dT%H%M%SZ";

/// The payload that is not part of the signature.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What a signature is made of, apart from its keys.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// The path as it is sent, encoded.
    pub(crate) path: &'a str,
    /// The query as it is sent, encoded, without `?`.
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing was signed.
    Anonymous,
    /// The header is none of ours.
    Malformed,
    /// The signature is for another region.
    WrongRegion,
    /// Nobody has that key.
    UnknownKey,
    /// The request's time is too far off.
    Skewed,
    /// It was signed with something else.
    Mismatch,
    /// The body is another one than was signed.
    OtherBody,
}

/// The parts of an `Authorization` header.
pub(crate) struct Claim<'a> {
    pub(crate) access_key: &'a str,
    scope: &'a str,
    region: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads what a request says of itself.
    pub(crate) fn of(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let text = header(headers, "authorization");
        if text.is_empty() {
            return Err(Refusal::Anonymous);
        }
        let fields = text.strip_prefix("AWS4-HMAC-SHA256 ").ok_or(Refusal::Malformed)?;
        let field = |name: &str| {
            let all = fields.split(',').map(str::trim);
            all.filter_map(|it| it.split_once('=')).find(|it| it.0 == name).map(|it| it.1)
        };
        let (Some(credential), Some(signed_headers), Some(signature)) =
            (field("Credential"), field("SignedHeaders"), field("Signature"))
        else {
            return Err(Refusal::Malformed);
        };
        let (access_key, scope) = credential.split_once('/').ok_or(Refusal::Malformed)?;
        let parts: Vec<&str> = scope.split('/').collect();
        let [_, region, "s3", "aws4_request"] = parts[..] else { return Err(Refusal::Malformed) };
        Ok(Self { access_key, scope, region, signed_headers, signature })
    }

    /// Checks it against a secret, a region and a clock.
    pub(crate) fn check(
        &self,
        request: &Request<'_>,
        body: &[u8],
        secret: &str,
        region: &str,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if self.region != region {
            return Err(Refusal::WrongRegion);
        }
        let at = header(request.headers, "x-amz-date");
        let time = DateTime::strptime(TIME, at).ok();
        let time = time.and_then(|it| it.to_zoned(TimeZone::UTC).ok()).ok_or(Refusal::Malformed)?;
        if (now.as_second() - time.timestamp().as_second()).abs() > MOST_SKEW_SECONDS {
            return Err(Refusal::Skewed);
        }
        if !self.scope.starts_with(at.get(..8).unwrap_or(at)) {
            return Err(Refusal::Malformed);
        }
        let payload = header(request.headers, "x-amz-content-sha256");
        let names: Vec<&str> = self.signed_headers.split(';').collect();
        let ours = sign(request, &names, payload, at, self.scope, secret);
        let same =
            constant_time::verify_slices_are_equal(ours.as_bytes(), self.signature.as_bytes());
        same.map_err(|_| Refusal::Mismatch)?;
        if payload != UNSIGNED && payload != hash(body) {
            return Err(Refusal::OtherBody);
        }
        Ok(())
    }
}

/// The headers that prove a request without a body: name and value.
pub(crate) fn prove(
    request: &Request<'_>,
    keys: (&str, &str),
    region: &str,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let at = now.strftime(TIME).to_string();
    let scope = format!("{}/{region}/s3/aws4_request", &at[..8]);
    let payload = hash(b"");
    let mut headers = request.headers.clone();
    for (name, value) in [("x-amz-content-sha256", &payload), ("x-amz-date", &at)] {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    }
    let names = ["host", "x-amz-content-sha256", "x-amz-date"];
    let complete = Request { headers: &headers, ..*request };
    let signature = sign(&complete, &names, &payload, &at, &scope, keys.1);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        keys.0,
        names.join(";")
    );
    vec![("authorization", authorization), ("x-amz-content-sha256", payload), ("x-amz-date", at)]
}

fn sign(
    request: &Request<'_>,
    names: &[&str],
    payload: &str,
    at: &str,
    scope: &str,
    secret: &str,
) -> String {
    let mut text = format!(
        "{}\n{}\n{}\n",
        request.method,
        encode(&decode(request.path), b"/"),
        canonical_query(request.query)
    );
    for name in names {
        let values: Vec<_> =
            request.headers.get_all(*name).iter().filter_map(|it| it.to_str().ok()).collect();
        let words: Vec<_> = values.iter().flat_map(|it| it.split_ascii_whitespace()).collect();
        text = format!("{text}{name}:{}\n", words.join(" "));
    }
    let text = format!("{text}\n{}\n{payload}", names.join(";"));
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hash(text.as_bytes()));
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| mac(&key, part));
    hex(&mac(&key, &text))
}

/// The pairs of a query, each encoded as the signature wants it, in order.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> =
        pairs(query).map(|(key, value)| (encode(&key, b""), encode(&value, b""))).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join("&")
}

/// The pairs of a query, decoded.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|it| !it.is_empty()).map(|it| {
        let (key, value) = it.split_once('=').unwrap_or((it, ""));
        (decode(key), decode(value))
    })
}

/// Text with everything but letters, digits, `-._~` and what else is plain in percent signs.
pub(crate) fn encode(text: &str, plain: &[u8]) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(&byte);
    let code = |byte: u8| {
        if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(code).collect::<Vec<_>>().concat()
}

/// The reverse; what is no code stays as it is.
pub(crate) fn decode(text: &str) -> String {
    let (bytes, mut decoded, mut place) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(place) {
        let code = bytes.get(place + 1..place + 3).and_then(|it| std::str::from_utf8(it).ok());
        let code = code.and_then(|it| u8::from_str_radix(it, 16).ok()).filter(|_| *byte == b'%');
        decoded.push(code.unwrap_or(*byte));
        place += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

pub(crate) fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    crate::flux::hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's own documentation: `GET Object`.
    #[test]
    fn the_documented_example_is_signed_as_it_is_documented() {
        let mut headers = HeaderMap::new();
        let empty = hash(b"");
        for (name, value) in [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", empty.as_str()),
            ("x-amz-date", "20130524T000000Z"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let request = Request { method: "GET", path: "/test.txt", query: "", headers: &headers };
        let names = ["host", "range", "x-amz-content-sha256", "x-amz-date"];
        let scope = "20130524/us-east-1/s3/aws4_request";
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(
            sign(&request, &names, &empty, "20130524T000000Z", scope, secret),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn a_query_is_sorted_and_encoded_anew() {
        assert_eq!(
            canonical_query("prefix=a/b&list-type=2&location"),
            "list-type=2&location=&prefix=a%2Fb"
        );
        assert_eq!(decode("a%20b%2f+%zz"), "a b/+%zz");
        assert_eq!(encode("a b/ü", b"/"), "a%20b/%C3%BC");
    }
}
