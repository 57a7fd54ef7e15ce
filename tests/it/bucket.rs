//! Buckets over real sockets: what is sent to each cloud, and a real S3 server.

use crate::eventually::eventually;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hopclock::engine::SystemClock;
use hopclock::remote::Clients;
use hopclock::remote::bucket::{
    Bucket, BucketAddress, BucketOptions, Condition, Credentials, Error, Provider, PublishError,
};
use hopclock_sandbox::bucket::{Account, BucketHost, BucketHostOptions, Fault, FaultRule, Route};
use secrecy::SecretString;
use std::collections::VecDeque;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECRET: &str = "pl4nted-secret-key";

/// One request that a cloud of the test's own making has seen.
#[derive(Clone, Debug)]
struct Asked {
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A cloud that remembers what it was asked, and takes everything once it has said what it was told
/// to say.
#[derive(Clone, Default)]
struct Cloud(Arc<Mutex<Vec<Asked>>>, Arc<Mutex<VecDeque<Told>>>);

/// One answer: its status, one header, its body.
type Told = (StatusCode, (&'static str, String), &'static str);

impl Cloud {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        host
    }

    fn say(&self, status: StatusCode, (name, value): (&'static str, &str), body: &'static str) {
        self.1.lock().unwrap().push_back((status, (name, value.to_owned()), body));
    }

    fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().clone()
    }
}

async fn answer(
    State(cloud): State<Cloud>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = Asked { line: format!("{method} {uri}"), headers, body };
    cloud.0.lock().unwrap().push(asked);
    if let Some((status, header, body)) = cloud.1.lock().unwrap().pop_front() {
        return (status, [header], body).into_response();
    }
    let tags = [("etag", "\"1\""), ("x-goog-generation", "7")];
    let more = [("last-modified", "Sat, 21 Nov 2026 12:00:00 GMT"), ("x-ms-version", "2023-11-03")];
    match method {
        Method::PUT => (StatusCode::CREATED, tags, more, "").into_response(),
        _ => (StatusCode::OK, tags, more, "content").into_response(),
    }
}

fn secret(text: &str) -> SecretString {
    SecretString::from(text.to_owned())
}

fn open(address: BucketAddress, credentials: Credentials) -> Result<Bucket, Error> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (timeout, patience) = (Duration::from_secs(10), Duration::from_secs(5));
    let options = BucketOptions { address, credentials, ca: None, timeout, patience };
    Bucket::open(&options, Arc::new(SystemClock::new()), &Clients::default())
}

fn address(provider: Provider, host: &str, name: &str) -> BucketAddress {
    BucketAddress::new(provider, host, true, name, None).unwrap()
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).map_or("", |it| it.to_str().unwrap())
}

#[tokio::test]
async fn google_is_sent_a_token_that_the_service_account_has_signed() {
    let cloud = Cloud::default();
    let host = cloud.start().await;
    let key = include_str!("../keys/ssh_rsa_pem");
    let account = serde_json::json!({"type": "service_account", "private_key": key,
        "private_key_id": "1", "client_email": "canary@example.iam.gserviceaccount.com"});
    let credentials = Credentials::ServiceAccount(secret(&account.to_string()));
    let bucket = open(address(Provider::Gcs, &host, "fleet"), credentials).unwrap();
    let put = bucket.put("canary/a.yaml", "x", Condition::Absent).await.unwrap();
    assert_eq!(put.version.etag(), Some("1"));
    let condition = Condition::Unchanged(put.version);
    bucket.put("canary/a.yaml", "y", condition).await.unwrap();
    let asked = cloud.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[0].line, "PUT /fleet/canary%2Fa%2Eyaml");
    assert_eq!(asked[0].body, "x");
    assert_eq!(header(&asked[0], "x-goog-if-generation-match"), "0");
    assert_eq!(header(&asked[1], "x-goog-if-generation-match"), "7");
    let token = header(&asked[0], "authorization").strip_prefix("Bearer ").unwrap();
    assert_eq!(token.split('.').count(), 3, "a signed token: {token}");
    assert!(header(&asked[0], "user-agent").starts_with("hopclock/"));
}

#[tokio::test]
async fn azure_is_sent_a_signature_of_the_account_or_the_shared_one() {
    let cloud = Cloud::default();
    let host = cloud.start().await;
    let azure = || address(Provider::Azure, &host, "fleet");
    let bucket = open(azure(), Credentials::AccountKey(secret("cGxhbnRlZA=="))).unwrap();
    bucket.put("canary/a.yaml", "x", Condition::Absent).await.unwrap();
    let shared = Credentials::Sas(secret("?sv=2023-11-03&sig=pl4nted%3D"));
    let found = open(azure(), shared).unwrap().get("canary/a.yaml").await.unwrap();
    assert_eq!(found.unwrap().body, "content");
    let asked = cloud.asked();
    assert_eq!(asked[0].line, "PUT /fleet/canary/a.yaml");
    assert_eq!(header(&asked[0], "if-none-match"), "*");
    assert_eq!(header(&asked[0], "x-ms-blob-type"), "BlockBlob");
    let signed = header(&asked[0], "authorization");
    assert!(signed.starts_with("SharedKey 127:"), "the account is the host's first part: {signed}");
    assert_eq!(asked[1].line, "GET /fleet/canary/a.yaml?sv=2023-11-03&sig=pl4nted%3D");
    assert_eq!(header(&asked[1], "authorization"), "");
}

