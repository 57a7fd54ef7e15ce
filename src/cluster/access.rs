//! Finds the API server and our credentials: kubeconfig, context, service account, proxy.
//!
//! What the environment says (`KUBECONFIG`, `HTTPS_PROXY`, `NO_PROXY`) is read by the command
//! line and handed in. Where no kubeconfig is named, kube looks for it itself, at its usual
//! place, and for a pod's service account, whose address stands in variables of the pod.

use crate::cluster::{Error, Timing, refusal};
use http::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Which cluster to talk to, and how.
#[derive(Clone, Default)]
pub struct ClusterOptions {
    /// The kubeconfigs, merged, the first one that says something wins; of several, those that do
    /// not exist are passed over. None: the one at its usual place, else the pod's account.
    pub kubeconfigs: Vec<PathBuf>,
    /// A kubeconfig that is no file. It goes before the others.
    pub given: Option<KubeconfigText>,
    /// The kubeconfig's context; its current one by default.
    pub context: Option<String>,
    /// `HTTPS_PROXY`: the way to an https API server, unless the kubeconfig has a `proxy-url`.
    pub https_proxy: Option<String>,
    /// `NO_PROXY`: hosts that are reached without it.
    pub no_proxy: Option<String>,
    /// How long to wait for what.
    pub timing: Timing,
}

/// A kubeconfig that came out of a Secret. Whoever may write that must not have us run programs or
/// read files, so it has to hold all that it needs.
#[derive(Clone)]
pub struct KubeconfigText {
    /// What it says.
    pub text: SecretString,
    /// Where it came from, for messages.
    pub from: String,
}

/// The API server's address without what may be secret, and all that is needed to reach it.
pub(super) struct Access {
    pub(super) server: String,
    pub(super) config: Config,
}

// === impl ClusterOptions ===

/// Without the proxy, whose address may hold a password.
impl fmt::Debug for ClusterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterOptions")
            .field("kubeconfigs", &self.kubeconfigs)
            .field("context", &self.context)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// Finds the API server and our credentials.
pub(super) async fn find(options: &ClusterOptions) -> Result<Access, Error> {
    let Some((kubeconfig, path)) = read(options)? else {
        return service_account(options);
    };
    let own_proxy = own_proxy(&kubeconfig, options.context.as_deref());
    check_context(&kubeconfig, options.context.as_deref(), &path)?;
    check_parts(&kubeconfig, options.context.as_deref(), &path)?;
    let choice =
        KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &choice).await;
    let config = config.map_err(|it| unusable(&it, path))?;
    finished(config, own_proxy, options)
}

/// Makes a client; may run a credential plugin, so it blocks.
pub(super) fn client(server: &str, config: Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(|it| match it {
        kube::Error::ProxyProtocolUnsupported { .. }
        | kube::Error::ProxyProtocolDisabled { .. } => {
            let problem = "it must be http, https or socks5";
            Error::Proxy { server: server.to_owned(), problem }
        }
        kube::Error::RustlsTls(_) => Error::Credentials {
            server: server.to_owned(),
            problem: "a certificate or key is no PEM, or they do not belong together".to_owned(),
        },
        other => refusal::unreachable(server, &other),
    })
}

fn read(options: &ClusterOptions) -> Result<Option<(Kubeconfig, String)>, Error> {
    if let Some(KubeconfigText { text, from }) = &options.given {
        let kubeconfig = Kubeconfig::from_yaml(text.expose_secret());
        let kubeconfig = kubeconfig.map_err(|it| unreadable(&it, from.clone()))?;
        check_self_contained(&kubeconfig, from)?;
        return Ok(Some((kubeconfig, from.clone())));
    }
    if options.kubeconfigs.is_empty() {
        let path = "~/.kube/config".to_owned();
        return match Kubeconfig::read() {
            Ok(kubeconfig) => Ok(Some((kubeconfig, path))),
            Err(KubeconfigError::FindPath) if options.context.is_none() => Ok(None),
            Err(KubeconfigError::ReadConfig(problem, _))
                if options.context.is_none() && problem.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(unreadable(&error, path)),
        };
    }
    let several = options.kubeconfigs.len() > 1;
    let mut merged: Option<(Kubeconfig, String)> = None;
    for path in &options.kubeconfigs {
        let shown = path.display().to_string();
        if several && is_missing(path) {
            continue;
        }
        let next = Kubeconfig::read_from(path).map_err(|it| unreadable(&it, shown.clone()))?;
        merged = Some(match merged {
            Some((first, paths)) => {
                let paths = format!("{paths}:{shown}");
                (first.merge(next).map_err(|it| unusable(&it, paths.clone()))?, paths)
            }
            None => (next, shown),
        });
    }
    merged.map(Some).ok_or_else(|| Error::KubeconfigUnreadable {
        path: options.kubeconfigs[0].display().to_string(),
        problem: "none of the kubeconfigs exists".to_owned(),
    })
}

