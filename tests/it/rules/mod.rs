//! Recording and alerting rules: that they say what they should when it happens, and only then.

mod alerts;
mod arithmetic;
mod counted;
mod files;
mod kit;
mod month;
mod stories;
mod world;
