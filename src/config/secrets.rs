//! Keeps what may be secret out of messages, although they show lines of the file.
//!
//! A scenario never holds a secret (design: they come from files, variables and Secrets), but
//! the message about the mistake of writing one must not carry it on into logs.

use super::node::{Node, Value};
use crate::model::{ObjectName, tokens};

/// What stands for a secret.
const MASK: &str = "***";
/// Shorter texts are words rather than secrets, and masking them would garble the message.
const SHORTEST: usize = 3;
/// From this length on a lone user in a URL may be a token.
const TOKEN_LENGTH: usize = 8;
/// Key parts that announce a secret.
const TELLING: [&str; 7] = ["pass", "token", "secret", "bearer", "credential", "api_key", "apikey"];
/// Keys whose values say where a secret is, not what it is.
const HARMLESS: [&str; 3] = ["file", "env", "username"];
/// What a private key says of itself in its first line.
const PRIVATE: &str = "PRIVATE KEY";
/// How the tokens of the common hosts begin.
const PREFIXES: [&str; 8] =
    ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-"];

/// The texts of one file that may be secret. Holds them only to mask them; never printed.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

// === impl Secrets ===

impl Secrets {
    /// Those of `text`, and of the `root` that was read from it.
    pub(crate) fn of(text: &str, root: Option<&Node>) -> Self {
        let mut found = Self::default();
        found.add_private_keys(text);
        for line in text.lines() {
            found.add_user_infos(line);
            found.add_told_by_key(line);
            found.add_queries(line);
        }
        for token in tokens(text).filter(|it| PREFIXES.iter().any(|start| it.starts_with(start))) {
            found.add(token);
        }
        if let Some(root) = root {
            found.add_below(root, false);
        }
        found.0.sort_by_key(|it| std::cmp::Reverse(it.len()));
        found.0.dedup();
        found
    }

    /// `text` without them.
    pub(crate) fn mask(&self, text: &str) -> String {
        let mask = |secret: &str| format!("{MASK}{}", if secret.ends_with('@') { "@" } else { "" });
        self.0.iter().fold(text.to_owned(), |text, it| text.replace(it, &mask(it)))
    }

    fn add(&mut self, text: &str) {
        for line in text.lines().map(str::trim) {
            if line.len() >= SHORTEST && line.parse::<ObjectName>().is_err() {
                self.0.push(line.to_owned());
            }
        }
    }

    /// The lines of private keys, from the first to the last of each.
    fn add_private_keys(&mut self, text: &str) {
        let mut inside = false;
        for line in text.lines() {
            inside |= line.contains("BEGIN") && line.contains(PRIVATE);
            if inside && !line.contains("BEGIN") {
                self.add(line);
            }
            inside &= !line.contains("END ");
        }
    }

    /// What stands between `://` and `@`. A password with a slash in it counts, too.
    fn add_user_infos(&mut self, line: &str) {
        for (at, _) in line.match_indices("://") {
            let rest = &line[at + 3..];
            let end = rest.find(|it: char| it.is_whitespace() || matches!(it, '"' | '\''));
            let address = &rest[..end.unwrap_or(rest.len())];
            if let Some(end) = address.rfind('@') {
                let user = &address[..end];
                self.add(&address[..=end]);
                self.add(user.split_once(':').map_or("", |it| it.1));
                if user.len() >= TOKEN_LENGTH {
                    self.add(user);
                }
            }
        }
    }

