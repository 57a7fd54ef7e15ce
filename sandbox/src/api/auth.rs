//! Who is asking: bearer tokens and the users behind them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, header};

/// A user with the groups that RBAC looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name, such as `system:serviceaccount:flux-system:hopclock`.
    pub name: String,
    /// The groups, those included that everybody of this sort is in.
    pub groups: Vec<String>,
}

/// The tokens that are good.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<String, Token>>);

#[derive(Clone)]
struct Token {
    user: User,
    audience: String,
}

/// Whom tokens are meant for that name nobody else.
pub(super) const API_SERVER: &str = "https://kubernetes.default.svc";

impl User {
    /// A user who proved to be `name`; adds the groups that come with that.
    #[must_use]
    pub fn new(name: &str, groups: &[&str]) -> Self {
        let mut all: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        if let Some(account) = name.strip_prefix("system:serviceaccount:") {
            all.push("system:serviceaccounts".to_owned());
            let namespace = account.split(':').next().unwrap_or_default();
            all.push(format!("system:serviceaccounts:{namespace}"));
        }
        all.push("system:authenticated".to_owned());
        Self { name: name.to_owned(), groups: all }
    }

    /// Somebody without a token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        }
    }

    /// Whether the user is in a group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|one| one == group)
    }
}

impl Tokens {
    /// Makes a new token by which a user proves to `audience` who they are.
    pub(super) fn mint(&self, user: User, audience: &str) -> String {
        let token = format!("sandbox-{:032x}", fastrand::u128(..));
        self.all().insert(token.clone(), Token { user, audience: audience.to_owned() });
        token
    }

    /// Makes a token worthless.
    pub(super) fn revoke(&self, token: &str) {
        self.all().remove(token);
    }

    /// Whose token it is, if it is meant for `audience`.
    pub(super) fn user(&self, token: &str, audience: &str) -> Option<User> {
        let found = self.all().get(token).cloned();
        found.filter(|it| it.audience == audience).map(|it| it.user)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Token>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bearer token of a request, if it has one.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ").map(str::trim)
}
