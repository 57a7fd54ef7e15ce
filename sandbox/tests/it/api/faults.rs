//! Faults on demand: each does what it says, to whom it says, as often as it says.

use hopclock_sandbox::api::{Answer, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Lab, MAPS, PATIENCE, WIDGETS, refusal};

#[tokio::test]
async fn answers_are_given_as_often_as_asked_to_whom_they_concern() {
    let lab = Lab::new().await;
    let faults = lab.server.faults();
    let cases = [
        (Answer::Unauthorized, "401 Unauthorized"),
        (Answer::Forbidden, "403 Forbidden"),
        (Answer::Expired, "410 Expired"),
        (Answer::TooManyRequests(7), "429 TooManyRequests"),
        (Answer::InternalError, "500 InternalError"),
        (Answer::Unavailable, "503 ServiceUnavailable"),
    ];
    for (answer, wanted) in cases {
        faults.answer(answer, Scope::all().kind("Widget").verb("list").times(1));
        assert_eq!(lab.get(MAPS).await.0, 200);
        assert_eq!(refusal(lab.get(WIDGETS).await).0, wanted);
        assert_eq!(lab.get(WIDGETS).await.0, 200);
    }
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_again() {
    let lab = Lab::new().await;
    let fault = lab.server.faults().answer(Answer::TooManyRequests(7), Scope::all());
    let token = lab.server.admin_token();
    let response = lab.request(Method::GET, WIDGETS, token).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "7");
    lab.server.faults().lift(fault);
    assert_eq!(lab.get(WIDGETS).await.0, 200);
}

#[tokio::test]
async fn a_cut_breaks_open_watches_and_a_new_one_goes_on() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let path = format!("{WIDGETS}?watch=true&resourceVersion={from}");
    let mut lines = lab.watch(&path).await;
    let mut other = lab.watch(&format!("{MAPS}?watch=true&resourceVersion={from}")).await;
    let scope = Scope::all().kind("Widget");
    assert_eq!(lab.server.faults().cut_watches(&scope), 1);
    assert!(lines.try_next().await.is_err(), "a cut is no clean end");
    lab.grow("a", 2);
    assert_eq!(lab.watch(&path).await.next().await, "MODIFIED a");
    let map = json!({ "kind": "ConfigMap", "metadata": { "name": "m", "namespace": "lab" } });
    lab.store.create(map, "test").unwrap();
    assert_eq!(other.next().await, "ADDED m");
}

#[tokio::test]
async fn a_relist_expires_open_watches_and_known_versions_of_its_kind() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let path = format!("{WIDGETS}?watch=true&resourceVersion={from}");
    let mut lines = lab.watch(&path).await;
    lab.grow("a", 2);
    assert_eq!(lines.next().await, "MODIFIED a");
    assert_eq!(lab.server.faults().relist(&Scope::all().kind("Widget")), 1);
    assert_eq!(lines.try_next().await.unwrap().unwrap()["object"]["code"], 410);
    assert_eq!(lines.next().await, "end");
    assert_eq!(lab.watch(&path).await.next().await, "ERROR -");
    let (_, list) = lab.get(WIDGETS).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let mut lines = lab.watch(&format!("{WIDGETS}?watch=true&resourceVersion={version}")).await;
    lab.grow("a", 3);
    assert_eq!(lines.next().await, "MODIFIED a");
}

#[tokio::test]
async fn a_black_hole_is_silent_past_its_timeout_until_it_is_lifted() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let faults = lab.server.faults();
    let hole = faults.black_hole_watches(Scope::all().kind("Widget").times(1));
    let query = format!("watch=true&resourceVersion={from}&timeoutSeconds=1");
    let mut silent = lab.watch(&format!("{WIDGETS}?{query}&allowWatchBookmarks=true")).await;
    let mut control = lab.watch(&format!("{WIDGETS}?{query}")).await;
    lab.grow("a", 2);
    assert_eq!(control.next().await, "MODIFIED a");
    assert_eq!(control.next().await, "end", "the second watch is beyond the limit");
    assert!(silent.nothing_yet().await, "it was opened earlier and is still open");
    faults.lift(hole);
    assert_eq!(silent.next().await, "MODIFIED a");
}