#[tokio::test]
async fn credentials_of_another_cloud_are_refused_before_anything_is_sent() {
    for (provider, credentials) in [
        (Provider::S3, Credentials::Sas(secret(SECRET))),
        (Provider::Gcs, Credentials::ServiceAccount(secret(SECRET))),
        (Provider::Azure, Credentials::AccountKey(secret("no base64: pl4nted"))),
    ] {
        let error = open(address(provider, "127.0.0.1:1", "fleet"), credentials).err().unwrap();
        assert_eq!(error.reason(), "bucket_bad_credentials");
        assert!(!format!("{error} {error:?}").contains("pl4nted"), "{error:?}");
    }
}

/// The sandbox's server with one bucket and one key.
async fn sandbox(options: BucketHostOptions) -> (BucketHost, Bucket) {
    let host = BucketHost::start(options).await.unwrap();
    let account =
        Account { access_key: "canary".to_owned(), secret_key: SECRET.to_owned(), may_write: true };
    host.set_accounts(vec![account]);
    host.create_bucket("fleet");
    let bucket = open(address(Provider::S3, host.host(), "fleet"), keys()).unwrap();
    (host, bucket)
}

fn keys() -> Credentials {
    Credentials::Keys { access: "canary".to_owned(), secret: secret(SECRET), token: None }
}

#[tokio::test]
async fn an_object_is_written_read_listed_and_removed() {
    let (host, bucket) = sandbox(BucketHostOptions { page: 2, ..Default::default() }).await;
    assert_eq!(bucket.get("a b/ü.yaml").await.unwrap(), None);
    for key in ["a b/ü.yaml", "apps/1", "apps/2", "apps-old/3", "x"] {
        bucket.put(key, key, Condition::Absent).await.unwrap();
    }
    let found = bucket.get("a b/ü.yaml").await.unwrap().unwrap();
    assert_eq!(found.body, "a b/ü.yaml");
    let keys = |all: Vec<_>| -> Vec<String> {
        all.into_iter().map(|it: hopclock::remote::bucket::Entry| it.key).collect()
    };
    assert_eq!(keys(bucket.list("", 1000).await.unwrap()).len(), 5);
    assert_eq!(keys(bucket.list("apps/", 1000).await.unwrap()), ["apps/1", "apps/2"]);
    assert_eq!(keys(bucket.list("ap", 1000).await.unwrap()), ["apps-old/3", "apps/1", "apps/2"]);
    assert_eq!(bucket.list("", 3).await.unwrap().len(), 3);
    bucket.delete("x").await.unwrap();
    bucket.delete("x").await.unwrap();
    assert_eq!(host.list("fleet").len(), 4);
    let asked = u32::try_from(host.requests().len()).unwrap();
    assert_eq!(bucket.usage().requests, asked, "every request is counted");
}

#[tokio::test]
async fn an_object_that_cannot_be_named_is_listed_beside_the_others() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    for key in ["apps/1", "apps//odd & 'old'.yaml", "apps/../2", "%00/x", "b"] {
        host.put("fleet", key, "x");
    }
    let listed = bucket.list("apps/", 10).await.unwrap();
    let keys: Vec<_> = listed.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(keys, ["apps/../2", "apps//odd & 'old'.yaml", "apps/1"]);
    assert_eq!(bucket.list("", 10).await.unwrap().len(), 5);
    let odd = bucket.get("apps//odd & 'old'.yaml").await.unwrap_err();
    assert_eq!(odd.reason(), "bucket_bad_key");
}

#[tokio::test]
async fn what_a_server_leaves_out_of_a_good_answer_is_said() {
    let cloud = Cloud::default();
    let list = "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>";
    cloud.say(StatusCode::OK, ("content-type", "application/xml"), list);
    let bucket = open(address(Provider::S3, &cloud.start().await, "fleet"), keys()).unwrap();
    let error = bucket.list("", 10).await.unwrap_err();
    assert_eq!(error.reason(), "bucket_not_a_bucket");
    assert!(error.to_string().contains("(status 200: missing field `Size`)"), "{error}");
}

