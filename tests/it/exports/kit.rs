//! What the tests of exports share: an other end that answers as a test says, posts of bodies, and
//! what a Prometheus must say of the known runs.

use crate::metrics::DELIVERED;
use crate::prometheus_kit::Prometheus;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hopclock::model::{BOUNDS, Histogram};
use hopclock::remote::Clients;
use hopclock::remote::post::{Destination, NotTaken, Parcel, Receipt, Verb};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How an other end answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes everything.
    Takes,
    /// It answers with this status, and says so.
    Says(u16),
    /// It asks to come again after so many seconds.
    Busy(u32),
    /// It never answers.
    Hangs,
    /// It refuses, and tells back the headers that it got.
    Echoes,
    /// It reads what is sent, and the connection breaks before its answer is whole.
    Breaks,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// How the other end feels now, and what has come.
type Seen = Arc<Mutex<(Mood, Vec<Came>)>>;

/// An other end.
pub(crate) struct OtherEnd {
    pub(crate) address: SocketAddr,
    state: Seen,
    serving: JoinHandle<()>,
}

// === impl OtherEnd ===

impl Drop for OtherEnd {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl OtherEnd {
    pub(crate) async fn start(mood: Mood) -> Self {
        let state = Arc::new(Mutex::new((mood, Vec::new())));
        let router = axum::Router::new().fallback(answer).with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers otherwise from now on.
    pub(crate) fn set(&self, mood: Mood) {
        self.state.lock().unwrap().0 = mood;
    }

    /// What has come so far.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.state.lock().unwrap().1.clone()
    }
}

async fn answer(State(state): State<Seen>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let mood = {
        let mut state = state.lock().unwrap();
        let headers = headers.clone();
        state.1.push(Came { path: uri.path().to_owned(), headers, body });
        state.0
    };
    match mood {
        Mood::Takes => StatusCode::OK.into_response(),
        Mood::Says(status) => {
            (StatusCode::from_u16(status).unwrap(), "nothing of that sort").into_response()
        }
        Mood::Echoes => (StatusCode::BAD_REQUEST, format!("what is {headers:?}?")).into_response(),
        Mood::Busy(seconds) => {
            let wait = [("retry-after", seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, wait).into_response()
        }
        Mood::Hangs => std::future::pending().await,
        Mood::Breaks => {
            let cut = async { Err::<Bytes, _>(std::io::Error::other("cut")) };
            Body::from_stream(futures_util::stream::once(cut)).into_response()
        }
    }
}

/// Sends a body as the ways do.
pub(crate) async fn send(
    url: &str,
    verb: Verb,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<Receipt, NotTaken> {
    let timeout = Duration::from_secs(60);
    let destination = Destination::new(url, None, timeout, &Clients::default()).unwrap();
    let headers = headers.iter().map(|it| (it.0.to_owned(), it.1.into())).collect();
    destination.send(Parcel { verb, headers, body }).await
}

/// None lies between two of the known lengths, where everything between them is right, and Prometheus 3,
/// which counts from the top, says something else than 2.
pub(crate) const QUANTILES: [f64; 4] = [0.3, 0.55, 0.8, 1.0];

/// The true quantile of the known lengths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a small rank"
)]
fn truth(q: f64) -> f64 {
    DELIVERED[(q * DELIVERED.len() as f64).ceil() as usize - 1]
}

/// A Prometheus computes from classic buckets what the known lengths are, within a bucket.
pub(crate) async fn assert_classic(prometheus: &mut Prometheus) {
    for q in QUANTILES {
        let bucket = r#"hopclock_push_to_apply_seconds_bucket{outcome="ok"}"#;
        let query = format!("histogram_quantile({q}, {bucket})");
        let computed = prometheus.eventually(&query, |it| !it.is_nan()).await;
        assert_in_classic_bucket(q, computed);
    }
    // Prometheus' reader of OTLP and the Pushgateway write whole bounds without a fraction.
    let bound = r#"hopclock_push_to_apply_seconds_bucket{outcome="ok",le=~"60([.]0)?"}"#;
    prometheus.eventually(bound, |it| same(it, 7.0)).await;
}

/// The same from native histograms.
pub(crate) async fn assert_native(prometheus: &mut Prometheus) {
    for q in QUANTILES {
        let native = r#"hopclock_push_to_apply_seconds{outcome="ok"}"#;
        let query = format!("histogram_quantile({q}, {native})");
        let computed = prometheus.eventually(&query, |it| !it.is_nan()).await;
        assert_in_native_bucket(q, computed);
    }
    let count = r#"histogram_count(hopclock_push_to_apply_seconds{outcome="ok"})"#;
    prometheus.eventually(count, |it| same(it, 8.0)).await;
}

/// What was computed lies in the classic bucket of the true quantile.
pub(crate) fn assert_in_classic_bucket(q: f64, computed: f64) {
    let upper = BOUNDS.into_iter().find(|it| truth(q) <= *it).unwrap();
    let lower = BOUNDS.into_iter().rev().find(|it| *it < truth(q)).unwrap();
    assert!(lower < computed && computed <= upper, "{q}: {computed} is not {}", truth(q));
}

/// The same of the native bucket.
pub(crate) fn assert_in_native_bucket(q: f64, computed: f64) {
    let mut ours = Histogram::default();
    for length in DELIVERED {
        ours.observe(Duration::from_secs_f64(length));
    }
    let range = ours.native().ranges().find(|it| truth(q) <= it.1).unwrap();
    let rounding = 1.0 + 1e-9;
    assert!(
        range.0 < computed * rounding && computed <= range.1 * rounding,
        "{q}: {computed} is not {}",
        truth(q)
    );
}

/// Whether two small whole numbers are the same.
pub(crate) fn same(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}