#[tokio::test]
async fn a_black_hole_swallows_watches_that_are_open_already() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let path = format!("{WIDGETS}?watch=true&resourceVersion={from}");
    let mut lines = lab.watch(&path).await;
    lab.grow("a", 2);
    assert_eq!(lines.next().await, "MODIFIED a");
    let faults = lab.server.faults();
    let before = lab.store.version();
    let hole = faults.black_hole_watches(Scope::all().kind("Widget").times(1));
    let mut control = lab.watch(&format!("{WIDGETS}?watch=true&resourceVersion={before}")).await;
    lab.grow("a", 3);
    assert_eq!(control.next().await, "MODIFIED a");
    assert!(lines.nothing_yet().await);
    faults.lift(hole);
    assert_eq!(lines.try_next().await.unwrap().unwrap()["object"]["spec"]["size"], 3);
}

#[tokio::test]
async fn a_server_that_goes_away_refuses_and_comes_back_on_its_port() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let path = format!("{WIDGETS}?watch=true&resourceVersion={from}");
    let mut lines = lab.watch(&path).await;
    let addr = lab.server.addr();
    lab.server.go_away().await;
    assert!(lines.try_next().await.is_err());
    let refused = tokio::net::TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    lab.grow("a", 2);
    lab.server.come_back().await.unwrap();
    assert_eq!(lab.server.addr(), addr);
    assert_eq!(lab.watch(&path).await.next().await, "MODIFIED a");
}

#[tokio::test]
async fn a_kind_can_change_the_version_it_is_served_under() {
    let lab = Lab::new().await;
    let from = lab.widget("a", &Value::Null);
    let old = format!("{WIDGETS}?watch=true&resourceVersion={from}");
    let mut lines = lab.watch(&old).await;
    lab.grow("a", 2);
    assert_eq!(lines.next().await, "MODIFIED a");
    assert_eq!(lab.server.faults().change_version("Widget", "v2"), Ok(1));
    assert_eq!(lines.next().await, "end");
    assert_eq!(lab.get(&old).await, (404, json!("404 page not found\n")));
    assert_eq!(lab.get(WIDGETS).await.0, 404);
    let new = WIDGETS.replace("v1", "v2");
    let (code, object) = lab.get(&format!("{new}/a")).await;
    assert_eq!((code, &object["apiVersion"]), (200, &json!("lab.hopclock.dev/v2")));
    let mut lines = lab.watch(&format!("{new}?watch=true&resourceVersion={from}")).await;
    let event = lines.try_next().await.unwrap().unwrap();
    assert_eq!(event["object"]["apiVersion"], "lab.hopclock.dev/v2", "even an older change");
    let (_, group) = lab.get("/apis/lab.hopclock.dev").await;
    assert_eq!(group["preferredVersion"]["version"], "v2");
}

#[tokio::test]
async fn open_watches_are_counted_and_a_closed_one_leaves() {
    let lab = Lab::new().await;
    let faults = lab.server.faults();
    let scope = Scope::all().kind("Widget").user("system:admin");
    let mut lines = lab.watch(&format!("{WIDGETS}?watch=true&timeoutSeconds=1")).await;
    assert_eq!(faults.open_watches(&scope), 1);
    assert_eq!(faults.open_watches(&Scope::all().user("somebody")), 0);
    assert_eq!(lines.next().await, "end");
    assert_eq!(faults.open_watches(&scope), 0);
}

#[tokio::test]
async fn a_client_that_goes_leaves_no_watch_behind() {
    let lab = Lab::new().await;
    let faults = lab.server.faults();
    let lines = lab.watch(&format!("{WIDGETS}?watch=true")).await;
    assert_eq!(faults.open_watches(&Scope::all()), 1);
    drop(lines);
    let left = async {
        while faults.open_watches(&Scope::all()) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("the server has to notice");
}
