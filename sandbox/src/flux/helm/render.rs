//! From a chart and values to the objects of a release, marked as Helm and Flux mark them.

use serde_json::Value;
use serde_json::json;

use super::template::Template;
use super::values;
use crate::charts::Chart;
use crate::store::Store;

/// Kinds that Helm installs before all others, in this order.
const FIRST: [&str; 6] =
    ["Namespace", "ServiceAccount", "Secret", "ConfigMap", "CustomResourceDefinition", "Service"];

/// What a release is made of.
pub(super) struct Request {
    /// The release's name.
    pub(super) name: String,
    /// The namespace that it is installed into.
    pub(super) namespace: String,
    /// The `HelmRelease`: its namespace and name.
    pub(super) owner: (String, String),
    pub(super) chart: Chart,
    /// The digest of the artifact that the chart came from, for OCI artifacts.
    pub(super) oci_digest: Option<String>,
    /// The values that the user wants.
    pub(super) values: Value,
}

impl Request {
    /// The digest of the user's values, as Flux writes it.
    pub(super) fn config_digest(&self) -> String {
        values::digest(&self.values)
    }

    /// All objects in the order of their installation; the error is the whole message.
    pub(super) fn render(&self, store: &Store, version: u64) -> Result<Vec<Value>, String> {
        let chart = &self.chart;
        let mut merged = values::parse(chart.text("values.yaml").unwrap_or_default())
            .map_err(|why| format!("cannot load values.yaml: {why}"))?;
        json_patch::merge(&mut merged, &self.values);
        let scope = json!({
            "Values": merged,
            "Release": {"Name": self.name, "Namespace": self.namespace, "Revision": version,
                "Service": "Helm", "IsInstall": version == 1, "IsUpgrade": version > 1},
            "Chart": {"Name": chart.name, "Version": chart.version, "AppVersion": chart.app_version},
        });
        let mut objects = Vec::new();
        for path in chart.files.keys().filter(|path| is_template(path)) {
            let file = format!("{}/{path}", chart.name);
            let text = chart.text(path).unwrap_or_default();
            let rendered = Template { path: &file, text }.render(&scope)?;
            let documents: Vec<Value> = serde_saphyr::from_multiple(&rendered)
                .map_err(|error| parse_error(&file, &error))?;
            objects.extend(documents.into_iter().filter(|it| !it.is_null()));
        }
        for object in &mut objects {
            self.finish(store, object)?;
        }
        let rank = |object: &Value| FIRST.iter().position(|kind| object["kind"] == *kind);
        objects.sort_by_key(|object| rank(object).unwrap_or(FIRST.len()));
        Ok(objects)
    }

    /// Checks an object's address, and puts the owners' marks on it.
    fn finish(&self, store: &Store, object: &mut Value) -> Result<(), String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, version) = (text(&object["kind"]), text(&object["apiVersion"]));
        let unbuilt = |why: String| {
            Err(format!("unable to build kubernetes objects from release manifest: {why}"))
        };
        if kind.is_empty() || version.is_empty() {
            let field = if kind.is_empty() { "kind" } else { "apiVersion" };
            return unbuilt(format!(
                "error validating \"\": error validating data: {field} not set"
            ));
        }
        let known = store.resource(&kind).filter(|it| it.api_version() == version);
        let Some(resource) = known else {
            let name = text(&object["metadata"]["name"]);
            return unbuilt(format!(
                "resource mapping not found for name: \"{name}\" namespace: \"\" from \"\": no \
                 matches for kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed \
                 first"
            ));
        };
        let metadata = &mut object["metadata"];
        if resource.namespaced && metadata["namespace"].is_null() {
            metadata["namespace"] = self.namespace.as_str().into();
        }
        let (owner_namespace, owner) = &self.owner;
        let marks = [
            ("labels", "app.kubernetes.io/managed-by", "Helm"),
            ("labels", "helm.toolkit.fluxcd.io/name", owner),
            ("labels", "helm.toolkit.fluxcd.io/namespace", owner_namespace),
            ("annotations", "meta.helm.sh/release-name", &self.name),
            ("annotations", "meta.helm.sh/release-namespace", &self.namespace),
        ];
        for (field, key, value) in marks {
            if !metadata[field].is_object() {
                metadata[field] = json!({});
            }
            metadata[field][key] = value.into();
        }
        Ok(())
    }
}

fn is_template(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let yaml = matches!(name.rsplit_once('.'), Some((_, "yaml" | "yml")));
    path.starts_with("templates/") && yaml && !name.starts_with('_')
}

fn parse_error(file: &str, error: &serde_saphyr::Error) -> String {
    let said = error.without_snippet().to_string();
    let said = said.lines().next().unwrap_or_default();
    let line = error.location().map_or_else(String::new, |it| format!("line {}: ", it.line()));
    format!("YAML parse error on {file}: error converting YAML to JSON: yaml: {line}{said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(files: &[(&str, &str)], values: Value) -> Result<Vec<Value>, String> {
        let request = Request {
            name: "demo".to_owned(),
            namespace: "default".to_owned(),
            owner: ("flux-system".to_owned(), "demo".to_owned()),
            chart: Chart::new("demo", "0.1.0", files),
            oci_digest: None,
            values,
        };
        request.render(&Store::new(), 1)
    }

    #[test]
    fn the_users_values_win_over_the_charts_and_every_object_is_marked() {
        let template = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {x: {{ \
                        .Values.x | quote }}, y: {{ .Values.y | quote }}}\n";
        let files = [("templates/a.yaml", template), ("values.yaml", "x: 1\ny: 2\n")];
        let objects = render(&files, json!({"y": "mine"})).unwrap();
        assert_eq!(objects[0]["data"], json!({"x": "1", "y": "mine"}));
        assert_eq!(objects[0]["metadata"]["namespace"], "default");
        let labels = &objects[0]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm");
        assert_eq!(labels["helm.toolkit.fluxcd.io/namespace"], "flux-system");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let message = |text: &str| render(&[("templates/a.yaml", text)], json!({})).unwrap_err();
        assert!(message("a: [b").starts_with("YAML parse error on demo/templates/a.yaml: "));
        assert!(message("metadata: {name: a}").ends_with("kind not set"));
        let unknown = "kind: Gadget\napiVersion: x/v1\nmetadata: {name: g}\n";
        assert!(message(unknown).contains("no matches for kind \"Gadget\" in version \"x/v1\""));
    }
}
