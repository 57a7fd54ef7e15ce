//! `hopclock discover`: looks at what is installed, and writes scenarios for it.

mod arguments;
mod collect;
mod dump;
mod found;
mod overview;
mod render;

use crate::cli::{Exit, complain, print, run, say};
use crate::cluster;
use crate::config;
use crate::engine::SystemClock;
use crate::model::{GroupKind, ObjectName, Subject};
use crate::path::{Consented, Draft, Drafter, Graph, NotDrafted, Snapshot, Wish};
use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

pub(super) use arguments::DiscoverArguments;
use arguments::TargetArguments;
pub(super) use collect::collect;
pub(super) use dump::read as read_dump;
pub(super) use found::{found, found_in};
use render::hops;

/// A scenario as it is written.
struct Text {
    name: String,
    yaml: String,
    /// The command that gives consent, where that is missing.
    consent: Option<String>,
}

/// A target, and what came of it.
type Drafted = (Subject, Result<Draft, NotDrafted>);

/// Looks, and writes.
pub(super) async fn discover(arguments: &DiscoverArguments) -> anyhow::Result<Exit> {
    let seen = seen(arguments.from.as_deref(), arguments.namespace.as_deref(), look(arguments));
    let graph = match seen.await {
        Ok(graph) => graph,
        Err(exit) => return Ok(exit),
    };
    let drafter = Drafter::new(&graph, &arguments.instance);
    let wish = Wish::default();
    if let Some(target) = arguments.target.one() {
        return match drafter.draft(&target, &wish).map_err(|it| it.to_string()).and_then(sound) {
            Ok(text) => write(arguments, &[text]),
            Err(error) => {
                complain(&error);
                Ok(Exit::Usage)
            }
        };
    }
    let targets = targets(&graph).into_iter();
    let drafted: Vec<Drafted> = targets.map(|it| (it.clone(), drafter.draft(&it, &wish))).collect();
    if !arguments.target.all {
        print(&overview::show(&graph, &drafted))?;
        return Ok(Exit::Delivered);
    }
    let mut texts = Vec::new();
    for (target, draft) in drafted {
        let draft = draft.map(|it| renamed(it, &texts));
        match draft.map_err(|it| it.to_string()).and_then(sound) {
            Ok(text) => texts.push(text),
            Err(error) => say(&format!("no scenario for {target}: {error}")),
        }
    }
    if texts.is_empty() {
        complain(&"there is no path that a scenario could be written for");
        return Ok(Exit::Usage);
    }
    write(arguments, &texts)
}

/// What a dump holds or, without one, what a look at the cluster gives; what could not be seen is said.
/// The exit code, where there is nothing to go on with.
pub(super) async fn seen(
    from: Option<&Path>,
    namespace: Option<&str>,
    look: impl Future<Output = Result<Snapshot, cluster::Error>>,
) -> Result<Graph, Exit> {
    let refused = |error: &dyn fmt::Display, exit| {
        complain(error);
        exit
    };
    let snapshot = match from {
        Some(path) => dump::read(path, namespace).map_err(|it| refused(&it, Exit::Usage))?,
        None => look.await.map_err(|it| refused(&it, Exit::Unmeasured))?,
    };
    for (_, why) in snapshot.unseen() {
        say(&format!("not seen: {why}"));
    }
    Ok(Graph::of(snapshot))
}

/// Looks at the cluster.
async fn look(arguments: &DiscoverArguments) -> Result<Snapshot, crate::cluster::Error> {
    let cluster = run::connect(&arguments.cluster, Arc::new(SystemClock::new())).await?;
    let target = arguments.target.one();
    let home = target.as_ref().map(|it| it.namespace.as_str());
    collect(&cluster, arguments.namespace.as_deref(), home).await
}

/// All objects that a path may lead to.
fn targets(graph: &Graph) -> Vec<Subject> {
    let kinds =
        [GroupKind::kustomization(), GroupKind::helm_release(), GroupKind::image("ImagePolicy")];
    let of = |kind: GroupKind| graph.nodes().filter(move |it| it.subject.kind == kind);
    kinds.into_iter().flat_map(of).map(|it| it.subject.clone()).collect()
}

/// A draft under a name that no scenario has yet.
fn renamed(draft: Draft, texts: &[Text]) -> Draft {
    let numbered = (2..).map(|it| format!("{}-{it}", draft.name));
    let mut names = std::iter::once(draft.name.clone()).chain(numbered);
    let free = names.find(|name| !texts.iter().any(|it| it.name == *name));
    Draft { name: free.unwrap_or_default(), ..draft }
}

/// The text of a scenario that `check` accepts.
fn sound(draft: Draft) -> Result<Text, String> {
    if !config::trigger_kinds().contains(&draft.trigger) {
        return Err(format!(
            "its source takes a trigger `{}`, and this version has none",
            draft.trigger
        ));
    }
    let text = render::render(&draft);
    match config::load_text(&draft.name, &text) {
        Ok(_) => {
            let consent = match draft.consent {
                Consented::Missing(command) => Some(command),
                Consented::Given | Consented::Other(_) => None,
            };
            Ok(Text { name: draft.name, yaml: text, consent })
        }
        Err(problems) => Err(format!("what was found makes no scenario: {problems}")),
    }
}

/// Writes scenarios to standard output, or each to a file.
fn write(arguments: &DiscoverArguments, texts: &[Text]) -> anyhow::Result<Exit> {
    let consents: BTreeSet<_> = texts.iter().filter_map(|it| it.consent.as_ref()).collect();
    for command in consents {
        say(&format!("consent is missing: {command}"));
    }
    let Some(folder) = &arguments.output else {
        let texts: Vec<_> = texts.iter().map(|it| it.yaml.as_str()).collect();
        print(&texts.join("---\n"))?;
        if texts.len() > 1 {
            say("these are several scenarios, and a file holds one: use `--output FOLDER`");
        }
        return Ok(Exit::Delivered);
    };
    if let Err(error) = std::fs::create_dir_all(folder) {
        complain(&format!("cannot make the folder `{}`: {error}", folder.display()));
        return Ok(Exit::Usage);
    }
    let mut exit = Exit::Delivered;
    for Text { name, yaml, .. } in texts {
        let file = folder.join(format!("{name}.yaml"));
        match put(&file, yaml, arguments.force) {
            Ok(()) => say(&format!("wrote {}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let file = file.display();
                complain(&format!(
                    "`{file}` is there already: name another folder, or use `--force`"
                ));
                exit = Exit::Usage;
            }
            Err(error) => {
                complain(&format!("cannot write `{}`: {error}", file.display()));
                exit = Exit::Usage;
            }
        }
    }
    Ok(exit)
}

fn put(file: &Path, text: &str, force: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(force).create_new(!force).truncate(force);
    options.open(file)?.write_all(text.as_bytes())
}

// === impl TargetArguments ===

impl TargetArguments {
    /// The one object that is asked for.
    fn one(&self) -> Option<Subject> {
        let named = |kind: GroupKind, name: &Option<ObjectName>| {
            name.as_ref().map(|it| Subject::local(kind, &it.namespace, &it.name))
        };
        named(GroupKind::kustomization(), &self.kustomization)
            .or_else(|| named(GroupKind::helm_release(), &self.helm_release))
            .or_else(|| named(GroupKind::image("ImagePolicy"), &self.image_policy))
    }
}
