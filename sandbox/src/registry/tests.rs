//! The registry over the wire, as clients of the distribution API use it.

use http::{Method, StatusCode};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

use super::content::{MANIFEST, digest_of};
use super::*;

struct Lab {
    registry: Registry,
    client: Client,
}

impl Lab {
    async fn new() -> Self {
        let registry = Registry::start(RegistryOptions::default()).await.unwrap();
        Self { registry, client: Client::builder().no_proxy().build().unwrap() }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.registry.base_url()))
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    async fn put_blob(&self, name: &str, blob: &'static str) -> String {
        let digest = digest_of(blob.as_bytes());
        let path = format!("/v2/{name}/blobs/uploads/?digest={digest}");
        let answer = self.ask(Method::POST, &path).body(blob).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        digest
    }

    async fn put_manifest(&self, name: &str, tag: &str, blob: &str) -> Response {
        let part = json!({"mediaType": "text/plain", "digest": blob, "size": 1});
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": part,
            "layers": [part]});
        let request = self.ask(Method::PUT, &format!("/v2/{name}/manifests/{tag}"));
        request.header("content-type", MANIFEST).body(manifest.to_string()).send().await.unwrap()
    }
}

fn header<'r>(answer: &'r Response, name: &str) -> &'r str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn code(answer: Response) -> (StatusCode, String) {
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    (status, body["errors"][0]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_image_that_is_pushed_can_be_pulled_by_tag_and_digest_and_is_stamped() {
    let lab = Lab::new().await;
    let mut moved = lab.registry.watch_updates();
    let before = tokio::time::Instant::now();
    let blob = lab.put_blob("team/app", "layer").await;
    let pushed = lab.put_manifest("team/app", "1.0.0", &blob).await;
    assert_eq!(pushed.status(), 201);
    let digest = header(&pushed, "docker-content-digest").to_owned();
    for reference in ["1.0.0", &digest] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let pulled = lab.get(&path).await;
        assert_eq!(header(&pulled, "docker-content-digest"), digest);
        assert_eq!(header(&pulled, "content-type"), MANIFEST);
        let body = pulled.bytes().await.unwrap();
        assert_eq!(digest_of(&body), digest);
        let head = lab.ask(Method::HEAD, &path).send().await.unwrap();
        assert_eq!(header(&head, "content-length"), body.len().to_string());
        assert_eq!(header(&head, "docker-content-digest"), digest);
    }
    let pulled = lab.get(&format!("/v2/team/app/blobs/{blob}")).await;
    assert_eq!(pulled.text().await.unwrap(), "layer");
    let update = moved.recv().await.unwrap();
    assert_eq!((update.tag.as_str(), update.digest.clone()), ("1.0.0", Some(digest)));
    assert_eq!((update.before, update.by), (None, UpdatedBy::Push));
    assert!(before < update.at && update.at < tokio::time::Instant::now());
    let counts = lab.registry.counts();
    assert_eq!(counts[&("PUT".to_owned(), Route::Manifest)], 1);
    assert_eq!(counts[&("HEAD".to_owned(), Route::Manifest)], 2);
    assert_eq!(lab.registry.count(Route::Manifest), 5);
}

