//! The Kubernetes API over real HTTP, and the kit that these tests share.

mod access;
mod discovery;
mod faults;
mod kubectl;
mod lists;
mod tls;
mod watches;
mod writes;

use std::time::Duration;

use hopclock_sandbox::{
    api::{ApiServer, Options, serve},
    store::Store,
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// How long a test waits for something that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const WIDGETS: &str = "/apis/lab.hopclock.dev/v1/namespaces/lab/widgets";
pub(super) const MAPS: &str = "/api/v1/namespaces/lab/configmaps";

/// A server with its store and a client that is its administrator.
pub(super) struct Lab {
    pub(super) store: Store,
    pub(super) server: ApiServer,
    client: Client,
    token: String,
}

/// The lines of a watch as they come.
pub(super) struct Lines {
    response: Response,
    buffer: Vec<u8>,
}

impl Lab {
    pub(super) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(super) async fn with(options: Options) -> Self {
        let store = Store::new();
        let server = serve(store.clone(), options).await.unwrap();
        let token = server.admin_token().to_owned();
        Self { store, server, client: Client::builder().no_proxy().build().unwrap(), token }
    }

    /// The same server seen by another user.
    pub(super) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url())).bearer_auth(token)
    }

    pub(super) fn without_token(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.server.url()))
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.request(Method::GET, path, &self.token)).await
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        answer(self.request(method, path, &self.token).json(body)).await
    }

    pub(super) async fn patch(&self, path: &str, sort: &str, body: &str) -> (u16, Value) {
        let request = self.request(Method::PATCH, path, &self.token);
        answer(request.header("content-type", sort).body(body.to_owned())).await
    }

    pub(super) async fn watch(&self, path: &str) -> Lines {
        let response = self.request(Method::GET, path, &self.token).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        Lines { response, buffer: Vec::new() }
    }

    pub(super) fn widget(&self, name: &str, labels: &Value) -> u64 {
        let metadata = json!({ "name": name, "namespace": "lab", "labels": labels });
        let object = json!({ "kind": "Widget", "metadata": metadata, "spec": { "size": 1 } });
        self.store.create(object, "test").unwrap();
        self.store.version()
    }

    pub(super) fn grow(&self, name: &str, size: u64) -> u64 {
        use hopclock_sandbox::store::{Key, Part};
        let patch = json!({ "spec": { "size": size } });
        self.store.merge(&Key::new("Widget", "lab", name), &patch, Part::Whole, "test").unwrap();
        self.store.version()
    }
}

impl Lines {
    /// The next event; nothing when the stream ended cleanly, an error when it broke.
    pub(super) async fn try_next(&mut self) -> Result<Option<Value>, reqwest::Error> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).unwrap()));
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            match chunk.await.expect("something has to come")? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// `TYPE name` of the next event, or `end`.
    pub(super) async fn next(&mut self) -> String {
        match self.try_next().await.unwrap() {
            Some(event) => {
                let name = event["object"]["metadata"]["name"].as_str().unwrap_or("-");
                format!("{} {name}", event["type"].as_str().unwrap())
            }
            None => "end".to_owned(),
        }
    }

    /// What can be read without waiting.
    pub(super) async fn nothing_yet(&mut self) -> bool {
        self.buffer.is_empty()
            && tokio::time::timeout(Duration::ZERO, self.response.chunk()).await.is_err()
    }
}

pub(super) async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    let value = serde_json::from_slice(&body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    (status, value)
}

/// `code reason` and the message of a refusal.
pub(super) fn refusal((code, status): (u16, Value)) -> (String, String) {
    assert_eq!(status["kind"], "Status", "{status}");
    assert_eq!(status["status"], "Failure");
    assert_eq!(status["code"], code);
    let reason = status["reason"].as_str().unwrap();
    (format!("{code} {reason}"), status["message"].as_str().unwrap().to_owned())
}
