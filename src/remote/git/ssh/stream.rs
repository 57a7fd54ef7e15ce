//! The conversation with git's program, as libgit2 reads and writes it.
//!
//! What libgit2 writes is kept until it reads, so that a push goes out as a whole: the instant
//! before that is its `sent`.

use crate::remote::git::Error;
use crate::remote::git::session::{self, Push};
use crate::remote::git::ssh::Session;
use crate::remote::git::ssh::connection::Link;
use crate::remote::git::ssh::report::Report;
use crate::remote::git::ssh::trouble::SshTrouble;
use bytes::{Buf, Bytes};
use russh::{ChannelMsg, Disconnect};
use std::io::{self, Read, Write};
use std::sync::Arc;
use tokio::time::Instant;

const FETCH: &str = "git-upload-pack";
const PUSH: &str = "git-receive-pack";
/// What libgit2 says when it wants nothing more.
const GOODBYE: &[u8] = b"0000";
/// How a shell ends when it does not find a program.
const NO_PROGRAM: u32 = 127;
/// As much of what the program prints on its error output as is kept.
const MOST_SAID: usize = 4096;
/// As much of it as is shown.
const MOST_SHOWN: usize = 300;

/// A program of git that answers.
pub(super) struct Stream {
    session: Arc<Session>,
    program: &'static str,
    /// Always there until it is dropped.
    link: Option<Link>,
    /// Written, not sent yet.
    pending: Vec<u8>,
    /// Received, not read yet.
    answer: Bytes,
    /// When the answer to what was last sent must be there.
    deadline: Instant,
    /// Whether it has said anything yet.
    began: bool,
    report: Report,
    said: Vec<u8>,
    status: Option<u32>,
}

impl Stream {
    /// Has the program run that a fetch talks to.
    pub(super) fn fetch(session: &Arc<Session>) -> io::Result<Self> {
        Self::open(session, FETCH)
    }

    /// Has the program run that a push talks to.
    pub(super) fn push(session: &Arc<Session>) -> io::Result<Self> {
        Self::open(session, PUSH)
    }

    fn open(session: &Arc<Session>, program: &'static str) -> io::Result<Self> {
        session.meter.asked();
        let link = session.runtime.block_on(Link::open(session, program));
        let link = link.map_err(|error| failed(session, error))?;
        Ok(Self {
            session: session.clone(),
            program,
            link: Some(link),
            pending: Vec::new(),
            answer: Bytes::new(),
            deadline: deadline(session),
            began: false,
            report: Report::new(&session.reference),
            said: Vec::new(),
            status: None,
        })
    }

    /// Sends what was written.
    fn send(&mut self) -> Result<(), Error> {
        let session = &self.session;
        let closed = |link: &Link| Error::Broken {
            url: session.url(),
            why: why_closed(&self.said, self.status, &link.last_words()),
        };
        let Some(link) = &self.link else { return Ok(()) };
        if link.handle.is_closed() {
            return Err(closed(link));
        }
        let pending = std::mem::take(&mut self.pending);
        self.deadline = deadline(session);
        let mut trace = session::lock(&session.trace);
        if self.program == PUSH && trace.push == Push::NotTaken && pending != GOODBYE {
            trace.push = Push::Unanswered { sent: session.clock.now() };
        }
        drop(trace);
        let sending = tokio::time::timeout_at(self.deadline, link.channel.data_bytes(pending));
        match session.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(closed(link)),
            Err(_) => Err(Error::Timeout { url: session.url(), after: session.timeout }),
        }
    }

    /// The next bytes; none at the end.
    fn receive(&mut self) -> Result<Bytes, Error> {
        let session = self.session.clone();
        let waiting = tokio::time::timeout_at(self.deadline, self.next());
        match session.runtime.block_on(waiting) {
            Ok(bytes) => bytes,
            Err(_) => Err(Error::Timeout { url: session.url(), after: session.timeout }),
        }
    }

    async fn next(&mut self) -> Result<Bytes, Error> {
        let Some(link) = &mut self.link else { return Ok(Bytes::new()) };
        while let Some(message) = link.channel.wait().await {
            match message {
                ChannelMsg::Data { data } if !data.is_empty() => {
                    if !self.began && !is_git(&data) {
                        let (command, said) = (self.program.to_owned(), plain(&data));
                        let trouble = SshTrouble::CommandRefused { command, said };
                        return Err(self.session.trouble(trouble));
                    }
                    self.began = true;
                    let mut trace = session::lock(&self.session.trace);
                    if let Push::Unanswered { sent } = trace.push
                        && self.report.take(&data)
                    {
                        let acknowledged = self.session.clock.now();
                        trace.push = Push::Answered { sent, acknowledged };
                    }
                    drop(trace);
                    return Ok(data);
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    let room = MOST_SAID.saturating_sub(self.said.len());
                    self.said.extend(data.iter().take(room));
                }
                ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
                ChannelMsg::Failure | ChannelMsg::Close => break,
                _ => {}
            }
        }
        Err(self.ended())
    }

    /// What it means that nothing more comes.
    fn ended(&self) -> Error {
        let said = plain(&self.said);
        let last_words = self.link.as_ref().map(Link::last_words).unwrap_or_default();
        if self.began || !last_words.is_empty() {
            let why = why_closed(&self.said, self.status, &last_words);
            return Error::Broken { url: self.session.url(), why };
        }
        self.session.trouble(refusal(self.program, said, self.status))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.pending.is_empty() {
            self.send().map_err(|error| failed(&self.session, error))?;
        }
        if self.answer.is_empty() {
            self.answer = self.receive().map_err(|error| failed(&self.session, error))?;
        }
        let length = self.answer.len().min(buffer.len());
        self.answer.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

impl Drop for Stream {
    /// Says goodbye, so that the host logs no broken connection; nobody waits for it. A push that
    /// was never sent is not sent now.
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        let goodbye = self.pending == GOODBYE;
        let timeout = self.session.timeout;
        self.session.runtime.spawn(tokio::time::timeout(timeout, async move {
            if goodbye {
                link.channel.data_bytes(GOODBYE).await?;
            }
            link.channel.eof().await?;
            link.handle.disconnect(Disconnect::ByApplication, "", "").await
        }));
    }
}

