//! Who may do what in a repository: accounts with a password or a token.
//!
//! Expected credentials are turned into the header that a client would send and compared with it,
//! so nothing has to be decoded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What an account proves itself with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User and password, or a forge's token as password.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A bearer token.
    Bearer(String),
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Known, but shut out: 403 for everything.
    None,
    /// May fetch; a push gets 403.
    Read,
    /// May fetch and push.
    Write,
}

/// Credentials and what they allow.
#[derive(Clone)]
pub struct Account {
    /// How the account proves itself.
    pub credentials: Credentials,
    /// What it may do then.
    pub rights: Rights,
}

impl Credentials {
    /// A user with a password.
    #[must_use]
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic { user: user.to_owned(), password: password.to_owned() }
    }

    /// The value of the `Authorization` header that these credentials make.
    #[must_use]
    pub fn header(&self) -> String {
        match self {
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Self::Bearer(token) => format!("Bearer {token}"),
        }
    }

    /// Whether a pair read from a Secret (no user: a bearer token) stands for these credentials.
    fn matches(&self, pair: (&str, &str)) -> bool {
        match self {
            Self::Basic { user, password } => pair == (user.as_str(), password.as_str()),
            Self::Bearer(token) => pair.1 == token,
        }
    }
}

/// What the sender of a header may do; none means that it proved nothing.
pub(super) fn rights_by_header(accounts: &[Account], header: Option<&str>) -> Option<Rights> {
    rights(accounts, |credentials| header == Some(credentials.header().as_str()))
}

/// What the owner of a user and password may do; none means that they prove nothing.
pub(super) fn rights_by_pair(accounts: &[Account], pair: Option<(&str, &str)>) -> Option<Rights> {
    rights(accounts, |credentials| pair.is_some_and(|pair| credentials.matches(pair)))
}

fn rights(accounts: &[Account], proves: impl Fn(&Credentials) -> bool) -> Option<Rights> {
    if accounts.is_empty() {
        return Some(Rights::Write);
    }
    accounts.iter().find(|account| proves(&account.credentials)).map(|account| account.rights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_makes_the_header_that_clients_send() {
        let header = Credentials::basic("Aladdin", "open sesame").header();
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_repository_without_accounts_is_open_and_one_with_accounts_is_not() {
        assert_eq!(rights_by_header(&[], None), Some(Rights::Write));
        let account = Account { credentials: Credentials::basic("u", "p"), rights: Rights::Read };
        assert_eq!(rights_by_header(std::slice::from_ref(&account), None), None);
        assert_eq!(rights_by_pair(&[account], Some(("u", "p"))), Some(Rights::Read));
    }
}
