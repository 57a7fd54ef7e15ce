//! The bucket server from outside, over real sockets, signed by the sandbox's own client code.

use http::{HeaderMap, HeaderName, Method};
use jiff::{SignedDuration, Timestamp};

use super::signature::{self, Request};
use super::{Account, BucketHost, BucketHostOptions, Fault, FaultRule, Route};

const KEYS: (&str, &str) = ("canary", "planted");

async fn host() -> BucketHost {
    let host =
        BucketHost::start(BucketHostOptions { page: 2, ..Default::default() }).await.unwrap();
    let account = |access_key: &str, may_write| Account {
        access_key: access_key.to_owned(),
        secret_key: KEYS.1.to_owned(),
        may_write,
    };
    host.set_accounts(vec![account(KEYS.0, true), account("reader", false)]);
    host.put("fleet", "a.yaml", "a");
    host
}

/// Status and text of one request.
async fn ask(
    host: &BucketHost,
    keys: (&str, &str),
    method: Method,
    path: &str,
    query: &str,
) -> (u16, String) {
    let mut headers = HeaderMap::new();
    headers.insert("host", host.host().parse().unwrap());
    let request = Request { method: method.as_str(), path, query, headers: &headers };
    let proof = signature::prove(&request, keys, "us-east-1", Timestamp::now());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}?{query}", host.base_url()));
    for (name, value) in proof {
        request = request.header(HeaderName::from_static(name), value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn who_signs_with_the_wrong_key_is_told_so() {
    let host = host().await;
    let get = |keys| ask(&host, keys, Method::GET, "/fleet/a.yaml", "");
    assert_eq!(get(KEYS).await, (200, "a".to_owned()));
    for (keys, code) in
        [((KEYS.0, "wrong"), "SignatureDoesNotMatch"), (("nobody", KEYS.1), "InvalidAccessKeyId")]
    {
        let (status, text) = get(keys).await;
        assert_eq!(status, 403);
        assert!(text.contains(&format!("<Code>{code}</Code>")), "{text}");
    }
    let (status, text) = ask(&host, ("reader", KEYS.1), Method::DELETE, "/fleet/a.yaml", "").await;
    assert!(status == 403 && text.contains("AccessDenied"), "{text}");
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    let anonymous = plain.get(format!("{}/fleet/a.yaml", host.base_url())).send().await.unwrap();
    assert_eq!(anonymous.status(), 403);
}

#[tokio::test]
async fn a_clock_that_is_far_off_breaks_every_signature() {
    let host = host().await;
    host.set_clock_ahead(SignedDuration::from_mins(16));
    let (status, text) = ask(&host, KEYS, Method::GET, "/fleet/a.yaml", "").await;
    assert!(status == 403 && text.contains("<Code>RequestTimeTooSkewed</Code>"), "{text}");
    host.set_clock_ahead(SignedDuration::from_mins(14));
    assert_eq!(ask(&host, KEYS, Method::GET, "/fleet/a.yaml", "").await.0, 200);
}

#[tokio::test]
async fn a_list_comes_page_by_page() {
    let host = host().await;
    for key in ["b.yaml", "c/d e.yaml", "x.yaml"] {
        host.put("fleet", key, key);
    }
    let (_, first) = ask(&host, KEYS, Method::GET, "/fleet/", "list-type=2&prefix=").await;
    assert!(first.contains("<IsTruncated>true</IsTruncated>"), "{first}");
    assert!(first.contains("<NextContinuationToken>b.yaml</NextContinuationToken>"), "{first}");
    let query = "list-type=2&continuation-token=b.yaml";
    let (_, second) = ask(&host, KEYS, Method::GET, "/fleet/", query).await;
    assert!(second.contains("<Key>c/d e.yaml</Key>") && second.contains("<Key>x.yaml</Key>"));
    assert!(second.contains("<IsTruncated>false</IsTruncated>"), "{second}");
    assert_eq!(host.count(Route::List), 2);
}

#[tokio::test]
async fn what_is_not_there_is_refused_with_its_code_and_a_fault_with_its_own() {
    let host = host().await;
    for (path, code) in [("/nope/a.yaml", "NoSuchBucket"), ("/fleet/nope", "NoSuchKey")] {
        let (status, text) = ask(&host, KEYS, Method::GET, path, "").await;
        assert!(status == 404 && text.contains(&format!("<Code>{code}</Code>")), "{text}");
    }
    host.add_fault(FaultRule::once(Route::Object, Fault::Refuse(503, "SlowDown", Some(3))));
    let (status, text) = ask(&host, KEYS, Method::GET, "/fleet/a.yaml", "").await;
    assert!(status == 503 && text.contains("<Code>SlowDown</Code>"), "{text}");
    assert_eq!(ask(&host, KEYS, Method::GET, "/fleet/a.yaml", "").await.0, 200);
    let location = ask(&host, KEYS, Method::GET, "/fleet/", "location").await;
    assert!(location.0 == 200 && location.1.contains("<LocationConstraint"), "{location:?}");
}

#[tokio::test]
async fn a_removed_object_is_gone_and_stamped() {
    let host = host().await;
    assert_eq!(ask(&host, KEYS, Method::DELETE, "/fleet/a.yaml", "").await.0, 204);
    assert_eq!(host.list("fleet"), []);
    let updates = host.updates();
    assert_eq!(updates.iter().map(|it| it.etag.is_some()).collect::<Vec<_>>(), [true, false]);
}
