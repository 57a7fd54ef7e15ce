//! Asking a bucket over the wire: whether it is there, what it lists, and its objects.
//!
//! As Flux's client does: the bucket first, then the ignore file at its root, then the list page by
//! page. Everything runs on a thread of its own, so that paused time does not run away from real
//! sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, StatusCode};
use jiff::Timestamp;
use reqwest::{Client, Response, Url};
use tokio::runtime::Handle;

use crate::bucket::signature::{self, Request, encode};
use crate::flux::artifacts::Files;
use crate::flux::source::ignore;

/// The ignore file at the root of a bucket.
const IGNORE_FILE: &str = ".sourceignore";

/// A bucket, and what it is asked with. Not for printing.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) endpoint: String,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) ignore: String,
    pub(super) region: String,
    pub(super) insecure: bool,
    /// Access key and secret key.
    pub(super) keys: Option<(String, String)>,
    /// The authority that signs the server's certificate, as PEM.
    pub(super) authority: Option<Vec<u8>>,
    pub(super) timeout: Duration,
}

/// Key and tag of every object that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index(BTreeMap<String, String>);

/// A conversation with one server.
struct Session<'a> {
    access: &'a Access,
    client: Client,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// One line for each object, in the order of the keys.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(key, etag)| format!("{key} {etag}\n"))
    }
}

impl Access {
    /// What the bucket holds by now.
    pub(super) async fn index(self) -> Result<Index, String> {
        on_a_thread(async move { Session::open(&self)?.index().await }).await
    }

    /// The objects of an index, and the index without those that are gone by now.
    pub(super) async fn fetch(self, index: Index) -> Result<(Index, Files), String> {
        on_a_thread(async move { Session::open(&self)?.fetch(index).await }).await
    }
}

impl<'a> Session<'a> {
    fn open(access: &'a Access) -> Result<Self, String> {
        let mut client = Client::builder().no_proxy().timeout(access.timeout);
        client = client.user_agent("MinIO (linux; amd64) minio-go").pool_max_idle_per_host(0);
        if let Some(authority) = &access.authority {
            let authority = reqwest::Certificate::from_pem(authority);
            client = client.tls_certs_only([authority.map_err(|error| error.to_string())?]);
        }
        Ok(Self { access, client: client.build().map_err(|error| error.to_string())? })
    }

    async fn index(&self) -> Result<Index, String> {
        let bucket = &self.access.bucket;
        let answer = self.ask(Method::HEAD, "", "").await;
        let answer = answer
            .map_err(|why| format!("failed to confirm existence of '{bucket}' bucket: {why}"))?;
        match answer.status() {
            StatusCode::NOT_FOUND => return Err(format!("bucket '{bucket}' not found")),
            status if !status.is_success() => {
                let why = said(status);
                return Err(format!("failed to confirm existence of '{bucket}' bucket: {why}"));
            }
            _ => {}
        }
        let root = self.object(IGNORE_FILE).await;
        let root =
            root.map_err(|why| format!("failed to get Etag for '{IGNORE_FILE}' object: {why}"))?;
        let root = String::from_utf8_lossy(&root.unwrap_or_default()).into_owned();
        let mut index = BTreeMap::new();
        let mut token = String::new();
        loop {
            let page = self.page(&token).await;
            let page = page.map_err(|why| {
                format!("indexation of objects from bucket '{bucket}' failed: {why}")
            })?;
            for object in elements(&page, "Contents") {
                let (key, etag) = (element(object, "Key"), element(object, "ETag"));
                let counts = !key.ends_with('/')
                    && key != IGNORE_FILE
                    && !ignore::leaves_out(&root, &self.access.ignore, &key);
                if counts {
                    index.insert(key, etag.trim_matches('"').to_owned());
                }
            }
            token = element(&page, "NextContinuationToken");
            if token.is_empty() {
                return Ok(Index(index));
            }
        }
    }

    async fn page(&self, token: &str) -> Result<String, String> {
        let prefix = encode(&self.access.prefix, b"");
        let mut query = format!("list-type=2&prefix={prefix}");
        if !token.is_empty() {
            query = format!("continuation-token={}&{query}", encode(token, b""));
        }
        let answer = self.ask(Method::GET, "", &query).await?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(text) } else { Err(said_in(&text, status)) }
    }

    async fn fetch(&self, index: Index) -> Result<(Index, Files), String> {
        let (mut left, mut files) = (BTreeMap::new(), Files::new());
        for (key, etag) in index.0 {
            let object = self.object(&key).await;
            let object = object.map_err(|why| format!("failed to get '{key}' object: {why}"))?;
            if let Some(body) = object {
                files.insert(key.clone(), body);
                left.insert(key, etag);
            }
        }
        Ok((Index(left), files))
    }

    /// The bytes of an object; none if it is not there.
    async fn object(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let answer = self.ask(Method::GET, key, "").await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
                Ok(Some(bytes.to_vec()))
            }
            status => Err(said_in(&answer.text().await.unwrap_or_default(), status)),
        }
    }

    async fn ask(&self, method: Method, key: &str, query: &str) -> Result<Response, String> {
        let Access { endpoint, bucket, region, insecure, keys, .. } = self.access;
        let scheme = if *insecure { "http" } else { "https" };
        let path = format!("/{}/{}", encode(bucket, b""), encode(key, b"/"));
        let question = if query.is_empty() { String::new() } else { format!("?{query}") };
        let url = format!("{scheme}://{endpoint}{path}{question}");
        let url = Url::parse(&url).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        if let Ok(host) = endpoint.parse() {
            headers.insert(http::header::HOST, host);
        }
        let mut request = self.client.request(method.clone(), url);
        if let Some((access, secret)) = keys {
            let what = Request { method: method.as_str(), path: &path, query, headers: &headers };
            for (name, value) in signature::prove(&what, (access, secret), region, Timestamp::now())
            {
                request = request.header(HeaderName::from_static(name), value);
            }
        }
        request.send().await.map_err(|error| {
            if error.is_connect() {
                format!(
                    "{method} \"{scheme}://{endpoint}{path}\": dial tcp {endpoint}: connect: \
                         connection refused"
                )
            } else {
                error.without_url().to_string()
            }
        })
    }
}

/// What Flux's client says of a refusal that has no body.
fn said(status: StatusCode) -> String {
    if status == StatusCode::FORBIDDEN { "Access Denied.".to_owned() } else { status.to_string() }
}

fn said_in(body: &str, status: StatusCode) -> String {
    let message = element(body, "Message");
    if message.is_empty() { said(status) } else { message }
}

/// The texts between the tags of an element.
fn elements<'x>(xml: &'x str, name: &str) -> Vec<&'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(open.as_str()).skip(1);
    parts.filter_map(|it| it.split(close.as_str()).next()).collect()
}

/// The text of the first such element, empty without one.
fn element(xml: &str, name: &str) -> String {
    let text = elements(xml, name).first().copied().unwrap_or_default();
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

async fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work)).await;
    done.unwrap_or_else(|_| Err("context canceled".to_owned()))
}
