//! From changed manifests to a commit on the git host.

use tokio::time::Instant;
use tokio::time::sleep;

use super::Failure;
use super::ImageUpdateAutomations;
use super::PushOrder;
use super::Workspace;
use super::gone;
use super::observe::Plan;
use super::setters::Update;
use super::template;
use super::template_data;
use crate::flux::draft::Draft;

/// How much of a commit's id an event names.
const SHORT: usize = 7;

/// A commit that the git host has taken.
pub(super) struct Pushed {
    pub(super) commit: String,
    branch: String,
    refspec: Option<String>,
    message: String,
}

impl Pushed {
    /// What the event says of it.
    pub(super) fn summary(&self) -> String {
        let (short, branch) = (&self.commit[..SHORT], &self.branch);
        let more = self.refspec.as_ref().map(|it| format!(" and refspecs '{it}'"));
        let more = more.unwrap_or_default();
        format!("pushed commit '{short}' to branch '{branch}'{more}\n{}", self.message)
    }
}

impl ImageUpdateAutomations {
    pub(super) async fn commit_and_push(
        &self,
        draft: &Draft,
        plan: &Plan,
        mut workspace: Box<dyn Workspace>,
        update: Update,
    ) -> Result<Pushed, Failure> {
        let message = message(draft, &update)?;
        let git = &draft.spec()["git"];
        let text = |field: &str| git["commit"]["author"][field].as_str().unwrap_or_default();
        let options = git["push"]["options"].as_object().into_iter().flatten();
        let options = options.map(|(key, value)| match value.as_str().unwrap_or_default() {
            "" => key.clone(),
            value => format!("{key}={value}"),
        });
        // A branch of the automation's own is made anew from what was checked out.
        let mut to = vec![(format!("refs/heads/{}", plan.branch), plan.switches_branch())];
        if let Some(refspec) = &plan.refspec {
            let force = refspec.starts_with('+');
            let target = refspec.trim_start_matches('+').rsplit(':').next().unwrap_or_default();
            to.push((target.to_owned(), force));
        }
        let order = PushOrder {
            files: update.files,
            message: message.clone(),
            author: (text("name").to_owned(), text("email").to_owned()),
            to,
            options: options.collect(),
        };
        let speeds = self.context.speeds();
        sleep(speeds.automation_push).await;
        let started = Instant::now();
        let pushed = tokio::task::spawn_blocking(move || workspace.push(&order)).await;
        let commit = pushed.map_err(|_| gone())?.map_err(|why| {
            Failure::new("GitOperationFailed", format!("failed to update source: {why}"))
        })?;
        // A host on the wire takes its own time, which is part of the recorded one.
        sleep(speeds.automation_answer.saturating_sub(started.elapsed())).await;
        let (branch, refspec) = (plan.branch.clone(), plan.refspec.clone());
        Ok(Pushed { commit, branch, refspec, message })
    }
}

fn message(draft: &Draft, update: &Update) -> Result<String, Failure> {
    let wish = draft.spec()["git"]["commit"]["messageTemplate"].as_str();
    let wish = wish.filter(|it| !it.is_empty()).unwrap_or(template::DEFAULT);
    if wish.contains(".Updated") || wish.contains(".Changed.ImageResult") {
        let message = "template uses removed '.Updated' or '.Changed.ImageResult' field";
        return Err(Failure::stalled("RemovedTemplateField", message.to_owned()));
    }
    template::render(wish, &template_data(draft, update)).map_err(|why| {
        Failure::new("GitOperationFailed", format!("failed to update source: {why}"))
    })
}
