//! Who may do what: roles, cluster roles and their bindings, as Kubernetes evaluates them.
//!
//! The rules are read from the store at each question, so a change of a binding works at once.

use serde_json::{Value, json};

use crate::store::{Key, Store};

use super::User;

/// Pages that anybody may see.
const PUBLIC: [&str; 5] = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

/// Pages that every authenticated user may see.
const DISCOVERY: [&str; 7] =
    ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version/*"];

/// What somebody wants to do.
#[derive(Clone, Debug)]
pub(super) enum Question<'a> {
    Page {
        verb: &'a str,
        path: &'a str,
    },
    Resource {
        verb: &'a str,
        group: &'a str,
        /// The plural, with `/subresource` if there is one.
        resource: &'a str,
        /// Empty for all namespaces and for cluster-scoped objects.
        namespace: &'a str,
        /// Empty if no single object is meant.
        name: &'a str,
    },
}

/// Whether the user may do it.
pub(super) fn allows(store: &Store, user: &User, question: &Question<'_>) -> bool {
    if user.is_in("system:masters") {
        return true;
    }
    let namespace = match question {
        Question::Page { .. } => "",
        Question::Resource { namespace, .. } => namespace,
    };
    rules(store, user, namespace).iter().any(|rule| permits(rule, question))
}

/// Every rule that holds for the user in a namespace (or, if empty, everywhere).
pub(super) fn rules(store: &Store, user: &User, namespace: &str) -> Vec<Value> {
    let mut rules = common(user);
    let bound = |binding: &Value| {
        binding["subjects"].as_array().into_iter().flatten().any(|subject| {
            is_subject(user, subject, binding["metadata"]["namespace"].as_str().unwrap_or_default())
        })
    };
    let (everywhere, _) = store.list("ClusterRoleBinding", None);
    let (here, _) = if namespace.is_empty() {
        (Vec::new(), 0)
    } else {
        store.list("RoleBinding", Some(namespace))
    };
    for binding in everywhere.iter().chain(&here).filter(|binding| bound(binding)) {
        let role = &binding["roleRef"];
        let kind = role["kind"].as_str().unwrap_or_default();
        let home = if kind == "Role" { namespace } else { "" };
        let key = Key::new(kind, home, role["name"].as_str().unwrap_or_default());
        if let Some(role) = store.get(&key) {
            rules.extend(role["rules"].as_array().into_iter().flatten().cloned());
        }
    }
    rules
}

/// What holds without any object in the cluster.
fn common(user: &User) -> Vec<Value> {
    let mut rules = vec![json!({ "verbs": ["get"], "nonResourceURLs": PUBLIC })];
    if user.is_in("system:authenticated") {
        rules.push(json!({ "verbs": ["get"], "nonResourceURLs": DISCOVERY }));
        rules.push(json!({
            "verbs": ["create"],
            "apiGroups": ["authorization.k8s.io", "authentication.k8s.io"],
            "resources": [
                "selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"
            ],
        }));
    }
    rules
}

fn is_subject(user: &User, subject: &Value, home: &str) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => user.name == name,
        Some("Group") => user.is_in(name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or(home);
            user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

fn permits(rule: &Value, question: &Question<'_>) -> bool {
    let any = |field: &str, fits: &dyn Fn(&str) -> bool| {
        rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).any(fits)
    };
    match question {
        Question::Page { verb, path } => {
            any("verbs", &|one| one == "*" || one == *verb)
                && any("nonResourceURLs", &|one| match one.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => one == *path,
                })
        }
        Question::Resource { verb, group, resource, name, .. } => {
            let one_of_them = rule["resourceNames"].as_array().is_none_or(Vec::is_empty)
                || (!name.is_empty() && any("resourceNames", &|one| one == *name));
            one_of_them
                && any("verbs", &|one| one == "*" || one == *verb)
                && any("apiGroups", &|one| one == "*" || one == *group)
                && any("resources", &|one| fits_resource(one, resource))
        }
    }
}

fn fits_resource(pattern: &str, resource: &str) -> bool {
    if pattern == "*" || pattern == resource {
        return true;
    }
    match (pattern.strip_prefix("*/"), resource.split_once('/')) {
        (Some(wanted), Some((_, subresource))) => wanted == subresource,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: &str = "system:serviceaccount:lab:probe";

    fn store(role: &str, rules: &Value, binding: &str, subject: &Value) -> Store {
        let store = Store::new();
        let meta = |kind: &str| {
            if kind.starts_with("Cluster") {
                json!({ "name": "r" })
            } else {
                json!({ "name": "r", "namespace": "lab" })
            }
        };
        let role_object = json!({ "kind": role, "metadata": meta(role), "rules": rules });
        store.create(role_object, "test").unwrap();
        let binding = json!({
            "kind": binding,
            "metadata": meta(binding),
            "subjects": [subject],
            "roleRef": { "kind": role, "name": "r" },
        });
        store.create(binding, "test").unwrap();
        store
    }

    fn may(store: &Store, user: &User, words: &str) -> bool {
        let words: Vec<&str> = words.split(' ').map(|word| word.trim_matches('-')).collect();
        let &[verb, group, resource, namespace, name] = words.as_slice() else {
            panic!("five words, `-` for an empty one")
        };
        allows(store, user, &Question::Resource { verb, group, resource, namespace, name })
    }

    #[test]
    fn a_role_holds_in_its_own_namespace_only() {
        let rules =
            json!([{ "verbs": ["get", "watch"], "apiGroups": [""], "resources": ["pods"] }]);
        let subject = json!({ "kind": "ServiceAccount", "namespace": "lab", "name": "probe" });
        let store = store("Role", &rules, "RoleBinding", &subject);
        let user = User::new(PROBE, &[]);
        assert!(may(&store, &user, "get - pods lab x"));
        assert!(may(&store, &user, "watch - pods lab -"));
        for no in
            ["get - pods other x", "get - pods - x", "list - pods lab -", "get apps pods lab x"]
        {
            assert!(!may(&store, &user, no), "{no}");
        }
        assert!(!may(&store, &User::new("system:serviceaccount:lab:x", &[]), "get - pods lab x"));
    }

    #[test]
    fn a_cluster_role_bound_in_a_namespace_holds_there_and_bound_in_the_cluster_everywhere() {
        let rules = json!([{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }]);
        let subject = json!({ "kind": "Group", "name": "team" });
        let user = User::new("jane", &["team"]);
        let here = store("ClusterRole", &rules, "RoleBinding", &subject);
        assert!(may(&here, &user, "delete - secrets lab x"));
        assert!(!may(&here, &user, "delete - secrets other x"));
        let everywhere = store("ClusterRole", &rules, "ClusterRoleBinding", &subject);
        assert!(may(&everywhere, &user, "patch apps deployments/status other x"));
        assert!(!may(&everywhere, &User::new("joe", &[]), "get - pods other x"));
    }

    #[test]
    fn names_and_subresources_have_to_be_granted() {
        let rules = json!([
            { "verbs": ["patch", "create"], "apiGroups": [""], "resources": ["configmaps"],
              "resourceNames": ["canary"] },
            { "verbs": ["patch"], "apiGroups": ["apps"], "resources": ["*/status"] },
        ]);
        let subject = json!({ "kind": "User", "name": "jane" });
        let store = store("Role", &rules, "RoleBinding", &subject);
        let jane = User::new("jane", &[]);
        assert!(may(&store, &jane, "patch - configmaps lab canary"));
        assert!(may(&store, &jane, "patch apps deployments/status lab x"));
        for no in [
            "patch - configmaps lab other",
            "create - configmaps lab -",
            "patch - configmaps/status lab canary",
            "patch apps deployments lab x",
        ] {
            assert!(!may(&store, &jane, no), "{no}");
        }
    }

    #[test]
    fn pages_are_open_to_whom_they_concern() {
        let store = Store::new();
        let sees = |user: &User, path| allows(&store, user, &Question::Page { verb: "get", path });
        let (jane, nobody) = (User::new("jane", &[]), User::anonymous());
        assert!(sees(&jane, "/apis/apps/v1") && sees(&nobody, "/healthz"));
        assert!(!sees(&nobody, "/apis") && !sees(&jane, "/metrics"));
        assert!(sees(&User::new("root", &["system:masters"]), "/metrics"));
    }
}