fn service_account(options: &ClusterOptions) -> Result<Access, Error> {
    let config = Config::incluster().map_err(|_| Error::NoCluster)?;
    finished(config, None, options)
}

fn finished(
    mut config: Config,
    own_proxy: Option<String>,
    options: &ClusterOptions,
) -> Result<Access, Error> {
    let server = shown(&config.cluster_url);
    // kube logs the address of each request; a password in it is of no use, and must not be there.
    config.cluster_url =
        server.parse().map_err(|_| Error::UnknownHost { server: server.clone() })?;
    // kube compares NO_PROXY with the proxy's address instead of the API server's.
    let proxy = own_proxy.or_else(|| proxy_for(&config.cluster_url, options));
    config.proxy_url = match proxy {
        Some(url) => Some(
            url.parse()
                .map_err(|_| Error::Proxy { server: server.clone(), problem: "it is no URL" })?,
        ),
        None => None,
    };
    config.default_retry = false;
    config.connect_timeout = Some(options.timing.answer);
    Ok(Access { server, config })
}

fn proxy_for(server: &http::Uri, options: &ClusterOptions) -> Option<String> {
    let proxy = options.https_proxy.as_ref().filter(|it| !it.is_empty())?;
    let except = options.no_proxy.clone().unwrap_or_default();
    // Only asked whether the server is excepted: it takes no notice of a proxy it does not like.
    let matcher = Matcher::builder().https("http://proxy").no(except).build();
    let scheme = if proxy.contains("://") { "" } else { "http://" };
    matcher.intercept(server).map(|_| format!("{scheme}{proxy}"))
}

fn own_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|it| it.name == context)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|it| it.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|it| !it.is_empty())
}

fn check_context(kubeconfig: &Kubeconfig, context: Option<&str>, path: &str) -> Result<(), Error> {
    let wanted = context.or(kubeconfig.current_context.as_deref()).unwrap_or_default();
    if kubeconfig.contexts.iter().any(|it| it.name == wanted) {
        return Ok(());
    }
    let known: Vec<_> = kubeconfig.contexts.iter().map(|it| format!("`{}`", it.name)).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Error::NoSuchContext { path: path.to_owned(), context: wanted.to_owned(), known })
}

/// Refuses what kube would take for nobody's credentials, or not survive: an unknown user, a token
/// that fits in no header, and a server without a scheme.
fn check_parts(kubeconfig: &Kubeconfig, context: Option<&str>, path: &str) -> Result<(), Error> {
    let unusable = |problem: String| Error::KubeconfigUnusable { path: path.to_owned(), problem };
    let wanted = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|it| Some(it.name.as_str()) == wanted);
    let Some(context) = context.and_then(|it| it.context.as_ref()) else { return Ok(()) };
    let cluster = kubeconfig.clusters.iter().find(|it| it.name == context.cluster);
    let server = cluster.and_then(|it| it.cluster.as_ref()?.server.as_deref());
    if server.is_some_and(|it| !it.starts_with("https://") && !it.starts_with("http://")) {
        let problem = "the `server` of its cluster begins with neither `https://` nor `http://`";
        return Err(unusable(problem.to_owned()));
    }
    let Some(name) = context.user.as_ref().filter(|it| !it.is_empty()) else { return Ok(()) };
    let Some(user) = kubeconfig.auth_infos.iter().find(|it| it.name == *name) else {
        return Err(unusable(format!("it has no user `{name}`, which its context names")));
    };
    let token = user.auth_info.as_ref().and_then(|it| it.token.as_ref());
    let fits = |it: &SecretString| HeaderValue::from_str(it.expose_secret()).is_ok();
    if token.is_some_and(|it| !fits(it)) {
        return Err(unusable(format!("the token of its user `{name}` is broken over lines")));
    }
    Ok(())
}

/// Refuses a kubeconfig that runs programs or reads files.
fn check_self_contained(kubeconfig: &Kubeconfig, path: &str) -> Result<(), Error> {
    let clusters = kubeconfig.clusters.iter().filter_map(|it| it.cluster.as_ref());
    let reads_authority = clusters.filter(|it| it.certificate_authority.is_some()).count() > 0;
    let mut users = kubeconfig.auth_infos.iter().filter_map(|it| it.auth_info.as_ref());
    let needs_more = users.any(|it| {
        let files = [&it.client_certificate, &it.client_key, &it.token_file];
        it.exec.is_some() || it.auth_provider.is_some() || files.iter().any(|it| it.is_some())
    });
    if !reads_authority && !needs_more {
        return Ok(());
    }
    let problem = "it runs a program or reads files, which a kubeconfig in a Secret must not: give \
                   it a token or certificates in the `-data` keys";
    Err(Error::KubeconfigUnusable { path: path.to_owned(), problem: problem.to_owned() })
}

