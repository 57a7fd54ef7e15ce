//! Learning where the remote's branch stands, and as little of its history as will do.

use crate::remote::git::cache::{self, Cache};
use crate::remote::git::history::{self, Above};
use crate::remote::git::transport::{self, ADDRESS};
use crate::remote::git::{Error, Inner, Mode};
use git2::{Direction, FetchOptions, Oid, RemoteHead};

/// How far back `replace` looks for what the last canary stood on: the base may have advanced by
/// as many commits since. Further away it is taken for somebody's work.
const REPLACE_DEPTHS: [i32; 3] = [16, 256, 4096];

/// How many commits are fetched where a branch has moved on: each may be the one.
const FOLLOWED: i32 = 16;

/// What the remote says of its refs.
pub(super) struct Heads {
    heads: Vec<(String, Oid)>,
}

impl Heads {
    pub(super) fn new(list: &[RemoteHead<'_>]) -> Self {
        Self { heads: list.iter().map(|head| (head.name().to_owned(), head.oid())).collect() }
    }

    pub(super) fn branch(&self, branch: &str) -> Option<Oid> {
        let name = format!("refs/heads/{branch}");
        self.heads.iter().find(|(found, _)| *found == name).map(|(_, id)| *id)
    }

    /// The commit of a base: a branch's, or the one that it names itself.
    pub(super) fn base(&self, base: &str) -> Option<Oid> {
        self.branch(base).or_else(|| Oid::from_str(base).ok().filter(|_| base.len() == 40))
    }

    /// A few branches, for a person who misspelled one.
    pub(super) fn some(&self) -> Vec<String> {
        let branches = self.heads.iter().filter_map(|(name, _)| name.strip_prefix("refs/heads/"));
        branches.take(5).map(str::to_owned).collect()
    }
}

/// Asks for the remote's refs.
pub(super) fn heads(inner: &Inner, cache: &Cache) -> Result<Heads, Error> {
    let session = inner.session();
    let list = || {
        let mut remote = cache.repository().remote_anonymous(ADDRESS)?;
        let connection = remote.connect_auth(Direction::Fetch, None, None)?;
        Ok(Heads::new(connection.list()?))
    };
    transport::with_session(&session, list).map_err(|error| inner.typed(cache, &session, &error))
}

/// Brings the cache up to the remote's tip; checks that `replace` would remove nobody's work.
pub(super) fn refresh(inner: &Inner, cache: &Cache, mode: &Mode) -> Result<(), Error> {
    match mode {
        Mode::Append => fetch(inner, cache, None, 1),
        Mode::Replace { base, trailer } => {
            let mut last = Ok(());
            for depth in REPLACE_DEPTHS {
                fetch(inner, cache, Some(base), depth)?;
                last = check_lane(inner, cache, base, trailer).map(drop);
                if last.is_ok() {
                    break;
                }
            }
            last
        }
    }
}

/// Design rule S2 on what the cache knows.
pub(super) fn check_lane(
    inner: &Inner,
    cache: &Cache,
    base: &str,
    trailer: &str,
) -> Result<(), Error> {
    let ids = cache.commit(cache::TIP).zip(cache.commit(cache::BASE));
    let (tip, base_id) = ids.ok_or_else(|| inner.unknown_branch(Vec::new()))?;
    match history::above(cache.repository(), tip, base_id, trailer) {
        Above::Canaries => Ok(()),
        Above::Foreign { commit, subject } => Err(Error::ForeignCommit {
            url: inner.remote.to_string(),
            branch: inner.branch.clone(),
            base: base.to_owned(),
            commit,
            subject,
        }),
    }
}

/// Fetches one commit by its id, with its tree and nothing else.
pub(super) fn fetch_commit(inner: &Inner, cache: &Cache, id: Oid) -> Result<(), Error> {
    let repository = cache.repository();
    if repository.find_commit(id).is_ok_and(|commit| commit.tree().is_ok()) {
        return Ok(());
    }
    deepen(inner, cache, id, 1)
}

/// Fetches one commit by its id, with so much of the history below it.
pub(super) fn deepen(inner: &Inner, cache: &Cache, id: Oid, depth: i32) -> Result<(), Error> {
    let repository = cache.repository();
    let session = inner.session();
    let fetch = || {
        let mut remote = repository.remote_anonymous(ADDRESS)?;
        let mut options = options(depth);
        remote.fetch(&[format!("+{id}:refs/hopclock/seen")], Some(&mut options), None)
    };
    transport::with_session(&session, fetch).map_err(|error| inner.typed(cache, &session, &error))
}

/// Where the branch stands now, with its tree and a few commits before it in the cache; none if
/// there is no such branch. One request where the cache stands there already.
pub(super) fn follow(inner: &Inner, cache: &Cache) -> Result<Option<Oid>, Error> {
    let session = inner.session();
    let known = cache.commit(cache::TIP);
    let ask = || {
        let mut remote = cache.repository().remote_anonymous(ADDRESS)?;
        let mut connection = remote.connect_auth(Direction::Fetch, None, None)?;
        let tip = Heads::new(connection.list()?).branch(&inner.branch);
        if tip.is_none() || tip == known {
            return Ok(tip);
        }
        let wanted = format!("+refs/heads/{}:{}", inner.branch, cache::TIP);
        let mut options = options(if known.is_some() { FOLLOWED } else { 1 });
        connection.remote().fetch(&[wanted], Some(&mut options), None)?;
        Ok(cache.commit(cache::TIP))
    };
    transport::with_session(&session, ask).map_err(|error| inner.typed(cache, &session, &error))
}

fn fetch(inner: &Inner, cache: &Cache, base: Option<&String>, depth: i32) -> Result<(), Error> {
    let session = inner.session();
    let cold = cache.commit(cache::TIP).is_none();
    let fetch = || {
        let typed = |error| inner.typed(cache, &session, &error);
        let mut remote = cache.repository().remote_anonymous(ADDRESS).map_err(typed)?;
        let mut connection = remote.connect_auth(Direction::Fetch, None, None).map_err(typed)?;
        let heads = Heads::new(connection.list().map_err(typed)?);
        let tip = heads.branch(&inner.branch);
        let tip = tip.ok_or_else(|| inner.unknown_branch(heads.some()))?;
        let mut wanted = vec![format!("+refs/heads/{}:{}", inner.branch, cache::TIP)];
        if let Some(base) = base {
            let missing = || Error::UnknownBranch {
                url: inner.remote.to_string(),
                branch: base.clone(),
                known: heads.some(),
            };
            let name = match heads.branch(base) {
                Some(_) => format!("refs/heads/{base}"),
                None => heads.base(base).ok_or_else(missing)?.to_string(),
            };
            wanted.push(format!("+{name}:{}", cache::BASE));
        } else if cache.commit(cache::TIP) == Some(tip) {
            return Ok(());
        }
        let mut options = options(depth);
        connection.remote().fetch(&wanted, Some(&mut options), None).map_err(typed)
    };
    transport::with_session(&session, fetch)?;
    if cold {
        cache.note_fresh_size();
    }
    Ok(())
}

fn options(depth: i32) -> FetchOptions<'static> {
    let mut options = FetchOptions::new();
    options.depth(depth).download_tags(git2::AutotagOption::None).update_fetchhead(false);
    options
}
