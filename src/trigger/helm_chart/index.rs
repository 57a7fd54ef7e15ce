//! The index of a chart repository: which versions it has, and the same with one more.
//!
//! The index belongs to everybody who publishes there. So an entry is put between the lines that
//! are there, and only entries of our own canaries are taken away.

use crate::model::{CanaryId, Holding};
use crate::trigger::helm_chart::chart::{CANARY, Package};
use crate::trigger::helm_chart::choice::comparable;
use crate::trigger::helm_chart::yaml;
use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The file that every chart repository has.
pub(super) const INDEX: &str = "index.yaml";

/// What an index without anything says.
const EMPTY: &str = "apiVersion: v1\nentries: {}\n";

/// An index that was read.
#[derive(Clone, Debug)]
pub(super) struct Index {
    text: String,
    root: Value,
}

// === impl Index ===

impl Index {
    /// Reads an index; without one, an empty one is meant.
    pub(super) fn read(text: Option<&[u8]>) -> Result<Self, String> {
        let text = match text.map(str::from_utf8) {
            None => EMPTY.to_owned(),
            Some(Ok(text)) => text.to_owned(),
            Some(Err(_)) => return Err("it is no text".to_owned()),
        };
        let root = yaml::read(&text)?;
        let entries = &root["entries"];
        if !root.is_object() || !(entries.is_object() || entries.is_null()) {
            return Err("it has no map of `entries`".to_owned());
        }
        Ok(Self { text, root })
    }

    /// The published versions of a chart, as they are compared.
    pub(super) fn versions(&self, chart: &str) -> Vec<String> {
        self.entries(chart).iter().filter_map(version).map(comparable).collect()
    }

    /// The canary that a version is; none if it is none, or not there.
    pub(super) fn canary(&self, chart: &str, wanted: &str) -> Option<CanaryId> {
        let wanted = comparable(wanted);
        let is_it = |it: &&Value| version(it).map(comparable).as_ref() == Some(&wanted);
        self.entries(chart).iter().find(is_it).and_then(canary)
    }

    /// The latest canary of an instance.
    pub(super) fn latest(&self, chart: &str, instance: &str) -> Option<CanaryId> {
        let all = self.entries(chart).iter().filter_map(canary);
        all.filter(|it| it.instance() == instance).max_by_key(CanaryId::sequence)
    }

    /// The latest canary of whatever instance.
    pub(super) fn newest(&self, chart: &str) -> Option<CanaryId> {
        self.entries(chart).iter().filter_map(canary).max_by_key(CanaryId::sequence)
    }

    /// Whose versions a chart has.
    pub(super) fn holding(&self, chart: &str) -> Holding {
        let mut instances = BTreeSet::new();
        for entry in self.entries(chart) {
            let Some(canary) = canary(entry) else {
                let version = version(entry).unwrap_or_default();
                return Holding::Others(format!("{chart}-{version}"));
            };
            instances.insert(canary.instance().to_owned());
        }
        Holding::Canaries(instances)
    }

    /// Whose versions there are of all charts.
    pub(super) fn holding_all(&self) -> Holding {
        let charts = self.root["entries"].as_object().into_iter().flat_map(|it| it.keys());
        let all = charts.map(|it| self.holding(it));
        all.fold(Holding::Canaries(BTreeSet::new()), Holding::and)
    }

    /// Whether an entry of any chart names this file.
    pub(super) fn names(&self, file: &str) -> bool {
        let charts = self.root["entries"].as_object().into_iter().flat_map(|it| it.values());
        let mut entries = charts.filter_map(Value::as_array).flatten();
        entries.any(|it| urls(it).iter().any(|it| it.rsplit('/').next() == Some(file)))
    }

    /// The versions of canaries of an instance beyond the latest `keep`, but for those in use.
    pub(super) fn stale(
        &self,
        chart: &str,
        instance: &str,
        keep: usize,
        used: &BTreeSet<&str>,
    ) -> Vec<String> {
        let ours = self.entries(chart).iter().filter_map(|it| Some((canary(it)?, version(it)?)));
        let mut ours: Vec<_> = ours.filter(|it| it.0.instance() == instance).collect();
        ours.sort_by_key(|it| std::cmp::Reverse(it.0.sequence()));
        let beyond = ours.into_iter().skip(keep).map(|it| it.1);
        beyond.filter(|it| !used.contains(it)).map(str::to_owned).collect()
    }