#[tokio::test]
async fn s5_a_second_writer_is_noticed_and_not_overwritten() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    let first = bucket.put("a", "1", Condition::Absent).await.unwrap();
    host.put("fleet", "a", "somebody else's");
    for condition in [Condition::Absent, Condition::Unchanged(first.version)] {
        let error = bucket.put("a", "2", condition).await.unwrap_err();
        let PublishError::Failed(error) = error else { panic!("{error:?}") };
        assert_eq!(error.reason(), "second_writer");
    }
    assert_eq!(host.text("fleet", "a").unwrap(), "somebody else's");
}

#[tokio::test]
async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    host.add_fault(FaultRule::once(Route::Object, Fault::Refuse(503, "SlowDown", Some(1))));
    let put = bucket.put("a", "1", Condition::Absent).await.unwrap();
    assert_eq!((put.attempts, bucket.usage().throttled), (2, 1));
    let at: Vec<_> = host.requests().iter().map(|it| it.at).collect();
    assert!(at[1] - at[0] >= Duration::from_secs(1), "it was asked to wait a second");
    host.add_fault(FaultRule::once(Route::Object, Fault::Refuse(503, "SlowDown", Some(60))));
    let error = bucket.get("a").await.unwrap_err();
    let retry_after = Some(Duration::from_secs(60));
    assert!(matches!(error, Error::Throttled { retry_after: it, .. } if it == retry_after));
    let cloud = Cloud::default();
    let endless = u64::MAX.to_string();
    for patience in ["1", &endless] {
        cloud.say(StatusCode::TOO_MANY_REQUESTS, ("retry-after", patience), "");
    }
    let strange = open(address(Provider::S3, &cloud.start().await, "fleet"), keys()).unwrap();
    assert_eq!(strange.get("a").await.unwrap_err().reason(), "bucket_throttled");
    assert_eq!(cloud.asked().len(), 2, "asked again after the first");
}

#[tokio::test]
async fn t2_a_write_that_was_refused_and_done_is_no_second_writers() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    let fault = Fault::RefuseAfter(503, "SlowDown", Some(0));
    host.add_fault(FaultRule::once(Route::Object, fault));
    let open = bucket.put("a", "1", Condition::Absent).await.unwrap_err();
    assert!(open.is_changed(), "{open:?}");
    let PublishError::NoAnswer { attempts: 2, .. } = open else { panic!("{open:?}") };
    assert_eq!(host.text("fleet", "a").unwrap(), "1");
    let taken = bucket.put("a", "2", Condition::Absent).await.unwrap_err();
    assert!(matches!(taken, PublishError::Failed(Error::Changed { .. })), "{taken:?}");
}

#[tokio::test]
async fn s5_a_server_without_conditions_is_asked_whether_ours_holds() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    let unknown = || {
        let fault = Fault::Refuse(501, "NotImplemented", None);
        host.add_fault(FaultRule::once(Route::Object, fault).for_method(Method::PUT));
    };
    unknown();
    assert_eq!(bucket.put("a", "1", Condition::Absent).await.unwrap().attempts, 2);
    let read = bucket.get("a").await.unwrap().unwrap().version;
    unknown();
    bucket.put("a", "2", Condition::Unchanged(read.clone())).await.unwrap();
    for condition in [Condition::Absent, Condition::Unchanged(read)] {
        unknown();
        let error = bucket.put("a", "3", condition).await.unwrap_err();
        assert!(matches!(error, PublishError::Failed(Error::Changed { .. })), "{error:?}");
    }
    assert_eq!(host.text("fleet", "a").unwrap(), "2");
}

#[tokio::test]
async fn a_name_that_the_store_would_change_is_refused() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    for key in ["/a", "a/", "a//b"] {
        let error = bucket.put(key, "1", Condition::None).await.unwrap_err();
        assert!(matches!(error, PublishError::Failed(Error::BadKey { .. })), "{error:?}");
    }
    assert_eq!(host.count(Route::Object), 0);
}

