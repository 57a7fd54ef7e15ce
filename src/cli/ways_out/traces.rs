//! Runs as traces of OTLP, in protobuf over HTTP.

use crate::cli::ways_out::ear::FinishedRun;
use crate::cli::ways_out::endpoint::Endpoint;
use crate::cli::ways_out::tell::Tell;
use crate::engine::own_trace;
use crate::export::otlp::{Traced, Tracing, rejected};
use crate::remote::post::{NotTaken, Verb};
use async_trait::async_trait;

/// Traces to one address.
pub(super) struct Traces {
    endpoint: Endpoint,
    resource: Vec<(String, String)>,
}

/// Answers of those who do not take traces.
const NO_TRACES: [u16; 2] = [404, 405];

// === impl Traces ===

impl Traces {
    pub(super) fn new(endpoint: Endpoint, resource: Vec<(String, String)>) -> Self {
        Self { endpoint, resource }
    }
}

#[async_trait]
impl Tell for Traces {
    async fn tell(&mut self, run: &FinishedRun) -> Result<(), NotTaken> {
        let FinishedRun { record, zero, ended } = run;
        // One that never began has no trace of its own yet.
        let trace = record.trace_id.unwrap_or_else(|| own_trace(&record.scenario, &record.canary));
        let tracing = Tracing { resource: &self.resource, version: env!("CARGO_PKG_VERSION") };
        let body = tracing.write(Traced { record, trace, zero: *zero, ended: *ended });
        let headers = [("Content-Type", "application/x-protobuf")];
        let receipt = match self.endpoint.send(Verb::Post, &headers, body).await {
            Err(NotTaken::Refused { status, why }) if NO_TRACES.contains(&status) => {
                let why = format!("{why}, or give `--otlp-traces none`");
                return Err(NotTaken::Refused { status, why });
            }
            other => other?,
        };
        let Some(it) = rejected(&receipt.body) else { return Ok(()) };
        let host = self.endpoint.host();
        let why = format!("{host} did not take {} spans (`{}`): see its log", it.points, it.why);
        Err(NotTaken::Refused { status: 200, why })
    }
}
