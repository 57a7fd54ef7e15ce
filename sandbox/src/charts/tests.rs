//! The repository over the wire.

use super::*;

async fn get(url: &str, password: Option<&str>) -> (u16, String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.get(url);
    if let Some(password) = password {
        request = request.basic_auth("me", Some(password));
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_published_chart_is_in_the_index_and_can_be_had() {
    let charts = ChartRepository::start(0).await.unwrap();
    let index = format!("{}/index.yaml", charts.base_url());
    charts.publish(&Chart::canary("demo", "0.1.0", "x"));
    let (status, text) = get(&index, None).await;
    let entries = read_index(&text, "demo").unwrap();
    assert_eq!((status, entries.len()), (200, 1));
    assert_eq!(get(&entries[0].url, None).await.0, 200);
    assert!(charts.withdraw("demo", "0.1.0"));
    assert_eq!(get(&entries[0].url, None).await.0, 404);
    assert!(read_index(&get(&index, None).await.1, "demo").unwrap().is_empty());
    assert_eq!(charts.updates().len(), 3);
    assert_eq!(charts.updates()[0].revision, charts.updates()[2].revision);
    let asked: Vec<_> = charts.requests().into_iter().map(|it| (it.path, it.status)).collect();
    assert_eq!(asked[2], ("demo-0.1.0.tgz".to_owned(), Some(404)));
}

#[tokio::test]
async fn a_locked_or_spoiled_repository_says_so() {
    let charts = ChartRepository::start(0).await.unwrap();
    let index = format!("{}/index.yaml", charts.base_url());
    charts.set_account(Some(("me", "secret")));
    assert_eq!(get(&index, None).await.0, 401);
    assert_eq!(get(&index, Some("wrong")).await.0, 401);
    assert_eq!(get(&index, Some("secret")).await.0, 200);
    let path = Some(INDEX.to_owned());
    charts.add_fault(ChartFaultRule { path, fault: ChartFault::Status(404), times: Some(1) });
    assert_eq!(get(&index, Some("secret")).await.0, 404);
    assert_eq!(get(&index, Some("secret")).await.0, 200);
}