#[tokio::test]
async fn a_blob_comes_in_pieces_or_from_another_repository() {
    let lab = Lab::new().await;
    let begun = lab.ask(Method::POST, "/v2/a/blobs/uploads/").send().await.unwrap();
    assert_eq!(begun.status(), 202);
    let place = header(&begun, "location").to_owned();
    let patch = |range: &'static str, piece: &'static str| {
        lab.ask(Method::PATCH, &place).header("content-range", range).body(piece).send()
    };
    assert_eq!(header(&patch("0-2", "abc").await.unwrap(), "range"), "0-2");
    assert_eq!(patch("0-2", "abc").await.unwrap().status(), 416);
    assert_eq!(header(&lab.get(&place).await, "range"), "0-2");
    let digest = digest_of(b"abcdef");
    let end = lab.ask(Method::PUT, &format!("{place}?digest={digest}")).body("def");
    assert_eq!(end.send().await.unwrap().status(), 201);
    let mount = format!("/v2/b/blobs/uploads/?mount={digest}&from=a");
    assert_eq!(lab.ask(Method::POST, &mount).send().await.unwrap().status(), 201);
    let head = lab.ask(Method::HEAD, &format!("/v2/b/blobs/{digest}")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "6"));
    let unknown = format!("/v2/b/blobs/uploads/?mount={}&from=a", digest_of(b"other"));
    assert_eq!(lab.ask(Method::POST, &unknown).send().await.unwrap().status(), 202);
    let wrong = format!("/v2/a/blobs/uploads/?digest={digest}");
    let wrong = lab.ask(Method::POST, &wrong).body("other").send().await.unwrap();
    assert_eq!(code(wrong).await, (StatusCode::BAD_REQUEST, "DIGEST_INVALID".to_owned()));
    let removed = lab.ask(Method::DELETE, &format!("/v2/b/blobs/{digest}")).send().await.unwrap();
    assert_eq!(removed.status(), 202);
    assert_eq!(lab.get(&format!("/v2/b/blobs/{digest}")).await.status(), 404);
}

#[tokio::test]
async fn a_manifest_is_taken_only_with_all_it_names_and_in_a_form_that_is_wanted() {
    let lab = Lab::new().await;
    let missing = lab.put_manifest("a", "1", &digest_of(b"nowhere")).await;
    assert_eq!(code(missing).await.1, "MANIFEST_BLOB_UNKNOWN");
    let blob = lab.put_blob("a", "x").await;
    assert_eq!(lab.put_manifest("a", &digest_of(b"other"), &blob).await.status(), 400);
    assert_eq!(lab.put_manifest("a", "1", &blob).await.status(), 201);
    let other = lab.put_blob("a", "y").await;
    lab.registry.set_rules("a", Rules { immutable_tags: true, ..Rules::default() });
    assert_eq!(lab.put_manifest("a", "1", &blob).await.status(), 201, "the same image again");
    let refused = lab.put_manifest("a", "1", &other).await;
    assert_eq!(code(refused).await, (StatusCode::PRECONDITION_FAILED, "PRECONDITION".to_owned()));
    let refused_media_types = vec![MANIFEST.to_owned()];
    lab.registry.set_rules("a", Rules { refused_media_types, ..Rules::default() });
    assert_eq!(code(lab.put_manifest("a", "2", &blob).await).await.1, "MANIFEST_INVALID");
    let bad = lab.ask(Method::PUT, "/v2/Bad/manifests/1").send().await.unwrap();
    assert_eq!(code(bad).await.1, "NAME_INVALID");
}

#[tokio::test]
async fn tags_are_listed_in_pages_that_name_the_next_one() {
    let lab = Lab::new().await;
    for tag in ["c", "a", "d", "b", "e"] {
        let _ = lab.registry.push_image("team/app", tag, tag);
    }
    let (mut path, mut pages) = ("/v2/team/app/tags/list?n=2".to_owned(), Vec::new());
    loop {
        let answer = lab.get(&path).await;
        let next = header(&answer, "link").to_owned();
        let page: Value = answer.json().await.unwrap();
        pages.push(page["tags"].clone());
        let Some((link, _)) = next.split_once(">;") else { break };
        link.trim_start_matches('<').clone_into(&mut path);
    }
    assert_eq!(pages, [json!(["a", "b"]), json!(["c", "d"]), json!(["e"])]);
    lab.registry.set_rules("team/app", Rules { page: Some(3), ..Rules::default() });
    let answer = lab.get("/v2/team/app/tags/list?n=1000").await;
    assert!(header(&answer, "link").contains("last=c&n=3"), "{:?}", answer.headers());
    assert_eq!(code(lab.get("/v2/nobody/tags/list").await).await.1, "NAME_UNKNOWN");
}

