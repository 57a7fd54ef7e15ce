//! The stories of `hopclock demo` beside the one of commits.

use crate::cli::kit::{hopclock, told};

/// Plays a story to its end, and returns what was printed.
async fn play(story: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let told = told(hopclock(folder.path(), &["demo", story])).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    told.out
}

/// Says that the text has these parts in this order.
fn assert_parts(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let found = rest.split_once(part);
        let Some((_, behind)) = found else { panic!("`{part}` is not there in\n{text}") };
        rest = behind;
    }
}

#[tokio::test]
async fn a_demo_of_helm_shows_values_that_wake_a_release_and_values_that_do_not() {
    let told = play("helm").await;
    let parts = ["1. New values", "values  ok", "released", "=> ", "2. ", "values-from  ok", "=> "];
    assert_parts(&told, &parts);
    assert!(told.contains("`reconcile.fluxcd.io/watch: Enabled`"), "{told}");
}

#[tokio::test]
async fn a_demo_of_images_shows_a_tag_with_and_without_a_webhook() {
    let told = play("image").await;
    let parts = ["1. An image tag", "tag  ok", "policy_updated", "=> ", "2. ", "scan  ok", "=> "];
    assert_parts(&told, &parts);
}
