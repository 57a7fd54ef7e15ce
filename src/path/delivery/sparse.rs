//! Whether a sparse checkout brings a file along (rule P7).

use crate::model::Subject;
use crate::path::delivery::{Refusal, place};
use serde_json::Value;

/// Refuses a file that lies in none of the folders of `spec.sparseCheckout`.
pub(super) fn check(subject: &Subject, source: &Value, path: &str) -> Result<(), Refusal> {
    let folders = source["spec"]["sparseCheckout"].as_array().map_or(&[][..], Vec::as_slice);
    let folders: Vec<String> = folders.iter().filter_map(|it| place::clean(it.as_str()?)).collect();
    if folders.is_empty() || folders.iter().any(|it| place::below(path, it).is_some()) {
        return Ok(());
    }
    let listed: Vec<_> = folders.iter().map(|it| format!("`{it}`")).collect();
    Err(Refusal::new(
        "outside_sparse_checkout",
        format_args!(
            "{subject} checks out only {}, and `{path}` does not lie there: choose another `path`, \
             or add its folder to `spec.sparseCheckout`",
            listed.join(", ")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::GroupKind;
    use serde_json::json;

    #[test]
    fn p7_a_file_outside_the_sparse_checkout_is_refused() {
        let subject = Subject::local(GroupKind::git_repository(), "flux-system", "canary");
        let ask = |folders: Value, path: &str| {
            check(&subject, &json!({"spec": {"sparseCheckout": folders}}), path)
        };
        assert_eq!(ask(Value::Null, "a/b.yaml"), Ok(()));
        assert_eq!(ask(json!(["./a/"]), "a/b.yaml"), Ok(()));
        assert_eq!(ask(json!(["x", "./"]), "a/b.yaml"), Ok(()), "the root is everything");
        let refusal = ask(json!(["a", "c"]), "ab/b.yaml").unwrap_err();
        assert_eq!(refusal.reason, "outside_sparse_checkout");
        assert!(refusal.message.contains("only `a`, `c`"), "{}", refusal.message);
    }
}
