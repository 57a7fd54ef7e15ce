//! Sending a commit: two requests when nobody else has moved the branch.
//!
//! The first lists the remote's refs. If the branch is where the commit expects it, the pack goes
//! out on the same session; the server compares once more, so a second writer is never overrun.

use crate::model::Moment;
use crate::remote::git::cache::{self, Cache};
use crate::remote::git::fetch::Heads;
use crate::remote::git::session::{Push, Session};
use crate::remote::git::transport::{self, ADDRESS};
use crate::remote::git::{Error, Inner, Mode, Prepared, PublishError};
use git2::{Direction, Oid, PushOptions, RemoteCallbacks};
use std::cell::RefCell;

/// A commit that the branch shall point to.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) id: Oid,
    /// What the branch must point to for the push to be made.
    pub(super) expected: Oid,
    pub(super) mode: &'a Mode,
}

/// How one attempt ended.
pub(super) enum Attempt {
    /// The server moved the branch and said so.
    Acknowledged { sent: Moment, acknowledged: Moment },
    /// The branch, or the base, was not where it was expected; nothing has happened.
    Moved {
        /// What the server said, if it was the server that found out.
        refusal: Option<Error>,
    },
}

/// What the server reported of our ref.
#[derive(Default)]
struct Report {
    status: RefCell<Option<Result<(), String>>>,
    said: RefCell<Vec<u8>>,
}

// === impl Prepared ===

impl Prepared {
    /// Tries once to push it.
    pub(super) fn send(&self, inner: &Inner, cache: &Cache) -> Result<Attempt, PublishError> {
        let outgoing = Outgoing { id: self.id, expected: self.expected, mode: &self.edit.mode };
        attempt(inner, cache, &outgoing)
    }
}

/// Tries once to push.
pub(super) fn attempt(
    inner: &Inner,
    cache: &Cache,
    outgoing: &Outgoing<'_>,
) -> Result<Attempt, PublishError> {
    cache.point(cache::OUTGOING, outgoing.id)?;
    let session = inner.session();
    let report = Report::default();
    let sent = transport::with_session(&session, || send(inner, cache, outgoing, &report));
    match sent {
        Ok(true) => {}
        Ok(false) => return Ok(Attempt::Moved { refusal: None }),
        Err(Stop::Known(error)) => return Err(error.into()),
        Err(Stop::Git(error)) => return Err(failed(inner, cache, &session, outgoing, &error)),
    }
    let push = session.trace().push;
    match (report.status.take(), push) {
        (Some(Ok(())), Push::Answered { sent, acknowledged }) => {
            cache.point(cache::TIP, outgoing.id)?;
            Ok(Attempt::Acknowledged { sent, acknowledged })
        }
        (Some(Err(reason)), _) => {
            let raced = is_race(&reason, outgoing.mode);
            let refusal = rejected(inner, reason, &report);
            if raced { Ok(Attempt::Moved { refusal: Some(refusal) }) } else { Err(refusal.into()) }
        }
        (_, Push::Answered { sent, .. } | Push::Unanswered { sent }) => {
            let why = "the answer does not name the branch".to_owned();
            Err(no_answer(outgoing, sent, Error::Broken { url: inner.remote.to_string(), why }))
        }
        (_, Push::NotTaken) => {
            let why = "libgit2 sent nothing".to_owned();
            Err(Error::Git { url: inner.remote.to_string(), why }.into())
        }
    }
}

/// What ended an attempt before the server's report.
enum Stop {
    Known(Error),
    Git(git2::Error),
}

impl From<git2::Error> for Stop {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

/// Lists the refs and, if they are as expected, sends the pack. False: they are not.
fn send(
    inner: &Inner,
    cache: &Cache,
    outgoing: &Outgoing<'_>,
    report: &Report,
) -> Result<bool, Stop> {
    let mut remote = cache.repository().remote_anonymous(ADDRESS)?;
    let mut connection = remote.connect_auth(Direction::Push, None, None)?;
    let heads = Heads::new(connection.list()?);
    let tip = heads.branch(&inner.branch);
    let tip = tip.ok_or_else(|| Stop::Known(inner.unknown_branch(heads.some())))?;
    let base_moved = match outgoing.mode {
        Mode::Append => false,
        Mode::Replace { base, .. } => heads.base(base) != cache.commit(cache::BASE),
    };
    if tip != outgoing.expected || base_moved {
        return Ok(false);
    }
    let reference = format!("refs/heads/{}", inner.branch);
    let mut callbacks = RemoteCallbacks::new();
    callbacks.sideband_progress(|text| {
        report.said.borrow_mut().extend_from_slice(text);
        true
    });
    callbacks.push_update_reference(|name, refusal| {
        if name == reference {
            let status = refusal.map_or(Ok(()), |reason| Err(reason.to_owned()));
            *report.status.borrow_mut() = Some(status);
        }
        Ok(())
    });
    // The tip that it shall follow is the one that was listed. libgit2 would look for that among its
    // ancestors, which need not all have been fetched.
    let refspec = format!("+{}:{reference}", cache::OUTGOING);
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks);
    connection.remote().push(&[refspec], Some(&mut options))?;
    Ok(true)
}

/// Tells a push that certainly did not happen from one that may have (design rule T2).
fn failed(
    inner: &Inner,
    cache: &Cache,
    session: &Session,
    outgoing: &Outgoing<'_>,
    error: &git2::Error,
) -> PublishError {
    let push = session.trace().push;
    match push {
        Push::NotTaken => inner.typed(cache, session, error).into(),
        Push::Unanswered { sent } => no_answer(outgoing, sent, inner.typed(cache, session, error)),
        Push::Answered { .. } if error.message().contains("unpacking") => {
            rejected(inner, error.message().to_owned(), &Report::default()).into()
        }
        Push::Answered { sent, .. } => {
            let (url, why) = (inner.remote.to_string(), error.message().to_owned());
            let known = session.trace().failure.take();
            no_answer(outgoing, sent, known.unwrap_or(Error::Broken { url, why }))
        }
    }
}

fn no_answer(outgoing: &Outgoing<'_>, sent: Moment, why: Error) -> PublishError {
    PublishError::NoAnswer { commit: outgoing.id.to_string(), sent, why: Box::new(why) }
}

fn rejected(inner: &Inner, reason: String, report: &Report) -> Error {
    let said = String::from_utf8_lossy(&report.said.borrow()).into_owned();
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Error::Rejected {
        url: inner.remote.to_string(),
        branch: inner.branch.clone(),
        reason,
        said: lines.join(" / "),
    }
}

/// Whether the server's reason may mean that somebody moved the branch between our two requests.
fn is_race(reason: &str, mode: &Mode) -> bool {
    let always = ["failed to update ref", "cannot lock ref", "incorrect old value", "stale info"];
    let on_append = ["non-fast-forward", "fetch first"];
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    says(&always) || (*mode == Mode::Append && says(&on_append))
}