#[tokio::test]
async fn t2_an_upload_of_which_nobody_knows_is_not_sent_again() {
    let (host, bucket) = sandbox(BucketHostOptions::default()).await;
    for fault in [Fault::Cut, Fault::CutAfter, Fault::Refuse(504, "GatewayTimeout", None)] {
        host.add_fault(FaultRule::once(Route::Object, fault.clone()));
        let lost = bucket.put("a", "1", Condition::None).await.unwrap_err();
        assert!(matches!(lost, PublishError::NoAnswer { .. }), "{fault:?}: {lost:?}");
    }
    assert_eq!(host.count(Route::Object), 3);
    let cloud = Cloud::default();
    cloud.say(StatusCode::OK, ("server", "taciturn"), "");
    let taciturn = open(address(Provider::S3, &cloud.start().await, "fleet"), keys()).unwrap();
    let untold = taciturn.put("a", "1", Condition::None).await.unwrap_err();
    assert!(matches!(untold, PublishError::NoAnswer { .. }), "no tag, but taken: {untold:?}");
    assert_eq!(cloud.asked().len(), 1);
    host.go_down();
    // One without a connection that the server has cut.
    let fresh = open(address(Provider::S3, host.host(), "fleet"), keys()).unwrap();
    let refused = fresh.put("a", "1", Condition::None).await.unwrap_err();
    assert!(matches!(refused, PublishError::Failed(Error::Unreachable { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_certificate_is_trusted_only_with_its_authority() {
    let (host, _) = sandbox(BucketHostOptions { tls: true, ..Default::default() }).await;
    let address = BucketAddress::new(Provider::S3, host.host(), false, "fleet", None).unwrap();
    let strange = open(address.clone(), keys()).unwrap();
    let error = strange.get("a").await.unwrap_err();
    assert_eq!(error.reason(), "bucket_untrusted_certificate", "{error}");
    let options = BucketOptions {
        address,
        credentials: keys(),
        ca: host.authority().map(|it| it.as_bytes().to_vec()),
        timeout: Duration::from_secs(10),
        patience: Duration::ZERO,
    };
    let clock = Arc::new(SystemClock::new());
    let known = Bucket::open(&options, clock, &Clients::default()).unwrap();
    assert_eq!(known.get("a").await.unwrap(), None);
}

/// `moto`, a server of AWS's API, which checks signatures with the keys that it gave out.
struct Moto {
    child: Child,
    host: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// Starts it, if it is installed: the first `free` actions need no right.
    async fn start(free: u32) -> Option<Self> {
        if !crate::cli::kit::has("moto_server") {
            let required = std::env::var("HOPCLOCK_REQUIRE_TOOLS").is_ok_and(|it| it == "1");
            assert!(
                !required,
                "moto_server is not on PATH and HOPCLOCK_REQUIRE_TOOLS=1 asks for it"
            );
            return None;
        }
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let port = host.rsplit(':').next().unwrap();
        let child = Command::new("moto_server")
            .args(["-H", "127.0.0.1", "-p", port])
            .env("INITIAL_NO_AUTH_ACTION_COUNT", free.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, host };
        eventually("moto answers", || TcpStream::connect(&moto.host).is_ok()).await;
        Some(moto)
    }

    /// One action of its account management; gives the answer.
    async fn iam(&self, query: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, \
                     SignedHeaders=host, Signature=0";
        let request = client.post(format!("http://{}/", self.host));
        let request = request.header("authorization", scope);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(format!("Version=2010-05-08&{query}")).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

#[tokio::test]
async fn a_real_server_takes_what_we_sign_and_refuses_what_another_key_signed() {
    let Some(moto) = Moto::start(4).await else { return };
    moto.iam("Action=CreateUser&UserName=canary").await;
    let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22\
                  Allow%22%2C%22Action%22%3A%22s3%3A*%22%2C%22Resource%22%3A%22*%22%7D%7D";
    let put = "Action=PutUserPolicy&UserName=canary&PolicyName=all&PolicyDocument=";
    moto.iam(&format!("{put}{policy}")).await;
    let answer = moto.iam("Action=CreateAccessKey&UserName=canary").await;
    let part = |name: &str| {
        let rest = answer.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{answer}")).1;
        rest.split('<').next().unwrap().to_owned()
    };
    let (access, word) = (part("AccessKeyId"), part("SecretAccessKey"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let made = client.put(format!("http://{}/fleet", moto.host)).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");

    let of = |word: &str, name: &str| {
        let keys = Credentials::Keys { access: access.clone(), secret: secret(word), token: None };
        open(address(Provider::S3, &moto.host, name), keys).unwrap()
    };
    let bucket = of(&word, "fleet");
    let first = bucket.put("canary/a.yaml", "one", Condition::Absent).await.unwrap();
    let found = bucket.get("canary/a.yaml").await.unwrap().unwrap();
    assert_eq!((found.body.as_ref(), &found.version), (&b"one"[..], &first.version));
    bucket.put("canary/a.yaml", "two", Condition::Unchanged(found.version)).await.unwrap();
    // Of a prefix with a slash in it moto signs another text than everybody else.
    let listed = bucket.list("", 10).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.key.as_str()).collect::<Vec<_>>(), ["canary/a.yaml"]);
    assert_eq!(bucket.get("canary/none").await.unwrap(), None);
    let missing = of(&word, "nobucket").get("a").await.unwrap_err();
    assert_eq!(missing.reason(), "bucket_missing", "{missing}");
    let strange = of("another", "fleet").get("a").await.unwrap_err();
    assert_eq!(strange.reason(), "bucket_unauthorized", "{strange}");
    bucket.delete("canary/a.yaml").await.unwrap();
    assert_eq!(bucket.list("", 10).await.unwrap(), []);
}
