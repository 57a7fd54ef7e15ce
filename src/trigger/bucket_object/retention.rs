//! Takes away the object of a lane that is given up.
//!
//! Each run replaces one object, so nothing else is ever left behind. It goes only if it is wholly
//! ours and no list in the bucket has an entry for it (rule S0).

use crate::model::{Stays, Tidied};
use crate::trigger::bucket_object::{BucketObject, MOST_LISTED};
use crate::trigger::git_commit::{is_listed, latest_in, listed_in, names};
use crate::trigger::{Error, Reach, Sweep};

// === impl BucketObject ===

impl BucketObject {
    /// Takes the object away.
    pub(super) async fn give_up(&self, how: &Sweep) -> Result<Tidied, Error> {
        let mut tidied = Tidied::default();
        if how.reach != Reach::Everything {
            return Ok(tidied);
        }
        let key = &self.aim.key;
        let Some(object) = self.bucket.get(key).await? else { return Ok(tidied) };
        let canary = latest_in(&object.body).filter(|it| it.instance() == self.aim.instance);
        let Some(canary) = canary else { return Ok(tidied) };
        let why = match self.aim.content.why_it_stays(&object.body, &canary) {
            Some(why) => Some(why),
            None => self.listed().await?,
        };
        if let Some(why) = why {
            tidied.used.push(Stays::new(key, why));
        } else if how.is_dry {
            tidied.removed.push(key.clone());
        } else {
            match self.bucket.delete(key).await {
                Ok(()) => tidied.removed.push(key.clone()),
                Err(error) => tidied.left.push(Stays::new(key, error.to_string())),
            }
        }
        Ok(tidied)
    }

    /// Why the object stays, if a list has an entry for it.
    async fn listed(&self) -> Result<Option<String>, Error> {
        let name = self.aim.key.rsplit('/').next().unwrap_or_default();
        let entries = self.bucket.list("", MOST_LISTED).await?;
        for entry in &entries {
            if !is_listed(&entry.key) {
                continue;
            }
            let list = self.bucket.get(&entry.key).await?;
            if list.is_some_and(|it| names(&String::from_utf8_lossy(&it.body), name)) {
                return Ok(Some(listed_in(&entry.key)));
            }
        }
        Ok((entries.len() >= MOST_LISTED).then(|| {
            format!(
                "only the first {MOST_LISTED} objects of the bucket are looked through, and a \
                 further one may list it: take it away yourself"
            )
        }))
    }
}