/// When an answer that is asked for now must be there: by the runtime's timers, for the clock of
/// measurements has nothing to do with it.
fn deadline(session: &Session) -> Instant {
    tokio::time::sleep(session.timeout).deadline()
}

/// Keeps the typed error for after libgit2, which is told a text.
fn failed(session: &Session, error: Error) -> io::Error {
    let text = error.to_string();
    session::lock(&session.trace).failure = Some(error);
    io::Error::other(text)
}

/// Whether an answer begins as git's do, with a length in four digits, and not as a shell's.
fn is_git(answer: &[u8]) -> bool {
    answer.iter().take(4).all(u8::is_ascii_hexdigit)
}

/// Why the server did not let the program say anything.
fn refusal(program: &str, said: String, status: Option<u32>) -> SshTrouble {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let none = [
        "not found",
        "does not exist",
        "not appear to be a git repository",
        "could not be found",
        "no such",
        "no project",
    ];
    let read_only = ["read only", "read-only", "denied", "not allowed to push", "write access"];
    if program == PUSH && says(&read_only) {
        return SshTrouble::ReadOnly { said };
    }
    // Without the program itself there is no repository to look for.
    let no_program = status == Some(NO_PROGRAM) || says(&["command not found"]);
    if says(&none) && !no_program {
        return SshTrouble::NoRepository { said };
    }
    let said = match status {
        Some(status) if said.is_empty() => format!("exit status {status}"),
        _ => said,
    };
    SshTrouble::CommandRefused { command: program.to_owned(), said }
}

fn why_closed(said: &[u8], status: Option<u32>, last_words: &str) -> String {
    let said = plain(said);
    match (said.is_empty(), last_words.is_empty(), status) {
        (false, ..) => said,
        (_, false, _) => last_words.to_owned(),
        (.., Some(status)) => format!("git ended with status {status}"),
        _ => "the channel was closed".to_owned(),
    }
}

/// What a host says, in one line, without what a terminal would obey.
pub(super) fn plain(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines = text.lines().map(|line| {
        let line: String = line.chars().filter(|it| !it.is_control() && *it != '`').collect();
        line.trim().to_owned()
    });
    // GitLab frames what it says with lines of `=`.
    let telling = |line: &String| line.chars().any(char::is_alphanumeric);
    let lines: Vec<_> = lines.filter(telling).collect();
    lines.join(" / ").chars().take(MOST_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_code_hosts_say_becomes_the_right_trouble() {
        let none = "git_no_repository";
        let read_only = "git_forbidden";
        for (program, said, reason) in [
            (PUSH, "ERROR: Repository not found.\nfatal: Could not read", none),
            (FETCH, "ERROR: Repository not found.", none),
            (FETCH, "fatal: '/x' does not appear to be a git repository", none),
            (
                FETCH,
                "remote: ERROR: The project you were looking for could not be found or you don't \
                 have permission to view it.",
                none,
            ),
            (
                PUSH,
                "ERROR: The key you are authenticating with has been marked as read only.",
                read_only,
            ),
            (PUSH, "ERROR: Permission to a/b.git denied to deploy key", read_only),
            (PUSH, "ERROR: This deploy key does not have write access to this project.", read_only),
            (FETCH, "bash: git-upload-pack: command not found", "git_ssh_command"),
            (FETCH, "This account is currently not available.", "git_ssh_command"),
            (FETCH, "", "git_ssh_command"),
        ] {
            let trouble = refusal(program, plain(said.as_bytes()), Some(128));
            assert_eq!(trouble.reason(), reason, "{said}");
        }
        let trouble = refusal(PUSH, "git-receive-pack: not found".to_owned(), Some(NO_PROGRAM));
        assert_eq!(trouble.reason(), "git_ssh_command");
        let trouble = refusal(FETCH, String::new(), Some(1));
        assert!(trouble.to_string().contains("exit status 1"), "{trouble}");
    }

    #[test]
    fn what_a_host_says_is_one_short_line_that_no_terminal_obeys() {
        let said = "\x1b[31mred\r\n\n====\n  `two`  \n";
        assert_eq!(plain(said.as_bytes()), "[31mred / two");
        assert_eq!(plain("é".repeat(1000).as_bytes()).chars().count(), MOST_SHOWN);
    }
}
