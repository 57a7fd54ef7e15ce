//! Takes the canary file of a lane that is given up off its branch.
//!
//! Each run replaces one file, so nothing else is ever left behind. The file goes only if it is
//! wholly ours and nothing breaks without it (rule S0): a template of somebody may hold more than a
//! canary, and a `kustomization.yaml` that lists a file which is gone builds nothing any more.

use crate::model::{CanaryId, Stays, Tidied};
use crate::remote::git::Further;
use crate::trigger::git_commit::{Content, GitCommit, PushMode, latest_in};
use crate::trigger::{Error, Reach, Sweep, git_access};

/// The names of the file that lists what a folder is built of.
const LISTS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

// === impl GitCommit ===

impl GitCommit {
    /// Takes the file away, or sets the branch back to its base.
    pub(super) async fn give_up(&self, how: &Sweep) -> Result<Tidied, Error> {
        let mut tidied = Tidied::default();
        if how.reach != Reach::Everything {
            return Ok(tidied);
        }
        let path = &self.edit.path;
        let Some(file) = self.remote.read_file(path).await? else { return Ok(tidied) };
        let canary = latest_in(&file).filter(|it| it.instance() == self.edit.instance);
        let Some(canary) = canary else { return Ok(tidied) };
        if let Some(why) = self.why_it_stays(&file, &canary).await? {
            tidied.used.push(Stays::new(path, why));
            return Ok(tidied);
        }
        if how.is_dry {
            tidied.removed.push(path.clone());
            return Ok(tidied);
        }
        let edit = &self.edit;
        let message = edit.message_of(&format!("take away the canary {canary}"), None);
        let mut removal = edit.edit(message);
        // Whatever stands there by then stays, unless it is what was looked at. What a base holds is
        // part of the base.
        let gone = Further::new(path.clone(), move |before| {
            Ok(before.filter(|it| **it != *file).map(<[u8]>::to_vec))
        });
        match &edit.mode {
            PushMode::Append => removal.further.push(gone),
            PushMode::Replace { .. } => removal.further.clear(),
        }
        match git_access::commit(&self.remote, removal).await {
            Ok(()) => tidied.removed.push(path.clone()),
            Err(why) => tidied.left.push(Stays::new(path, why)),
        }
        Ok(tidied)
    }

    /// Why the file must not go; none if it may.
    async fn why_it_stays(&self, file: &[u8], canary: &CanaryId) -> Result<Option<String>, Error> {
        // Above the base nothing but canaries stands (rule S2), and the base is somebody's.
        if self.edit.mode != PushMode::Append {
            return Ok(None);
        }
        if let Some(why) = self.edit.content.why_it_stays(file, canary) {
            return Ok(Some(why));
        }
        let tip = self.remote.fetch_tip().await?;
        let name = self.edit.path.rsplit('/').next().unwrap_or_default();
        let files = self.remote.files_with(&tip, name).await?;
        let listing = files.iter().find(|it| is_listed(it.0) && names(it.1, name));
        Ok(listing.map(|it| listed_in(it.0)))
    }
}

// === impl Content ===

impl Content {
    /// Why a file with a canary must not be taken away; none if it is wholly ours.
    pub(in crate::trigger) fn why_it_stays(
        &self,
        file: &[u8],
        canary: &CanaryId,
    ) -> Option<String> {
        match self {
            Self::Template(_) => Some(
                "it is made of the scenario's own `template`, and may hold more than a canary: take \
                 it away yourself"
                    .to_owned(),
            ),
            Self::ConfigMap(_) if self.for_canary(canary).as_bytes() != file => Some(
                "it is not as hopclock has written it: somebody may need it, so take it away \
                 yourself"
                    .to_owned(),
            ),
            Self::ConfigMap(_) => None,
        }
    }
}

/// Whether a file is one that lists what a folder is built of.
pub(in crate::trigger) fn is_listed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    LISTS.contains(&name)
}

/// Whether a list has an entry for a file of this name.
pub(in crate::trigger) fn names(list: &str, name: &str) -> bool {
    let words = list.split(|it: char| it.is_whitespace() || "\"',[]{}".contains(it));
    let is_it = |path: &str| path.rsplit('/').next() == Some(name);
    // A generator may give the file another name: `key=path`.
    words.into_iter().any(|it| is_it(it) || it.split_once('=').is_some_and(|it| is_it(it.1)))
}

/// Why a file stays that another one lists.
pub(in crate::trigger) fn listed_in(list: &str) -> String {
    format!("`{list}` lists it, and would build nothing without it: take it out of there first")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ObjectName;

    #[test]
    fn s0_only_a_file_that_hopclock_wrote_whole_may_go() {
        let canary = CanaryId::new("team-a", 7);
        let own = Content::ConfigMap(ObjectName::new("hopclock", "canary"));
        let file = own.for_canary(&canary);
        assert_eq!(own.why_it_stays(file.as_bytes(), &canary), None);
        let more = format!("{file}  more: somebody's\n");
        assert!(own.why_it_stays(more.as_bytes(), &canary).unwrap().contains("somebody"));
        let template = Content::Template("a: ${canary}\n".to_owned());
        let file = template.for_canary(&canary);
        assert!(template.why_it_stays(file.as_bytes(), &canary).unwrap().contains("`template`"));
    }

    #[test]
    fn a_list_names_files_and_not_parts_of_their_names() {
        assert!(is_listed("apps/kustomization.yaml") && !is_listed("apps/readme.md"));
        let list = "resources: [a.yaml, \"../x/canary.yaml\"]\npatches:\n- path: my-map.yaml\n";
        assert!(names(list, "canary.yaml") && names(list, "my-map.yaml") && names(list, "a.yaml"));
        assert!(!names(list, "map.yaml") && !names(list, "x"));
        let generator = "configMapGenerator:\n- files: [key=a/configmap.yaml, plain.txt]\n";
        assert!(names(generator, "configmap.yaml") && names(generator, "plain.txt"));
    }
}
