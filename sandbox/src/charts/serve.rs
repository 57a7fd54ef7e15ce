//! One request: logged, spoiled if a fault says so, let in or not, and served.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{ChartFault, ChartRequest, Shared, State};
use crate::loopback::{Answer, Cut, Service};

impl Service for Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, Cut> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let proof = request.headers().get(header::AUTHORIZATION);
        let proof = proof.and_then(|it| it.to_str().ok()).map(str::to_owned);
        let (number, fault) = {
            let mut state = self.lock();
            let fault = state.take_fault(&path);
            let (path, authorized) = (path.clone(), proof.is_some());
            state.requests.push(ChartRequest {
                path,
                authorized,
                at: Instant::now(),
                status: None,
            });
            (state.requests.len() - 1, fault)
        };
        let spoiled = match fault {
            Some(ChartFault::Cut) => return Err(Cut),
            Some(ChartFault::Slow(by)) => {
                tokio::time::sleep(by).await;
                None
            }
            Some(ChartFault::Status(status)) => {
                Some(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            }
            None => None,
        };
        let mut state = self.lock();
        let answer = match spoiled {
            Some(status) => bare(status),
            None => state.serve(&path, proof.as_deref()),
        };
        state.requests[number].status = Some(answer.status().as_u16());
        Ok(answer)
    }
}

impl State {
    fn serve(&self, path: &str, proof: Option<&str>) -> Answer {
        if let Some((user, password)) = &self.account {
            let right = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            if proof != Some(right.as_str()) {
                let mut answer = bare(StatusCode::UNAUTHORIZED);
                let challenge = header::HeaderValue::from_static("Basic realm=\"charts\"");
                answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                return answer;
            }
        }
        match self.files.get(path) {
            Some(content) => Response::new(Full::new(content.clone())),
            None => bare(StatusCode::NOT_FOUND),
        }
    }

    /// The fault for a request, counted down.
    fn take_fault(&mut self, path: &str) -> Option<ChartFault> {
        let fits = |wanted: &Option<String>| wanted.as_ref().is_none_or(|it| it == path);
        let rule = self.faults.iter_mut().find(|it| fits(&it.path) && it.times != Some(0))?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault.clone())
    }
}

fn bare(status: StatusCode) -> Answer {
    let text = format!("{status}\n");
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    answer
}
