//! An issuer of identity tokens, and the check that Receivers make of them.
//!
//! The check discovers the issuer's keys with every call, as notification-controller does. Google is
//! played by whichever issuer on loopback has signed a token.

use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::UnparsedPublicKey;
use axum::Json;
use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What a token counts as, in seconds since 1970, that was given no end: the year 2100.
const LATE: i64 = 4_102_444_800;

/// An issuer on loopback; dropping it ends its server.
pub struct Issuer {
    address: SocketAddr,
    pair: EcdsaKeyPair,
    _serving: JoinSet<()>,
}

impl Issuer {
    /// Starts an issuer with a key of its own.
    ///
    /// # Errors
    ///
    /// If there is no port or no key to be had.
    pub async fn start() -> io::Result<Self> {
        let broken = |_| io::Error::other("no key can be made");
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::generate(algorithm).map_err(broken)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // A point: a byte that says so, then both coordinates.
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|it| URL_SAFE_NO_PAD.encode(it));
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "x": x, "y": y}]});
        let url = format!("http://{address}");
        let about = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async || Json(about)))
            .route("/keys", get(async || Json(keys)));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            if let Err(problem) = axum::serve(listener, router).await {
                tracing::debug!(%problem, "the issuer ended");
            }
        });
        Ok(Self { address, pair, _serving: serving })
    }

    /// Its address, as tokens and Receivers name it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token with these claims; the issuer and, if it is missing, a late end are added.
    ///
    /// # Panics
    ///
    /// Never: a key of a known algorithm signs any text.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let mut claims = claims.clone();
        claims["iss"] = self.url().into();
        if claims["exp"].is_null() {
            claims["exp"] = LATE.into();
        }
        let part = |it: &Value| URL_SAFE_NO_PAD.encode(it.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(&claims));
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes());
        let signature = signature.expect("a key of a known algorithm signs any text");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The claims of a bearer token whose issuer is one of `issuers`, or any on loopback if there are
/// none; `now` in seconds since 1970.
pub(super) async fn claims(
    bearer: &str,
    issuers: Option<&[&str]>,
    now: i64,
) -> Result<Value, &'static str> {
    let token = bearer.strip_prefix("Bearer ").ok_or("no bearer token")?;
    let (text, signature) = token.rsplit_once('.').ok_or("the token is no JWT")?;
    let (_, body) = text.split_once('.').ok_or("the token is no JWT")?;
    let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| "the token is no JWT")?;
    let claims: Value = serde_json::from_slice(&body).map_err(|_| "the token is no JWT")?;
    let issuer = claims["iss"].as_str().unwrap_or_default();
    let known = match issuers {
        Some(issuers) => issuers.contains(&issuer),
        None => issuer.starts_with("http://127.0.0.1:"),
    };
    if !known {
        return Err("the token is of another issuer");
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the token is no JWT")?;
    let keys = keys(issuer).await.ok_or("the issuer's keys cannot be had")?;
    let fits = |key: &Vec<u8>| {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        key.verify(text.as_bytes(), &signature).is_ok()
    };
    if !keys.iter().any(fits) {
        return Err("the token's signature is wrong");
    }
    if claims["exp"].as_i64().is_none_or(|it| it <= now) {
        return Err("the token has run out");
    }
    Ok(claims)
}

/// Whether a token is for this audience: one, or one of several.
pub(super) fn is_for(claims: &Value, audience: &str) -> bool {
    let listed = claims["aud"].as_array().is_some_and(|all| all.iter().any(|it| it == audience));
    listed || claims["aud"] == audience
}

/// The public keys of an issuer, as points.
async fn keys(issuer: &str) -> Option<Vec<Vec<u8>>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5));
    let client = client.build().ok()?;
    let read = async |url: String| -> Option<Value> {
        client.get(url).send().await.ok()?.json().await.ok()
    };
    let about = read(format!("{issuer}/.well-known/openid-configuration")).await?;
    let keys = read(about["jwks_uri"].as_str()?.to_owned()).await?;
    let part = |it: &Value| URL_SAFE_NO_PAD.decode(it.as_str()?).ok();
    let point = |it: &Value| Some([vec![4], part(&it["x"])?, part(&it["y"])?].concat());
    Some(keys["keys"].as_array()?.iter().filter_map(point).collect())
}
