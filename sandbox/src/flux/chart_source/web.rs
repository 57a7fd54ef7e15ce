//! Reading chart repositories over HTTP, with the words that Flux has for what goes wrong.
//!
//! On a thread of its own: in a test with virtual time, time stands still meanwhile.

use std::time::Duration;

use crate::flux::gotime;
use crate::flux::registry::on_a_thread;
use crate::flux::secrets;
use crate::store::Store;
use serde_json::Value;

/// The longest time for an answer where the object does not say.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A chart repository, and what it is asked with. Not for printing.
#[derive(Clone)]
pub(super) struct Web {
    base: String,
    account: Option<(String, String)>,
    timeout: Duration,
}

impl Web {
    /// Reads what a `HelmRepository` names.
    pub(super) fn of(store: &Store, repository: &Value) -> Result<Self, String> {
        let spec = &repository["spec"];
        let namespace = repository["metadata"]["namespace"].as_str().unwrap_or_default();
        let mut account = None;
        if let Some(name) = spec["secretRef"]["name"].as_str() {
            let read = |key| secrets::read_text(store, namespace, name, key);
            let found = read("username").zip(read("password"));
            let missing = || {
                format!(
                    "failed to configure Helm client: failed to get authentication secret: \
                     secrets \"{name}\" not found"
                )
            };
            account = Some(found.ok_or_else(missing)?);
        }
        let timeout = spec["timeout"].as_str().and_then(gotime::parse).unwrap_or(TIMEOUT);
        let base = spec["url"].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Self { base, account, timeout })
    }

    /// The repository's index.
    pub(super) async fn index(self) -> Result<Vec<u8>, String> {
        let url = format!("{}/index.yaml", self.base);
        self.get(url).await
    }

    /// A file that an index names, from the repository on or in full.
    pub(super) async fn file(self, name: &str) -> Result<Vec<u8>, String> {
        let full = name.contains("://");
        let url = if full { name.to_owned() } else { format!("{}/{name}", self.base) };
        self.get(url).await
    }

    async fn get(self, url: String) -> Result<Vec<u8>, String> {
        on_a_thread(async move {
            let client = reqwest::Client::builder().no_proxy().timeout(self.timeout);
            let client = client.pool_max_idle_per_host(0).build();
            let client = client.map_err(|error| error.to_string())?;
            let mut request = client.get(&url);
            if let Some((user, password)) = &self.account {
                request = request.basic_auth(user, Some(password));
            }
            let answer = request.send().await.map_err(|error| unreachable(&url, &error))?;
            if !answer.status().is_success() {
                return Err(format!("failed to fetch {url} : {}", answer.status()));
            }
            let bytes = answer.bytes().await.map_err(|error| unreachable(&url, &error))?;
            Ok(bytes.to_vec())
        })
        .await
    }
}

fn unreachable(url: &str, error: &reqwest::Error) -> String {
    let host = error.url().and_then(|it| Some(format!("{}:{}", it.host_str()?, it.port()?)));
    let why = if error.is_timeout() {
        "context deadline exceeded".to_owned()
    } else if error.is_connect() {
        let host = host.unwrap_or_default();
        format!("dial tcp {host}: connect: connection refused")
    } else {
        "EOF".to_owned()
    };
    format!("Get \"{url}\": {why}")
}