fn is_missing(path: &Path) -> bool {
    path.try_exists().is_ok_and(|it| !it)
}

/// The address without credentials that may stand in it.
fn shown(url: &http::Uri) -> String {
    let host = url.authority().map(|it| it.as_str().rsplit('@').next().unwrap_or_default());
    let scheme = url.scheme_str().unwrap_or("https");
    format!("{scheme}://{}{}", host.unwrap_or_default(), url.path().trim_end_matches('/'))
}

fn unreadable(error: &KubeconfigError, path: String) -> Error {
    match error {
        KubeconfigError::ReadConfig(problem, path) => Error::KubeconfigUnreadable {
            path: path.display().to_string(),
            problem: refusal::shortened(&problem.to_string()),
        },
        KubeconfigError::Parse(problem) => {
            let place = problem.location().map_or_else(String::new, |it| {
                format!(" at line {}, column {}", it.line(), it.column())
            });
            Error::KubeconfigMalformed { path, place }
        }
        other => unusable(other, path),
    }
}

/// What is wrong with a kubeconfig; its file names are shown, its content is not.
fn unusable(error: &KubeconfigError, path: String) -> Error {
    use kube::config::LoadDataError::{DecodeBase64, NoBase64DataOrFile, ReadFile};
    let what = match error {
        KubeconfigError::LoadCertificateAuthority(_) => "certificate authority",
        KubeconfigError::LoadClientCertificate(_) => "client certificate",
        KubeconfigError::LoadClientKey(_) => "client key",
        _ => "",
    };
    let problem = match error {
        KubeconfigError::LoadCertificateAuthority(problem)
        | KubeconfigError::LoadClientCertificate(problem)
        | KubeconfigError::LoadClientKey(problem) => match problem {
            DecodeBase64(_) => format!("its {what} is no base64"),
            ReadFile(problem, file) => {
                format!("its {what} `{}` cannot be read ({problem})", file.display())
            }
            NoBase64DataOrFile => format!("its {what} is empty"),
        },
        KubeconfigError::ParseCertificates(_) => "its certificate authority is no PEM".to_owned(),
        KubeconfigError::LoadClusterOfContext(cluster) => {
            format!("it has no cluster `{cluster}`, which its context names")
        }
        KubeconfigError::MissingClusterUrl => "its cluster has no `server`".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => "the `server` of its cluster is no URL".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "its `proxy-url` or HTTPS_PROXY is no URL".to_owned(),
        KubeconfigError::ParseNoProxy(_) => "NO_PROXY is malformed".to_owned(),
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "the files are of different kinds".to_owned()
        }
        _ => "something that its context needs is missing".to_owned(),
    };
    Error::KubeconfigUnusable { path, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, no_proxy: &str) -> Option<String> {
        let options = ClusterOptions {
            https_proxy: Some("http://proxy.corp:3128".to_owned()),
            no_proxy: Some(no_proxy.to_owned()),
            ..ClusterOptions::default()
        };
        proxy_for(&server.parse().unwrap(), &options)
    }

    #[test]
    fn a_proxy_is_passed_by_for_the_hosts_that_no_proxy_names() {
        let way = Some("http://proxy.corp:3128".to_owned());
        assert_eq!(proxy("https://10.1.2.3:6443", ""), way);
        assert_eq!(proxy("https://10.1.2.3:6443", "proxy.corp"), way);
        assert_eq!(proxy("https://10.1.2.3:6443", "10.0.0.0/8"), None);
        assert_eq!(proxy("https://api.lab.example", ".lab.example"), None);
        assert_eq!(proxy("http://10.1.2.3:8080", ""), None, "HTTPS_PROXY is for https");
    }

    #[test]
    fn credentials_in_an_address_are_not_shown() {
        let url = "https://user:planted@api.example:6443/k8s/".parse().unwrap();
        assert_eq!(shown(&url), "https://api.example:6443/k8s");
        let https_proxy = Some("http://user:planted@proxy:3128".to_owned());
        let options = ClusterOptions { https_proxy, ..ClusterOptions::default() };
        assert!(!format!("{options:?}").contains("planted"));
    }
}
