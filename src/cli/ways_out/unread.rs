//! Texts of the command line and the environment that are understood only when they are used.
//!
//! They may hold secrets, and whoever reads the command line shows what it does not understand. And
//! a text that is empty says nothing, as OpenTelemetry has it for its variables.

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::{Arg, Command, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use std::convert::Infallible;
use std::ffi::OsStr;
use std::fmt::Display;
use std::str::FromStr;

/// A text that is understood later, and never shown.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Unread(SecretString);

/// One of the values of `T`, and its default for an empty text.
#[derive(Clone)]
pub(super) struct OrDefault<T: ValueEnum + Clone + Send + Sync + 'static>(EnumValueParser<T>);

// === impl Unread ===

impl FromStr for Unread {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned().into()))
    }
}

impl Unread {
    /// What it says as the value of an argument; none if it is empty.
    fn read<T: FromStr<Err: Display>>(&self, argument: &str) -> Result<Option<T>, String> {
        let text = self.0.expose_secret().trim();
        if text.is_empty() {
            return Ok(None);
        }
        let read = text.parse().map(Some);
        read.map_err(|why| format!("the value of `{argument}` is not understood: {why}"))
    }
}

// === impl OrDefault ===

impl<T: ValueEnum + Clone + Send + Sync + 'static> OrDefault<T> {
    /// Knows the values of `T`.
    pub(super) fn new() -> Self {
        Self(EnumValueParser::new())
    }
}

impl<T: ValueEnum + Default + Clone + Send + Sync + 'static> TypedValueParser for OrDefault<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<T, clap::Error> {
        if value.is_empty() {
            return Ok(T::default());
        }
        self.0.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// What a text says as the value of an argument; none if there is none, or it is empty.
pub(super) fn read_one<T: FromStr<Err: Display>>(
    text: Option<&Unread>,
    argument: &str,
) -> Result<Option<T>, String> {
    text.map_or(Ok(None), |it| it.read(argument))
}

/// What the elements of a list say; those that are empty are none.
pub(super) fn read_all<T: FromStr<Err: Display>>(
    texts: &[Unread],
    argument: &str,
) -> Result<Vec<T>, String> {
    texts.iter().filter_map(|it| it.read(argument).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ways_out::header::{Credentials, Header, Pair};

    fn unread(texts: &[&str]) -> Vec<Unread> {
        texts.iter().map(|it| it.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_not_understood_is_not_shown() {
        let texts = unread(&["api-key pl4nted"]);
        assert!(!format!("{texts:?}").contains("pl4nted"));
        let errors = [
            read_all::<Header>(&texts, "--otlp-header").unwrap_err(),
            read_one::<Credentials>(texts.first(), "--otlp-auth").unwrap_err(),
        ];
        for (error, argument) in errors.iter().zip(["--otlp-header", "--otlp-auth"]) {
            assert!(!error.contains("pl4nted") && error.contains(argument), "{error}");
        }
    }

    #[test]
    fn what_is_empty_says_nothing() {
        assert!(
            read_all::<Pair>(&unread(&["a=b", "", " "]), "--otlp-resource").unwrap().len() == 1
        );
        assert_eq!(read_one::<Credentials>(unread(&[""]).first(), "--otlp-auth"), Ok(None));
        assert_eq!(read_one::<Credentials>(None, "--otlp-auth"), Ok(None));
    }
}
