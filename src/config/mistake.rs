//! Everything that can be wrong with a scenario file, as one sentence each.
//!
//! No variant carries the value of a key that may hold a secret; what else the file says is
//! masked when a problem is built.

use super::nearest::{any_of, nearest};
use crate::hop::NotAnExpression;
use crate::model::{Duration, NotACalendar};

/// What is wrong with a scenario file, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    // The file.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is a directory: name the scenario files in it")]
    Directory,
    #[error("holds no YAML files: a scenario ends in `.yaml` or `.yml`")]
    EmptyDirectory,
    #[error("is larger than {limit} bytes, which no scenario is")]
    TooLarge { limit: u64 },
    #[error("is not UTF-8 from byte {byte} on: save it as UTF-8")]
    NotUtf8 { byte: usize },

    // The YAML.
    #[error("this is not YAML: {0}")]
    NotYaml(String),
    #[error("the file holds no scenario: begin with `name: …`")]
    Empty,
    #[error("a second document begins here: write one scenario to a file")]
    SecondDocument,
    #[error("`{key}` is given twice: keep one of them")]
    SameKeyTwice { key: String },
    #[error("no anchor of this name stands above: write `&name` where the value is given")]
    UnknownAnchor,
    #[error("`<<` merges keys and values, or a list of them")]
    MergeOfNoMap,
    #[error("a key has to be a plain text")]
    KeyIsNoText,
    #[error("the aliases and levels of this file expand to more than a scenario can hold")]
    TooMuch,

    // The structure.
    #[error("`{key}` is no key here: {}", instead(key, known))]
    UnknownKey { key: String, known: Vec<&'static str> },
    #[error("`{kind}` is no kind here: {}", instead(kind, known))]
    UnknownKind { kind: String, known: Vec<&'static str> },
    #[error("no kind is named: use {}", any_of(known.iter().copied()))]
    NoKind { known: Vec<&'static str> },
    #[error("`{first}` and `{second}` stand side by side, but only one kind can: keep one")]
    TwoKinds { first: String, second: String },
    #[error("`{key}` is missing: add it")]
    MissingKey { key: &'static str },
    #[error("expected {expected}, found {found}")]
    WrongType { expected: &'static str, found: &'static str },
    #[error("expected text, found a number: put it in quotes, with its unit if it has one")]
    UnquotedNumber,
    #[error("expected text, found `true` or `false`: put it in quotes")]
    UnquotedTruth,
    #[error("{0}")]
    Unfit(String),

    // Names.
    #[error("{0}", bad_name("a scenario", "digits and `-`", name))]
    BadScenarioName { name: String },
    #[error("{0}", bad_name("a hop", "digits, `-` and `_`", name))]
    BadHopName { name: String },
    #[error("a cluster's name is one word of at most 253 characters")]
    BadClusterName,
    #[error("a scenario `{name}` stands in {other} too: give each its own `name`")]
    SameScenario { name: String, other: String },

    // Times.
    #[error("`{key}` must be longer than 0s")]
    NoTime { key: &'static str },
    #[error(
        "{what} ({within}) must not exceed `deadline` ({deadline}): after it nobody looks any more"
    )]
    AboveDeadline { what: String, within: Duration, deadline: Duration },
    #[error(
        "`deadline` ({deadline}) must be shorter than the period ({period}), or runs would overlap"
    )]
    DeadlineNotBelowPeriod { deadline: Duration, period: Duration },
    #[error(
        "`deadline` and `jitter` together ({sum}) must be shorter than the period ({period}), or \
         runs would overlap"
    )]
    JitterNotBelowPeriod { sum: Duration, period: Duration },
    #[error("a schedule needs `every` or `cron`")]
    NoTicks,
    #[error("`every` and `cron` exclude each other: keep one")]
    TwoTicks,
    #[error("`timezone` belongs to `cron`, which is not given: leave it out")]
    ZoneWithoutCron,
    #[error(transparent)]
    BadCron(#[from] NotACalendar),
    #[error("`{zone}` is no time zone: {}", zone_instead(near.as_deref()))]
    UnknownZone { zone: String, near: Option<String> },
    #[error("a pause needs `from` and `until`, or `cron` and `for`: `{key}` is missing")]
    HalfAPause { key: &'static str },
    #[error("a pause needs `from` and `until`, or `cron` and `for`")]
    NoPause,
    #[error("`{key}` is for a pause that comes again: leave it out beside `from` and `until`")]
    TwoPauses { key: &'static str },
    #[error("`until` must be later than `from`, or there is no pause")]
    PauseEndsFirst,
    #[error(
        "it lasts {lasts} and begins again before that is over, so it would never end: make `for` \
         shorter, or remove the schedule"
    )]
    EndlessPause { lasts: Duration },
    #[error(
        "a source that is `shared` is pushed to every 15m at most, so the period ({period}) is too \
         short: each run wakes its other users too"
    )]
    PeriodTooShortForShared { period: Duration },

    // The trigger.
    #[error("nothing says what takes the chart: give `helm_release`, or `helm_chart`")]
    NoTaker,
    #[error("`helm_release` and `helm_chart` exclude each other: keep one")]
    TwoTakers,
    #[error("name the folder that holds the chart's `Chart.yaml`")]
    NoFolder,
    #[error("`push_auth` is for a registry, and `git` and `bucket` have their own: leave it out")]
    RegistryAuthForFiles,
    #[error("`git` and `bucket` exclude each other: keep one")]
    TwoChartPlaces,
    #[error("nothing says where to push: give `source`, or `url`")]
    NoRemote,
    #[error("`source` and `url` exclude each other: keep one")]
    TwoRemotes,
    #[error(
        "`url` must begin with `https://`, `http://` or `ssh://`, or read `git@host:path`, and \
         name a host and a repository"
    )]
    NotAGitUrl,
    #[error(
        "`url` must hold no password, and over HTTP no user: put them under `auth`, by file or \
         variable"
    )]
    SecretInUrl,
    #[error(
        "`url` is over ssh, which needs a private key: give `auth` with `ssh`, or with the \
         `secret` that holds it"
    )]
    NoSshAuth,
    #[error("`ssh` is for a `url` over ssh: use `basic` or `bearer` with one over HTTP")]
    SshAuthOverHttp,
    #[error("`auth` is for a `url`: `source` has its own, `push_auth` stands in for it")]
    AuthWithSource,
    #[error("`push_auth` is for a `source`: with a `url` use `auth`")]
    PushAuthWithUrl,
    #[error("`{key}` is for a `url`: `source` has its own")]
    OfSource { key: &'static str },
    #[error("`url` must begin with `oci://`, as that of an OCIRepository does")]
    NotOverOci,
    #[error("{why}")]
    NoRepository { why: String },
    #[error("`tag` must be up to 128 letters, digits, `_`, `.` and `-`")]
    NoArtifactTag,
    #[error("`shared` is for a `source`: nothing is known of who uses a `url`")]
    SharedWithUrl,
    #[error(
        "`endpoint` must be a host alone, without user, query and fragment: put credentials under \
         `{auth}`, by file or variable"
    )]
    SecretInEndpoint { auth: &'static str },
    #[error("nothing says which bucket to write to: give `source`, or `bucket`")]
    NoBucket,
    #[error("`source` and `bucket` exclude each other: keep one")]
    TwoBuckets,
    #[error("`{key}` is for a `bucket`: with a `source` the Bucket itself tells it")]
    ToldBySource { key: &'static str },
    #[error("`{key}` is for a `source`: it says nothing of a `bucket`")]
    OnlyWithSource { key: &'static str },
    #[error(
        "`path` cannot be the name of an object: write it without empty parts, `.` and `..`, as \
         `canary/a.yaml`"
    )]
    BadObjectName,
    #[error("`path` {why}: write it relative to the repository's root, as `canary/a.yaml`")]
    BadPath { why: &'static str },
    #[error("`{branch}` cannot be the name of a branch: write it as `main`, without `refs/heads/`")]
    BadBranch { branch: String },
    #[error("`base` is the branch itself (`{base}`): give the branch or commit that it stands on")]
    BaseIsBranch { base: String },
    #[error("the template holds no `${{canary}}`, so no hop could tell one run from the next")]
    TemplateWithoutCanary,
    #[error("`template` is missing: without it a `live` hop has to name a `config_map`")]
    NoTemplate,
    #[error("`template` is missing: the `live` hops name several ConfigMaps")]
    ManyTemplates,
    #[error("a trailer is one line of the form `Key: value`")]
    BadTrailer,
    #[error("`{key}` of an author must be one line, not empty and without `<` and `>`")]
    BadAuthor { key: &'static str },
    #[error("nothing says where the signing key is: give `secret`, or `key`")]
    NoSigningKey,
    #[error("`secret` and `key` exclude each other: keep one")]
    TwoSigningKeys,
    #[error("`passphrase` is for a `key`: a `secret` holds its own")]
    PassphraseWithSecret,
    #[error("`{key}` must not be empty")]
    EmptySecretSource { key: &'static str },

    // The hops.
    #[error("`hops` is empty: list at least one hop, such as `- live: {{ config_map: … }}`")]
    NoHops,
    #[error(
        "`hops` is missing: list the steps that the change has to take, or name a `target`, whose \
         path is discovered"
    )]
    NoHopsNorTarget,
    #[error("`hops` and `target` exclude each other: keep the hops, or let them be discovered")]
    HopsAndTarget,
    #[error(
        "`{trigger}` needs a `target` of the kind `image_policy`: the policy that it pushes for"
    )]
    TargetOfNoPolicy { trigger: &'static str },
    #[error("an `image_policy` is reached by `image_tag` or `image_digest`: use one as `trigger`")]
    TargetOfNoImage,
    #[error("`{trigger}` brings no change that a path could be found for: list its `hops`")]
    TargetOfNoChange { trigger: &'static str },
    #[error(
        "the trigger publishes a chart for HelmRelease `{release}`, and this is another one: name \
         that one"
    )]
    AnotherRelease { release: String },
    #[error("two hops are called `{name}`: give one of them another `name`")]
    SameHopName { name: String },
    #[error("`{name}` is a stage that hopclock adds itself: choose another `name`")]
    ReservedHopName { name: String },
    #[error("`{after}` names no hop: {}", hop_instead(after, known))]
    UnknownHop { after: String, known: Vec<String> },
    #[error("a hop cannot come after itself: name another, or leave `after` out")]
    AfterItself,
    #[error("these hops wait for each other: {}; change one `after`", arrows(names))]
    Cycle { names: Vec<String> },
    #[error(
        "no hop is required, so no run could be told from a lost one: add `applied` or `live`, or \
         `required: true`"
    )]
    NothingRequired,
    #[error(
        "nothing says where `slo` ends: add a `live` or `applied` hop that is required, or `until`"
    )]
    NoEnd,
    #[error("`{key}` must not be empty")]
    EmptyObject { key: &'static str },
    #[error("`{hop}` names no object: add one of {}", any_of(known.iter().copied()))]
    NoObject { hop: &'static str, known: &'static [&'static str] },
    #[error("`{hop}` looks at one object, not at `{first}` and `{second}`: make two hops of it")]
    TwoObjects { hop: &'static str, first: &'static str, second: &'static str },
    #[error("`{hop}` is for one applier, not for `{first}` and `{second}`: keep one")]
    TwoAppliers { hop: &'static str, first: &'static str, second: &'static str },
    #[error(
        "nothing says whose success is told: add an `applied` hop, or `kustomization` or \
         `helm_release` here"
    )]
    NoApplier,
    #[error(
        "a notification does not say which cluster it comes from, and hop `{other}` waits at listener \
         `{listener}` for an applier of the same name in another one: give each cluster a listener \
         of its own"
    )]
    SharedListener { other: String, listener: String },
    #[error("an `object` needs an `expression`: add the condition that ends the hop")]
    NoExpression,
    #[error("`{key}` brings its own condition: leave `expression` out, or use `object`")]
    ExpressionOfPreset { key: &'static str },
    #[error(
        "the name of a listener is at most 63 lower-case letters, digits and `-`, with a letter or \
         digit at both ends"
    )]
    BadListener,
    #[error(transparent)]
    NotAnExpression(#[from] NotAnExpression),
    #[error("`live` looks at one place, not at `{first}` and `{second}`: keep one")]
    TwoPlaces { first: &'static str, second: &'static str },
    #[error(
        "`image` is for a `deployment`, `stateful_set` or `daemon_set`: a `{object}` has no \
         containers"
    )]
    ImageOfNoWorkload { object: &'static str },
    #[error("a change is never looked for in the status: name a field of `spec` or `data`")]
    StatusField,
    #[error("`{key}` must not be empty{}", if *.key == "field" { ", nor any part of it" } else { "" })]
    EmptyPlace { key: &'static str },
    #[error(
        "nothing says which object the Receiver annotates: add `git_repository`, or one \
         `source_fetched` hop"
    )]
    NoneAnnotated,
    #[error(
        "the hops look at several objects that the Receiver may annotate: say which one it is, by \
         `git_repository`, `image_repository` or another key"
    )]
    ManyAnnotated,
    #[error("a hop looks at one annotated object, not at `{first}` and `{second}`: make two of it")]
    TwoAnnotated { first: &'static str, second: &'static str },
    #[error(
        "nothing says whose choice the automation commits: add `image_policy`, or one \
         `policy_updated` hop"
    )]
    NoPolicy,
    #[error(
        "the `policy_updated` hops name several policies: say by `image_policy` whose choice the \
         automation commits"
    )]
    ManyPolicies,
    #[error("an automation commits the choices of its own namespace only: name a policy of it")]
    PolicyElsewhere,
    #[error("`keep` must be at least 1: the tag that is live has to stay")]
    KeepsNothing,
    #[error("`keep` must be at most {most}: no more tags of canaries are remembered")]
    KeepsTooMuch { most: u32 },
    #[error(
        "`retag` names a tag of the policy's own repository: up to 128 letters, digits, `_`, `.` and \
         `-`, without the image's name"
    )]
    NoTag,
    #[error(
        "the trigger pushes for ImagePolicy `{policy}`, and this is another one: name that one"
    )]
    AnotherPolicy { policy: String },
}

/// What to write instead of a word that is not `known`.
fn instead(word: &str, known: &[&str]) -> String {
    match (nearest(word, known.iter().copied()), known.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => "none is expected".to_owned(),
        (None, false) => format!("use {}", any_of(known.iter().copied())),
    }
}

/// What to write instead of a name that no hop has.
fn hop_instead(word: &str, known: &[String]) -> String {
    if word == "push" {
        return "a hop with `after: []` follows the push".to_owned();
    }
    let known: Vec<_> = known.iter().map(String::as_str).collect();
    instead(word, &known)
}

fn zone_instead(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write it as `Europe/Berlin`".to_owned(),
    }
}

fn bad_name(of: &str, chars: &str, name: &str) -> String {
    format!(
        "`{name}` cannot be the name of {of}: use at most 63 lower-case letters, {chars}, with a \
         letter or digit at both ends"
    )
}

/// "`a` → `b` → `a`".
fn arrows(names: &[String]) -> String {
    names.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(" → ")
}