    /// What follows `?` or `#` in an address: most often a signature.
    fn add_queries(&mut self, line: &str) {
        for (at, mark) in line.match_indices(['?', '#']) {
            let rest = &line[at + mark.len()..];
            let end = rest.find(|it: char| it.is_whitespace() || matches!(it, '"' | '\''));
            let query = &rest[..end.unwrap_or(rest.len())];
            let is_inside = line[..at].ends_with(|it: char| !it.is_whitespace());
            let word = line[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
            if is_inside && (query.contains('=') || word.contains("://")) {
                self.add(query);
            }
        }
    }

    /// What follows a telling key on its line, whether or not the line is good YAML.
    fn add_told_by_key(&mut self, line: &str) {
        for (at, _) in line.match_indices(':') {
            let before = line[..at].trim_end().trim_end_matches(['"', '\'']);
            let key = tokens(before).last().filter(|it| before.ends_with(it));
            let rest = line[at + 1..].trim();
            if !key.is_some_and(is_telling) || rest.starts_with(['{', '[', '&', '*', '|', '>']) {
                continue;
            }
            let value = if let Some(quote) = rest.chars().next().filter(|it| "\"'".contains(*it)) {
                rest[1..].rsplit_once(quote).map_or(&rest[1..], |it| it.0)
            } else {
                let end = rest.find([',', '}', ']']).or_else(|| rest.find(" #"));
                rest[..end.unwrap_or(rest.len())].trim_end()
            };
            self.add(value);
        }
    }

    /// The scalars below telling keys.
    fn add_below(&mut self, node: &Node, told: bool) {
        match &node.value {
            Value::Map(entries) => {
                for (key, value) in entries {
                    let told = (told || is_telling(&key.text)) && !is_harmless(&key.text);
                    self.add_below(value, told);
                }
            }
            Value::List(items) => items.iter().for_each(|it| self.add_below(it, told)),
            Value::Text(text) if told || text.contains(PRIVATE) => self.add(text),
            Value::Number(number) if told => self.add(&number.to_string()),
            _ => {}
        }
    }
}

fn is_harmless(key: &str) -> bool {
    HARMLESS.contains(&key)
}

fn is_telling(key: &str) -> bool {
    let key = key.to_lowercase();
    key == "auth" || key.ends_with("_auth") || TELLING.iter().any(|it| key.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let root = serde_saphyr::from_str::<Node>(text).ok();
        Secrets::of(text, root.as_ref()).mask(text)
    }

    #[test]
    fn a_password_in_a_url_is_masked() {
        assert_eq!(masked("url: https://me:hunter2@h/x"), "url: https://***@h/x");
        assert_eq!(masked("url: 'https://me:hun/ter@2@h/x'"), "url: 'https://***@h/x'");
        assert_eq!(masked("source: http://t0ken@h"), "source: http://***@h");
        assert_eq!(masked("ssh://git@git.h/x"), "ssh://***@git.h/x");
        assert_eq!(masked("url: https://h/x"), "url: https://h/x");
    }

    #[test]
    fn what_follows_an_address_is_masked() {
        let signed = "endpoint: http://127.0.0.1:1/?X-Amz-Signature=hunter2";
        assert_eq!(masked(signed), "endpoint: http://127.0.0.1:1/?***");
        assert_eq!(masked("endpoint: 'h?sv=1&sig=a/b%3D'"), "endpoint: 'h?***'");
        assert_eq!(masked("{ endpoint: https://h/c#hunter2 }"), "{ endpoint: https://h/c#*** }");
        for text in ["expression: a ? b == 1 : c", "x: https://h/x # a=b"] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn the_value_of_a_telling_key_is_masked() {
        assert_eq!(masked("password: hunter2"), "password: ***");
        assert_eq!(masked("a: { password: hunter2, b: 1 }"), "a: { password: ***, b: 1 }");
        assert_eq!(masked("bearer:\n  value: hunter2\n"), "bearer:\n  value: ***\n");
        assert_eq!(masked("Token: \"hun ter2"), "Token: \"***");
        assert_eq!(masked("auth: hunter2"), "auth: ***");
        assert_eq!(masked("x: ghp_0123456789abc"), "x: ***");
        assert_eq!(masked("password: 12345678"), "password: ***");
    }

    #[test]
    fn a_private_key_is_masked_wherever_it_stands() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\n  AAAAplanted\n  -----END OPENSSH PRIVATE KEY-----";
        for text in [
            format!("x: |\n  {key}\ny: 1"),
            // No YAML, so only its lines are known.
            format!("x: [\n  {key}\n"),
            format!("x: {:?}", key.replace("\n  ", "\n")),
        ] {
            assert!(!masked(&text).contains("planted"), "{}", masked(&text));
        }
        assert!(masked(&format!("x: |\n  {key}\ny: later")).ends_with("\ny: later"));
    }

    #[test]
    fn where_a_secret_is_may_be_said() {
        for text in [
            "auth: { secret: flux-system/git }",
            "basic: { username: bot, password: { file: /etc/git/password } }",
            "auth: { bearer: { env: GIT_TOKEN } }",
            "author: { name: Me }",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