#[tokio::test]
async fn what_may_be_deleted_depends_on_the_repository() {
    let lab = Lab::new().await;
    let digest = lab.registry.push_image("a", "1", "x");
    lab.registry.retag("a", "1", "2").unwrap();
    let delete = async |what: &str| {
        let path = format!("/v2/a/manifests/{what}");
        lab.ask(Method::DELETE, &path).send().await.unwrap().status().as_u16()
    };
    let rules = |deletion| Rules { deletion, ..Rules::default() };
    lab.registry.set_rules("a", rules(Deletion::Refused));
    assert_eq!(delete(&digest).await, 405);
    lab.registry.set_rules("a", rules(Deletion::ByDigest));
    assert_eq!(delete("1").await, 405);
    lab.registry.set_rules("a", rules(Deletion::Allowed));
    assert_eq!(delete("1").await, 202);
    assert_eq!(lab.registry.tags("a"), ["2"]);
    assert_eq!(delete(&digest).await, 202);
    assert!(lab.registry.tags("a").is_empty());
    assert_eq!(delete(&digest).await, 404);
    assert_eq!(lab.registry.tag_updates().last().unwrap().digest, None);
}

#[tokio::test]
async fn basic_credentials_decide_who_pulls_pushes_and_deletes() {
    let lab = Lab::new().await;
    let _ = lab.registry.push_image("a", "1", "x");
    let mut gate = Gate::locked(Scheme::Basic, "puller", "pw", Rights::Pull);
    let (user, password) = ("pusher".to_owned(), "pw".to_owned());
    gate.accounts.push(Account { user, password, rights: Rights::Push });
    lab.registry.set_gate(gate.clone());
    let unknown = lab.get("/v2/").await;
    assert!(header(&unknown, "www-authenticate").starts_with("Basic "));
    assert_eq!(code(unknown).await, (StatusCode::UNAUTHORIZED, "UNAUTHORIZED".to_owned()));
    let ask = async |method: Method, path: &str, user: &str| {
        let request = lab.ask(method, path).basic_auth(user, Some("pw"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(Method::GET, "/v2/a/tags/list", "puller").await, 200);
    assert_eq!(ask(Method::GET, "/v2/a/tags/list", "stranger").await, 401);
    assert_eq!(ask(Method::POST, "/v2/a/blobs/uploads/", "puller").await, 403);
    assert_eq!(ask(Method::POST, "/v2/a/blobs/uploads/", "pusher").await, 202);
    assert_eq!(ask(Method::DELETE, "/v2/a/manifests/1", "pusher").await, 403);
    lab.registry.set_gate(Gate { anonymous: Rights::Pull, ..gate });
    assert_eq!(lab.get("/v2/a/tags/list").await.status(), 200);
    assert_eq!(lab.ask(Method::POST, "/v2/a/blobs/uploads/").send().await.unwrap().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn a_bearer_token_is_good_for_its_scope_and_for_a_while() {
    let lab = Lab::new().await;
    let _ = lab.registry.push_image("a", "1", "x");
    lab.registry.set_gate(Gate::locked(Scheme::Bearer, "user", "pw", Rights::Pull));
    let challenge = lab.get("/v2/a/tags/list").await;
    let wanted = format!(
        "Bearer realm=\"{}/token\",service=\"sandbox registry\",scope=\"repository:a:pull\"",
        lab.registry.base_url()
    );
    assert_eq!(header(&challenge, "www-authenticate"), wanted);
    let token = async |scope: &str, password: &str| {
        let path = format!("/token?service=sandbox+registry&scope={scope}");
        lab.ask(Method::GET, &path).basic_auth("user", Some(password)).send().await.unwrap()
    };
    assert_eq!(token("repository:a:pull", "wrong").await.status(), 401);
    let given: Value = token("repository:a:pull,push", "pw").await.json().await.unwrap();
    assert_eq!(given["expires_in"], 300);
    let bearer = given["token"].as_str().unwrap();
    let ask = async |method: Method, path: &str| {
        lab.ask(method, path).bearer_auth(bearer).send().await.unwrap()
    };
    assert_eq!(ask(Method::GET, "/v2/a/tags/list").await.status(), 200);
    for (method, path) in [(Method::POST, "/v2/a/blobs/uploads/"), (Method::GET, "/v2/b/tags/list")]
    {
        let refused = ask(method, path).await;
        assert_eq!(refused.status(), 401);
        let challenge = header(&refused, "www-authenticate");
        assert!(challenge.ends_with("error=\"insufficient_scope\""), "{challenge}");
    }
    let form = "scope=repository:a:pull&grant_type=password&username=user&password=pw";
    let posted = lab.ask(Method::POST, "/token").body(form).send().await.unwrap();
    assert!(posted.json::<Value>().await.unwrap()["access_token"].is_string());
    tokio::time::advance(std::time::Duration::from_secs(301)).await;
    let refused = ask(Method::GET, "/v2/a/tags/list").await;
    assert!(header(&refused, "www-authenticate").ends_with("error=\"invalid_token\""));
    let mut gate = lab.registry.gate();
    gate.anonymous = Rights::Pull;
    lab.registry.set_gate(gate);
    let given: Value = lab.get("/token?scope=repository:a:pull").await.json().await.unwrap();
    let bearer = given["token"].as_str().unwrap();
    let request = lab.ask(Method::GET, "/v2/a/tags/list").bearer_auth(bearer);
    assert_eq!(request.send().await.unwrap().status(), 200, "who has no password gets a token too");
}

#[tokio::test]
async fn faults_spoil_what_they_name_and_are_counted() {
    let lab = Lab::new().await;
    let digest = lab.registry.push_image("a", "1", "x");
    lab.registry.add_fault(FaultRule::once(Route::Tags, Fault::Status(429, Some(7))));
    let limited = lab.get("/v2/a/tags/list").await;
    assert_eq!(header(&limited, "retry-after"), "7");
    assert_eq!(code(limited).await.1, "TOOMANYREQUESTS");
    assert_eq!(lab.get("/v2/a/tags/list").await.status(), 200);
    for fault in [Fault::Cut, Fault::CutAfter] {
        lab.registry.add_fault(FaultRule::once(Route::Manifest, fault));
        let path = format!("/v2/a/manifests/{digest}");
        assert!(lab.ask(Method::DELETE, &path).send().await.is_err());
    }
    assert!(lab.registry.tags("a").is_empty(), "the second one was carried out");
    let statuses: Vec<_> = lab.registry.requests().iter().map(|it| it.status).collect();
    assert_eq!(statuses[..2], [Some(429), Some(200)]);
    assert!(statuses[2..].iter().all(Option::is_none));
    lab.registry.go_down();
    assert!(lab.ask(Method::GET, "/v2/").send().await.is_err());
    lab.registry.come_back().unwrap();
    assert_eq!(lab.get("/v2/").await.status(), 200);
}

#[tokio::test]
async fn a_manifest_that_refers_to_another_is_found_from_there() {
    let lab = Lab::new().await;
    let subject = lab.registry.push_image("a", "1", "x");
    let blob = lab.put_blob("a", "{}").await;
    let part = json!({"mediaType": "application/vnd.example+json", "digest": blob, "size": 2});
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": part,
        "layers": [], "subject": {"mediaType": MANIFEST, "digest": subject, "size": 1}});
    let body = manifest.to_string();
    let path = format!("/v2/a/manifests/{}", digest_of(body.as_bytes()));
    let request = lab.ask(Method::PUT, &path).header("content-type", MANIFEST).body(body);
    assert_eq!(header(&request.send().await.unwrap(), "oci-subject"), subject);
    let path = format!("/v2/a/referrers/{subject}");
    let index: Value = lab.get(&path).await.json().await.unwrap();
    assert_eq!(index["manifests"][0]["artifactType"], "application/vnd.example+json");
    assert_eq!(lab.registry.tag_updates().len(), 1, "a push by digest moves no tag");
}

#[tokio::test]
async fn tls_is_served_with_the_registrys_own_authority() {
    let options = RegistryOptions { tls: true, ..RegistryOptions::default() };
    let registry = Registry::start(options).await.unwrap();
    let authority = registry.authority().unwrap().as_bytes();
    let authority = reqwest::Certificate::from_pem(authority).unwrap();
    let url = format!("{}/v2/", registry.base_url());
    let trusting = Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    assert_eq!(trusting.get(&url).send().await.unwrap().status(), 200);
    let other = Client::builder().no_proxy().build().unwrap();
    assert!(other.get(&url).send().await.is_err());
}
