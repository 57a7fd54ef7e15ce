//! Who may do what: open, basic, or bearer tokens from an endpoint that looks at scopes.
//!
//! As with real registries a wrong password is found out at the token endpoint, a missing right
//! only when the token is used, and an expired token looks like none.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method, header};
use reqwest::Url;
use serde_json::json;
use tokio::time::Instant;

use super::place::Place;
use super::refusal::{errors, json, refuse, status};
use super::{Shared, State};
use crate::loopback::Answer;

/// How clients prove themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Not at all: everybody may do everything.
    #[default]
    Open,
    /// User and password with every request.
    Basic,
    /// A token that the registry's own endpoint gives out for user and password.
    Bearer,
}

/// What an account may do in every repository; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Rights {
    /// Nothing.
    #[default]
    None,
    /// Read tags, manifests and blobs.
    Pull,
    /// Write them.
    Push,
    /// Remove them.
    Delete,
}

/// User, password and what they allow. Not for printing.
#[derive(Clone)]
pub struct Account {
    /// The user's name.
    pub user: String,
    /// The password, or the token that stands in its place.
    pub password: String,
    /// What it may do.
    pub rights: Rights,
}

/// Who may do what in a registry. Not for printing.
#[derive(Clone)]
pub struct Gate {
    /// How clients prove themselves.
    pub scheme: Scheme,
    /// Who can prove something.
    pub accounts: Vec<Account>,
    /// What those may do who prove nothing; of no effect where the scheme is open.
    pub anonymous: Rights,
    /// How long a bearer token is good for.
    pub token_life: Duration,
}

/// Bearer tokens that were given out: their scopes and their end.
#[derive(Default)]
pub(super) struct Tokens(HashMap<String, (Vec<(String, Rights)>, Instant)>);

impl Default for Gate {
    fn default() -> Self {
        let scheme = Scheme::default();
        let (accounts, anonymous) = (Vec::new(), Rights::None);
        Self { scheme, accounts, anonymous, token_life: Duration::from_secs(300) }
    }
}

impl Gate {
    /// A registry that wants one account's credentials for everything.
    #[must_use]
    pub fn locked(scheme: Scheme, user: &str, password: &str, rights: Rights) -> Self {
        let (user, password) = (user.to_owned(), password.to_owned());
        let accounts = vec![Account { user, password, rights }];
        Self { scheme, accounts, ..Self::default() }
    }

    /// The rights behind a header, or behind none; nothing if the header proves nothing.
    fn rights(&self, header: Option<&str>) -> Option<Rights> {
        let Some(header) = header else { return Some(self.anonymous) };
        let fits = |account: &&Account| header == account.header();
        self.accounts.iter().find(fits).map(|account| account.rights)
    }
}

impl Account {
    fn header(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl Rights {
    fn needed(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Pull,
            Method::DELETE => Self::Delete,
            _ => Self::Push,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pull => "pull",
            Self::Push => "pull,push",
            Self::Delete => "delete",
        }
    }

    fn of_actions(actions: &str) -> Self {
        let right = |action: &str| match action {
            "pull" => Self::Pull,
            "push" => Self::Push,
            "delete" | "*" => Self::Delete,
            _ => Self::None,
        };
        actions.split(',').map(right).max().unwrap_or_default()
    }
}

impl Shared {
    /// Refuses a request that proves too little.
    pub(super) fn admit(
        &self,
        state: &State,
        method: &Method,
        place: &Place,
        headers: &HeaderMap,
    ) -> Result<(), Box<Answer>> {
        let proof = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let needed = Rights::needed(method);
        let enough = |rights: Rights| place.repository().is_none() || rights >= needed;
        match state.gate.scheme {
            Scheme::Open => Ok(()),
            Scheme::Basic => match state.gate.rights(proof) {
                Some(rights) if enough(rights) && (proof.is_some() || rights > Rights::None) => {
                    Ok(())
                }
                Some(_) if proof.is_some() => {
                    let message = "requested access to the resource is denied";
                    Err(refuse(403, "DENIED", message).into())
                }
                _ => Err(challenge("Basic realm=\"sandbox registry\"").into()),
            },
            Scheme::Bearer => {
                let token = proof.and_then(|proof| proof.strip_prefix("Bearer "));
                let known = token.and_then(|token| state.tokens.rights(token, place.repository()));
                match known {
                    Some(rights) if enough(rights) => Ok(()),
                    known => {
                        let problem = match (token, known) {
                            (None, _) => "",
                            (Some(_), None) => ",error=\"invalid_token\"",
                            (Some(_), Some(_)) => ",error=\"insufficient_scope\"",
                        };
                        Err(challenge(&self.bearer(place, needed, problem)).into())
                    }
                }
            }
        }
    }

    fn bearer(&self, place: &Place, needed: Rights, problem: &str) -> String {
        let scope = place.repository().map_or_else(String::new, |name| {
            format!(",scope=\"repository:{name}:{}\"", needed.action())
        });
        let url = self.base_url();
        format!("Bearer realm=\"{url}/token\",service=\"sandbox registry\"{scope}{problem}")
    }
}

impl Tokens {
    /// What a token allows in a repository; nothing if it is not good, or not any more.
    fn rights(&self, token: &str, repository: Option<&str>) -> Option<Rights> {
        let (scopes, end) = self.0.get(token)?;
        if *end <= Instant::now() {
            return None;
        }
        let of_it = scopes.iter().filter(|(name, _)| Some(name.as_str()) == repository);
        Some(of_it.map(|(_, rights)| *rights).max().unwrap_or_default())
    }
}

/// Gives out a token for the scopes that the account has a right to.
pub(super) fn give_token(
    state: &mut State,
    query: &str,
    body: &[u8],
    headers: &HeaderMap,
) -> Answer {
    let body = String::from_utf8_lossy(body);
    let asked: Vec<(String, String)> = pairs(query).chain(pairs(&body)).collect();
    let field = |name: &str| asked.iter().find(|(key, _)| key == name).map(|(_, it)| it);
    let proof = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let form = field("username").zip(field("password")).map(|(user, password)| {
        let (user, password) = (user.clone(), password.clone());
        Account { user, password, rights: Rights::None }.header()
    });
    let Some(rights) = state.gate.rights(form.as_deref().or(proof)) else {
        let answer = status(401).header(header::WWW_AUTHENTICATE, "Basic realm=\"token\"");
        return json(answer, &errors("UNAUTHORIZED", "incorrect username or password"));
    };
    let scopes = asked.iter().filter(|(key, _)| key == "scope");
    let scopes = scopes.flat_map(|(_, scope)| scope.split(' ')).filter_map(|scope| {
        let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        Some((name.to_owned(), Rights::of_actions(actions).min(rights)))
    });
    let life = state.gate.token_life;
    let token: String = std::iter::repeat_with(fastrand::alphanumeric).take(40).collect();
    state.tokens.0.insert(token.clone(), (scopes.collect(), Instant::now() + life));
    let issued = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let body = json!({"token": token, "access_token": token, "expires_in": life.as_secs(),
        "issued_at": issued});
    json(status(200), &body)
}

/// The pairs of a query or form.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let url = Url::parse(&format!("http://query/?{text}")).ok();
    let pairs = url.map(|url| url.query_pairs().into_owned().collect::<Vec<_>>());
    pairs.unwrap_or_default().into_iter()
}

fn challenge(value: &str) -> Answer {
    let answer = status(401).header(header::WWW_AUTHENTICATE, value);
    json(answer, &errors("UNAUTHORIZED", "authentication required"))
}