    /// The text of the index with a further entry.
    pub(super) fn with(&self, package: &Package, now: Timestamp) -> String {
        let chart = package.about["name"].as_str().unwrap_or_default();
        let entry = entry_of(package, now);
        let mut all = self.entries(chart).to_vec();
        all.insert(0, entry.clone());
        let edit = self.changed(chart, Some(&entry), &BTreeSet::new());
        self.written(chart, all, edit, now)
    }

    /// The text of the index without these versions, as far as they are canaries of an instance, and
    /// the files that it named for them.
    pub(super) fn without(
        &self,
        chart: &str,
        instance: &str,
        versions: &[String],
        now: Timestamp,
    ) -> (String, Vec<String>) {
        let goes = |it: &Value| {
            canary(it).is_some_and(|it| it.instance() == instance)
                && version(it).is_some_and(|it| versions.iter().any(|stale| stale == it))
        };
        let entries = self.entries(chart).iter().enumerate();
        let (gone, stay): (Vec<_>, Vec<_>) = entries.partition(|it| goes(it.1));
        let files = gone.iter().flat_map(|it| urls(it.1));
        // An address elsewhere is none of our files.
        let files = files.filter(|it| !it.contains(['/', ':'])).collect();
        let edit = self.changed(chart, None, &gone.iter().map(|it| it.0).collect());
        let stay = stay.into_iter().map(|it| it.1.clone()).collect();
        (self.written(chart, stay, edit, now), files)
    }

    /// The text in which a chart has these entries: `edit` if it says that.
    fn written(
        &self,
        chart: &str,
        entries: Vec<Value>,
        edit: Option<String>,
        now: Timestamp,
    ) -> String {
        let (mut meant, mut edit) = (self.root.clone(), edit);
        if !meant["entries"].is_object() {
            meant["entries"] = json!({});
        }
        if entries.is_empty() {
            // A chart without versions is none.
            meant["entries"].as_object_mut().and_then(|it| it.remove(chart));
        } else {
            meant["entries"][chart] = Value::Array(entries);
        }
        if meant["generated"].is_string() {
            meant["generated"] = now.to_string().into();
            edit = edit.and_then(|it| yaml::with_text(&it, "generated", &now.to_string()));
        }
        yaml::edited(edit, &meant)
    }

    fn entries(&self, chart: &str) -> &[Value] {
        self.root["entries"][chart].as_array().map_or(&[], Vec::as_slice)
    }

    /// The lines with one item more, and without those at `stale`; none where they are not in
    /// block style.
    fn changed(
        &self,
        chart: &str,
        entry: Option<&Value>,
        stale: &BTreeSet<usize>,
    ) -> Option<String> {
        let (start, end) = yaml::line_of(&self.text, "entries:")?;
        let head = self.text[start..end].trim_end();
        let (before, after) = (&self.text[..start], &self.text[end..]);
        let lines: Vec<&str> = after.split_inclusive('\n').collect();
        let first = lines.iter().find(|it| !it.trim().is_empty());
        let inner = first.map(|it| indent(it)).filter(|it| *it > 0);
        let margin = " ".repeat(inner.unwrap_or(2));
        let name = Value::from(chart);
        let is_key = |it: &&str| {
            let key =
                it.strip_prefix(margin.as_str()).and_then(|it| it.trim_end().strip_suffix(':'));
            key.is_some_and(|it| it.trim_matches(['"', '\'']) == chart)
        };
        let at = lines.iter().position(is_key).filter(|_| head == "entries:");
        let item = |indent| entry.map(|it| yaml::write(&json!([it]), indent)).unwrap_or_default();
        let Some(at) = at else {
            let key = format!("entries:\n{margin}{name}:\n{}", item(margin.len()));
            let known = matches!(head, "entries:" | "entries: {}");
            return (known && entry.is_some()).then(|| format!("{before}{key}{after}"));
        };
        let dashes =
            lines[at + 1..].iter().find(|it| !it.trim().is_empty()).map(|it| indent(it))?;
        let (mut written, mut index, mut inside) = (String::new(), None::<usize>, true);
        let mut stays = entry.is_some();
        for line in &lines[at + 1..] {
            let blank = line.trim().is_empty();
            let is_item = !blank && indent(line) == dashes && line.trim_start().starts_with('-');
            // A key at the indentation of the dashes, or left of them, ends the list.
            inside &= blank || is_item || indent(line) > dashes;
            if inside && is_item {
                index = Some(index.map_or(0, |it| it + 1));
            }
            stays |= inside && index.is_some_and(|it| !stale.contains(&it));
            if !inside || index.is_none_or(|it| !stale.contains(&it)) {
                written += line;
            }
        }
        let head: String = lines[..at + usize::from(stays)].concat();
        Some(format!("{before}{}{head}{}{written}", &self.text[start..end], item(dashes)))
    }
}

