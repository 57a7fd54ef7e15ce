//! Where a repository is over ssh: `ssh://user@host:port/path`, or `user@host:path` as for `scp`.

use reqwest::Url;
use std::fmt;

/// The user of an address that names none: what the code hosts, and Flux, take.
const DEFAULT_USER: &str = "git";
const DEFAULT_PORT: u16 = 22;

/// An address over ssh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::remote::git) struct Address {
    user: String,
    host: String,
    port: u16,
    /// As the server's shell shall see it.
    path: String,
}

impl Address {
    /// Reads either form; none if it is neither.
    ///
    /// # Errors
    /// What is wrong with an address that is one of them. It never repeats the user.
    pub(in crate::remote::git) fn parse(text: &str) -> Option<Result<Self, String>> {
        if text.starts_with("ssh://") {
            return Some(Self::of_url(text));
        }
        let is_scp = !text.contains("://")
            && text.split_once(':').is_some_and(|(host, _)| !host.contains('/'));
        is_scp.then(|| Self::of_scp(text))
    }

    fn of_url(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        if url.password().is_some() {
            return Err("over ssh there is no password in it".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it ends in `?` or `#`".to_owned());
        }
        let host = url.host_str().unwrap_or_default();
        let path = super::super::url::unescaped(url.path());
        // `/~user/x` is the way to say `~user/x` here, as git has it.
        let path = path.strip_prefix('/').filter(|it| it.starts_with('~')).unwrap_or(&path);
        Self::new(
            &super::super::url::unescaped(url.username()),
            host,
            url.port().unwrap_or(DEFAULT_PORT),
            path,
        )
    }

    fn of_scp(text: &str) -> Result<Self, String> {
        let authority = text.split('/').next().unwrap_or_default();
        let (user, rest) = match authority.rfind('@') {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => ("", text),
        };
        if user.contains(':') {
            return Err("over ssh there is no password in it".to_owned());
        }
        let bad = || "it does not read `user@host:path`".to_owned();
        let (host, port, path) = if let Some(rest) = rest.strip_prefix('[') {
            let (inside, path) = rest.split_once("]:").ok_or_else(bad)?;
            match inside.split_once(':') {
                Some((host, port)) if !port.contains(':') => {
                    (host, port.parse().map_err(|_| bad())?, path)
                }
                _ => (inside, DEFAULT_PORT, path),
            }
        } else {
            let (host, path) = rest.split_once(':').ok_or_else(bad)?;
            (host, DEFAULT_PORT, path)
        };
        Self::new(user, host, port, path)
    }

    fn new(user: &str, host: &str, port: u16, path: &str) -> Result<Self, String> {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let odd = |it: char| it.is_whitespace() || it.is_control() || it == '%';
        if host.is_empty() || host.starts_with('-') || host.contains(odd) {
            return Err("it names no host".to_owned());
        }
        if path.trim_matches('/').is_empty() || path.starts_with('-') {
            return Err("it names no repository".to_owned());
        }
        if path.contains(char::is_control) || user.contains(char::is_control) {
            return Err("it holds control characters".to_owned());
        }
        let user = if user.is_empty() { DEFAULT_USER } else { user }.to_owned();
        Ok(Self { user, host, port, path: path.to_owned() })
    }

    pub(super) fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The host as `known_hosts` names it.
    pub(super) fn known_as(&self) -> String {
        if self.port == DEFAULT_PORT {
            self.host.clone()
        } else {
            format!("[{}]:{}", self.host, self.port)
        }
    }

    /// The arguments with which `ssh-keyscan` asks this host.
    pub(super) fn scan(&self) -> String {
        if self.port == DEFAULT_PORT {
            self.host.clone()
        } else {
            format!("-p {} {}", self.port, self.host)
        }
    }

    /// The command line that runs a program of git on the repository.
    pub(super) fn command(&self, program: &str) -> String {
        let quoted = self.path.replace('\'', r"'\''").replace('!', r"'\!'");
        format!("{program} '{quoted}'")
    }

    /// Host, port and path, without what does not distinguish repositories.
    pub(in crate::remote::git) fn normalised(&self) -> String {
        let path = self.path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/');
        format!("{}/{path}", self.authority())
    }

    fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == DEFAULT_PORT { host } else { format!("{host}:{}", self.port) }
    }
}

/// As a URL and without the user.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.trim_start_matches('/');
        write!(formatter, "ssh://{}/{path}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap().unwrap()
    }

    #[test]
    fn both_forms_say_who_where_and_what() {
        for (text, user, known, command) in [
            ("ssh://git@H.example/a/b.git", "git", "h.example", "p '/a/b.git'"),
            ("ssh://me@h:2222/a%20b", "me", "[h]:2222", "p '/a b'"),
            ("ssh://h/~me/a", "git", "h", "p '~me/a'"),
            ("ssh://git@[::1]:2222/a", "git", "[::1]:2222", "p '/a'"),
            ("git@h:a/b.git", "git", "h", "p 'a/b.git'"),
            ("me@h:/a/b", "me", "h", "p '/a/b'"),
            ("h:~me/it's!", "git", "h", r"p '~me/it'\''s'\!''"),
            ("git@[::1]:a", "git", "::1", "p 'a'"),
            ("git@[h:2222]:a", "git", "[h]:2222", "p 'a'"),
            ("a.b@corp@h:x", "a.b@corp", "h", "p 'x'"),
        ] {
            let found = address(text);
            let seen = (found.user(), found.known_as(), found.command("p"));
            assert_eq!(seen, (user, known.to_owned(), command.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_shown_names_no_user() {
        assert_eq!(address("git@h:a/b.git").to_string(), "ssh://h/a/b.git");
        assert_eq!(address("ssh://git@[::1]:22/a").to_string(), "ssh://[::1]/a");
        assert_eq!(address("ssh://git@h:2222/a").to_string(), "ssh://h:2222/a");
        assert_eq!(address("git@[h:2222]:a").scan(), "-p 2222 h");
    }

    #[test]
    fn what_is_no_address_over_ssh_says_so() {
        for other in ["https://h/x", "h/x", "/srv/x", "./a:b", "", "git+ssh://h/x"] {
            assert_eq!(Address::parse(other), None, "{other}");
        }
        for bad in [
            "ssh://",
            "ssh://h",
            "ssh://h/",
            "ssh://u:pl4nted@h/x",
            "ssh://-oProxyCommand/x",
            "u:pl4nted@h:x",
            "git@h:",
            "git@:x",
            "git@[h:port]:x",
            "git@h:a\nb",
            "ssh://h/a?pl4nted",
        ] {
            let why = Address::parse(bad).unwrap().unwrap_err();
            assert!(!why.contains("pl4nted"), "{bad}: {why}");
        }
    }
}
