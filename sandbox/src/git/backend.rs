//! `git http-backend`, run as CGI for one request.
//!
//! The answer is read as it comes, because the moment a push becomes visible is not its end: git
//! reports right after it moved the refs and only then runs what comes after.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::Instant;

use super::Error;

/// What the backend is asked.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    /// The path inside the root, beginning with a slash.
    pub(super) path: String,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Bytes,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// When the report of a push had been read; none if there was none.
    pub(super) reported: Option<Instant>,
}

/// The backend's path, as the installed git knows it.
pub(super) async fn find() -> Result<PathBuf, Error> {
    let output = Command::new("git").arg("--exec-path").output().await.map_err(|_| Error::NoGit)?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let backend = Path::new(&folder).join("git-http-backend");
    if backend.is_file() { Ok(backend) } else { Err(Error::NoBackend(backend)) }
}

/// Runs the backend over the repositories under `root`.
pub(super) async fn run(
    backend: &Path,
    root: &Path,
    request: Request<'_>,
) -> std::io::Result<Answer> {
    let header = |name: &str| {
        request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let mut child = Command::new(backend)
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("REQUEST_METHOD", request.method.as_str())
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", request.query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A backend that refuses a request may close its end early: its answer says why.
            let _ = stdin.write_all(&request.body).await;
        }
    };
    let read = async {
        let (mut output, mut reported) = (Vec::new(), None);
        let Some(mut stdout) = stdout else { return Ok((output, reported)) };
        while stdout.read_buf(&mut output).await? > 0 {
            if reported.is_none() && output.windows(7).any(|window| window == b"unpack ") {
                reported = Some(Instant::now());
            }
        }
        Ok::<_, std::io::Error>((output, reported))
    };
    let ((), read) = tokio::join!(write, read);
    let (output, reported) = read?;
    child.wait().await?;
    Ok(split(output, reported))
}

/// Parts the CGI's headers from the body.
fn split(output: Vec<u8>, reported: Option<Instant>) -> Answer {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let mut status = if end == output.len() { 500 } else { 200 };
    let body = output.len().min(end + 4);
    let mut headers = Vec::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("status") {
            status = value.get(..3).and_then(|code| code.parse().ok()).unwrap_or(500);
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    let body = Bytes::from(output).slice(body..);
    Answer { status, headers, body, reported }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_and_a_body_are_told_apart() {
        let answer = split(b"Status: 403 Forbidden\r\nX-Y: z\r\n\r\nno".to_vec(), None);
        assert_eq!((answer.status, answer.body.as_ref()), (403, b"no".as_slice()));
        assert_eq!(answer.headers, [("X-Y".to_owned(), "z".to_owned())]);
    }

    #[test]
    fn an_answer_without_headers_is_the_hosts_fault() {
        assert_eq!(split(Vec::new(), None).status, 500);
    }
}