/// What stands in an index of a chart: all that its `Chart.yaml` says, and where it is.
fn entry_of(package: &Package, now: Timestamp) -> Value {
    let mut entry = package.about.clone();
    entry["created"] = now.to_string().into();
    let mut hex = String::new();
    for byte in digest(&SHA256, &package.archive).as_ref() {
        // Writing to a text does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    entry["digest"] = hex.into();
    entry["urls"] = json!([package.file()]);
    entry
}

fn version(entry: &Value) -> Option<&str> {
    entry["version"].as_str()
}

fn canary(entry: &Value) -> Option<CanaryId> {
    entry["annotations"][CANARY].as_str()?.parse().ok()
}

fn urls(entry: &Value) -> Vec<String> {
    let urls = entry["urls"].as_array().into_iter().flatten().filter_map(Value::as_str);
    urls.map(str::to_owned).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trigger::helm_chart::chart::Chart;

    const OTHERS: &str = "\
# ours since 2019
apiVersion: v1
entries:
  alpine:
  - created: 2016-10-06T16:23:20.499814565-06:00
    description: \"Deploy a basic\\
      \\ Alpine pod\"
    digest: 99c76e403d752c84ead610644d4b1c2f2b453a74b921f422b9dcb8a7c8b559cd
    home: 'https://helm.sh/helm'   # quoted so
    name: alpine
    urls:
    - https://example.com/charts/alpine-0.2.0.tgz
    version: 0.2.0
  nginx:
    - {name: nginx, version: 1.1.0, urls: [nginx-1.1.0.tgz]}
generated: 2016-10-06T16:23:20.499029981-06:00
";

    fn package(name: &str, sequence: u64) -> Package {
        let canary = CanaryId::new("team-a", 0x1a1_0000_0000 + sequence);
        Chart::tiny(name).package(&format!("0.1.{sequence}"), &canary).unwrap()
    }

    fn read(text: &str) -> Index {
        Index::read(Some(text.as_bytes())).unwrap()
    }

    /// Publishes, and tidies up after that.
    fn push(text: &str, package: &Package, keep: usize) -> String {
        let now = Timestamp::UNIX_EPOCH;
        let index = read(&read(text).with(package, now));
        let name = package.about["name"].as_str().unwrap();
        let stale = index.stale(name, "team-a", keep, &BTreeSet::new());
        if stale.is_empty() { index.text } else { index.without(name, "team-a", &stale, now).0 }
    }

    fn lines_but(text: &str, but: &str) -> Vec<String> {
        text.lines().filter(|it| !it.starts_with(but)).map(str::to_owned).collect()
    }

    #[test]
    fn every_line_of_others_stays_as_it_is() {
        let mut text = OTHERS.to_owned();
        for sequence in 1..=9 {
            text = push(&text, &package("canary", sequence), 3);
        }
        text = push(&text, &package("nginx", 4), 3);
        let kept: Vec<String> = text.lines().map(str::to_owned).collect();
        for line in lines_but(OTHERS, "generated") {
            assert!(kept.contains(&line), "{line}\n{text}");
        }
        let index = Index::read(Some(text.as_bytes())).unwrap();
        assert_eq!(index.versions("canary"), ["0.1.9", "0.1.8", "0.1.7"]);
        assert_eq!(index.versions("nginx"), ["0.1.4", "1.1.0"]);
        assert_eq!(index.versions("alpine"), ["0.2.0"]);
        assert_eq!(index.root["generated"], "1970-01-01T00:00:00Z");
        assert_eq!(index.holding("canary"), Holding::Canaries(["team-a".to_owned()].into()));
        assert_eq!(index.holding("nginx"), Holding::Others("nginx-1.1.0".to_owned()));
        assert_eq!(index.holding("none"), Holding::Canaries(BTreeSet::new()));
        assert!(matches!(index.holding_all(), Holding::Others(_)), "of others there are two");
        let ours = read(&push(EMPTY, &package("canary", 1), 1)).holding_all();
        assert_eq!(ours, Holding::Canaries(["team-a".to_owned()].into()));
    }

    #[test]
    fn an_index_that_is_empty_or_of_another_style_is_written_as_well() {
        let json = r#"{"apiVersion":"v1","entries":{"a":[{"version":"1.0.0","name":"a"}]}}"#;
        for text in
            [EMPTY, "apiVersion: v1\nentries:\n", "apiVersion: v1\n", json, "entries: {a: []}\n"]
        {
            let once = push(text, &package("canary", 1), 1);
            let twice = push(&once, &package("canary", 2), 1);
            let index = Index::read(Some(twice.as_bytes())).unwrap();
            assert_eq!(index.versions("canary"), ["0.1.2"], "{twice}");
            let before = Index::read(Some(text.as_bytes())).unwrap();
            assert_eq!(index.versions("a"), before.versions("a"));
        }
        let fresh = Index::read(None).unwrap();
        assert_eq!(fresh.versions("canary"), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_index_is_refused_with_the_reason() {
        for (text, why) in [
            (&b"entries: ["[..], ""),
            (b"- a", "`entries`"),
            (b"entries: [a]", "`entries`"),
            (b"<html>", "`entries`"),
            (b"\xff\xfe", "no text"),
        ] {
            let error = Index::read(Some(text)).unwrap_err();
            assert!(error.contains(why) && !error.is_empty(), "{error}");
        }
    }

    #[test]
    fn s6_only_canaries_of_our_own_are_taken_away() {
        let mut text = push(OTHERS, &package("canary", 1), 5);
        let foreign = CanaryId::new("team-b", 0x1a1_0000_0000);
        let foreign = Chart::tiny("canary").package("0.0.9", &foreign).unwrap();
        text = read(&text).with(&foreign, Timestamp::UNIX_EPOCH);
        for sequence in 2..=4 {
            text = push(&text, &package("canary", sequence), 2);
        }
        let index = Index::read(Some(text.as_bytes())).unwrap();
        assert_eq!(index.versions("canary"), ["0.1.4", "0.1.3", "0.0.9"]);
        let stale =
            |used: &[&str]| index.stale("canary", "team-a", 1, &used.iter().copied().collect());
        assert_eq!(stale(&[]), ["0.1.3"]);
        assert_eq!(stale(&["0.1.3"]), Vec::<String>::new(), "it is in use");
        let all = ["0.1.3".to_owned(), "0.0.9".to_owned(), "0.2.0".to_owned()];
        let (text, files) = index.without("canary", "team-a", &all, Timestamp::UNIX_EPOCH);
        assert_eq!(files, ["canary-0.1.3.tgz"]);
        assert_eq!(read(&text).versions("canary"), ["0.1.4", "0.0.9"]);
        assert!(read(&text).names("canary-0.0.9.tgz") && !read(&text).names("canary-0.1.3.tgz"));
        assert_eq!(index.latest("canary", "team-a").unwrap().sequence(), 0x1a1_0000_0004);
        assert_eq!(index.canary("canary", "0.0.9+x").unwrap().instance(), "team-b");
    }
}
