//! TLS: trusted with the right authority, refused with another one.

use hopclock_sandbox::api::{Options, Tls};
use reqwest::{Certificate, Client};

use super::Lab;

fn client(authority: &Tls) -> Client {
    let authority = Certificate::from_pem(authority.ca_pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
}

#[tokio::test]
async fn only_who_trusts_the_authority_can_connect() {
    let (ours, another) = (Tls::self_signed().unwrap(), Tls::self_signed().unwrap());
    let lab = Lab::with(Options { tls: Some(ours.clone()), ..Options::default() }).await;
    let url = format!("{}/healthz", lab.server.url());
    assert!(url.starts_with("https://127.0.0.1:"));
    assert_eq!(client(&ours).get(&url).send().await.unwrap().status(), 200);
    assert!(client(&another).get(&url).send().await.unwrap_err().is_connect());
    assert!(lab.server.kubeconfig(None).contains("certificate-authority-data: "));
}
