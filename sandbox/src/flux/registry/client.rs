//! Asking a registry over the wire: its tags page by page, the digest of one of them, manifests and
//! blobs.
//!
//! As Flux's client does: `/v2/` first, to hear how the registry wants to be asked, then a token
//! where one is wanted. Everything runs on a thread of its own, so that paused time does not run
//! away from real sockets.

use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderMap;
use http::Method;
use http::StatusCode;
use http::header;
use reqwest::Client;
use reqwest::Response;
use reqwest::Url;
use serde_json::Value;
use tokio::runtime::Handle;

use super::reference::ImageName;
use crate::flux::artifacts::hex;

/// A registry, and what it is asked with. Not for printing.
#[derive(Clone)]
pub(crate) struct Access {
    /// The repository.
    pub(crate) image: ImageName,
    /// Whether plain HTTP is all right.
    pub(crate) insecure: bool,
    /// User and password.
    pub(crate) credentials: Option<(String, String)>,
    /// The authority that signs the registry's certificate, as PEM.
    pub(crate) authority: Option<Vec<u8>>,
    /// The longest time for one answer.
    pub(crate) timeout: Duration,
}

/// Conversation with one registry.
struct Session<'a> {
    access: &'a Access,
    client: Client,
    base: String,
    proof: Proof,
}

/// A manifest as it lies in the registry.
pub(crate) struct Manifest {
    /// The digest of its bytes.
    pub(crate) digest: String,
    /// What it says.
    pub(crate) body: Value,
}

enum Proof {
    None,
    Basic(String, String),
    Bearer(String),
}

impl Access {
    /// All tags of the repository.
    pub(crate) async fn tags(self) -> Result<Vec<String>, String> {
        on_a_thread(async move { Session::open(&self).await?.tags().await }).await
    }

    /// The digest of the manifest behind a tag.
    pub(crate) async fn digest(self, tag: String) -> Result<String, String> {
        on_a_thread(async move { Session::open(&self).await?.digest(&tag).await }).await
    }

    /// The manifest behind a tag or digest.
    pub(crate) async fn manifest(self, reference: String) -> Result<Manifest, String> {
        on_a_thread(async move { Session::open(&self).await?.manifest(&reference).await }).await
    }

    /// The bytes of a blob.
    pub(crate) async fn blob(self, digest: String) -> Result<Vec<u8>, String> {
        on_a_thread(async move { Session::open(&self).await?.blob(&digest).await }).await
    }
}

impl<'a> Session<'a> {
    async fn open(access: &'a Access) -> Result<Self, String> {
        let mut client = Client::builder().no_proxy().timeout(access.timeout);
        client = client.user_agent("go-containerregistry").pool_max_idle_per_host(0);
        if let Some(authority) = &access.authority {
            let authority = reqwest::Certificate::from_pem(authority);
            client = client.tls_certs_only([authority.map_err(|error| error.to_string())?]);
        }
        let client = client.build().map_err(|error| error.to_string())?;
        let local = access.authority.is_none() && access.image.is_local();
        let scheme = if access.insecure || local { "http" } else { "https" };
        let base = format!("{scheme}://{}", access.image.host);
        let mut session = Self { access, client, base, proof: Proof::None };
        session.prove().await?;
        Ok(session)
    }

    /// Asks how the registry wants to be asked, and gets what that takes.
    async fn prove(&mut self) -> Result<(), String> {
        let url = format!("{}/v2/", self.base);
        let answer = self.client.get(&url).send().await;
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return if answer.status().is_success() { Ok(()) } else { Err(refused(answer).await) };
        }
        let challenge = text(answer.headers(), header::WWW_AUTHENTICATE.as_str());
        let credentials = self.access.credentials.clone();
        self.proof = match (challenge.split_once(' '), credentials) {
            (Some(("Bearer", parameters)), credentials) => {
                Proof::Bearer(self.token(parameters, credentials).await?)
            }
            (_, Some((user, password))) => Proof::Basic(user, password),
            (_, None) => Proof::None,
        };
        Ok(())
    }

    async fn token(
        &self,
        parameters: &str,
        credentials: Option<(String, String)>,
    ) -> Result<String, String> {
        let scope = format!("repository:{}:pull", self.access.image.repository);
        let service = parameter(parameters, "service");
        let pairs = [("scope", scope.as_str()), ("service", service)];
        let realm = Url::parse_with_params(parameter(parameters, "realm"), pairs)
            .map_err(|_| "malformed www-authenticate header, missing realm".to_owned())?;
        let mut request = self.client.get(realm);
        if let Some((user, password)) = credentials {
            request = request.basic_auth(user, Some(password));
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        let body: Value = answer.json().await.map_err(|error| error.to_string())?;
        let token = body["token"].as_str().or(body["access_token"].as_str());
        token.map(str::to_owned).ok_or_else(|| format!("no token in bearer response:\n{body}"))
    }

    async fn tags(&self) -> Result<Vec<String>, String> {
        let path = format!("/v2/{}/tags/list?n=1000", self.access.image.repository);
        let (mut next, mut tags) = (Some(path), Vec::new());
        while let Some(path) = next {
            let answer = self.ask(Method::GET, &path).await?;
            let link = text(answer.headers(), header::LINK.as_str());
            next = link
                .strip_prefix('<')
                .and_then(|it| it.split_once('>'))
                .map(|(path, _)| path.strip_prefix(self.base.as_str()).unwrap_or(path).to_owned());
            let page: Value = answer.json().await.map_err(|error| error.to_string())?;
            let page = page["tags"].as_array().into_iter().flatten();
            tags.extend(page.filter_map(Value::as_str).map(str::to_owned));
        }
        Ok(tags)
    }

    async fn digest(&self, tag: &str) -> Result<String, String> {
        let path = format!("/v2/{}/manifests/{tag}", self.access.image.repository);
        let answer = self.ask(Method::HEAD, &path).await?;
        let digest = text(answer.headers(), "docker-content-digest");
        if digest.is_empty() {
            return Err(format!("HEAD {}{path}: response did not include a digest", self.base));
        }
        Ok(digest)
    }

    async fn manifest(&self, reference: &str) -> Result<Manifest, String> {
        let path = format!("/v2/{}/manifests/{reference}", self.access.image.repository);
        let answer = self.ask(Method::GET, &path).await?;
        let bytes = answer.bytes().await.map_err(|error| error.to_string())?;
        let hash = digest::digest(&digest::SHA256, &bytes);
        let digest = format!("sha256:{}", hex(hash.as_ref()));
        let body = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        Ok(Manifest { digest, body })
    }

    async fn blob(&self, digest: &str) -> Result<Vec<u8>, String> {
        let path = format!("/v2/{}/blobs/{digest}", self.access.image.repository);
        let answer = self.ask(Method::GET, &path).await?;
        Ok(answer.bytes().await.map_err(|error| error.to_string())?.to_vec())
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Response, String> {
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        request = request.header(
            header::ACCEPT,
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
             application/vnd.docker.distribution.manifest.list.v2+json, \
             application/vnd.docker.distribution.manifest.v2+json",
        );
        request = match &self.proof {
            Proof::None => request,
            Proof::Basic(user, password) => request.basic_auth(user, Some(password)),
            Proof::Bearer(token) => request.bearer_auth(token),
        };
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(answer).await) }
    }

    /// What Flux says of a registry that does not answer; it has tried both schemes.
    fn unreachable(&self, error: &reqwest::Error) -> String {
        let host = &self.access.image.host;
        let why = if error.is_connect() && self.base.starts_with("http:") {
            format!("dial tcp {host}: connect: connection refused")
        } else if error.is_timeout() {
            "context deadline exceeded".to_owned()
        } else if error.is_connect() {
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
                .to_owned()
        } else {
            "EOF".to_owned()
        };
        let tried = |scheme: &str| format!("Get \"{scheme}://{host}/v2/\": {why}");
        if self.base.starts_with("https:") {
            return tried("https");
        }
        format!("{}; {}", tried("https"), tried("http"))
    }
}

/// What Flux says of a refusal: the request, the code and the message.
async fn refused(answer: Response) -> String {
    let (status, url) = (answer.status(), answer.url().clone());
    let body: Value = answer.json().await.unwrap_or_default();
    let problem = &body["errors"][0];
    match (problem["code"].as_str(), problem["message"].as_str()) {
        (Some(code), Some(message)) => {
            let detail = problem["detail"].as_object().map(go_map);
            let detail = detail.map(|it| format!("; {it}")).unwrap_or_default();
            format!("GET {url}: {code}: {message}{detail}")
        }
        _ => format!("GET {url}: unexpected status code {status}"),
    }
}

/// An object as Go prints a map.
fn go_map(object: &serde_json::Map<String, Value>) -> String {
    let pair = |(key, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{key}:{value}")
    };
    format!("map[{}]", object.iter().map(pair).collect::<Vec<_>>().join(" "))
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// A parameter of a challenge.
fn parameter<'c>(challenge: &'c str, name: &str) -> &'c str {
    let start = format!("{name}=\"");
    let rest = challenge.split_once(start.as_str()).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = Result<T, String>> + Send + 'static,
) -> Result<T, String> {
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || runtime.block_on(work)).await;
    done.unwrap_or_else(|_| Err("context canceled".to_owned()))
}
