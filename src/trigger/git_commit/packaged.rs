//! A chart that Flux packages from git takes a change only with a new version in its `Chart.yaml`
//! (rule P7; Flux: `reconcileStrategy: ChartVersion`, the default of a HelmChart).
//!
//! So the version is raised in the same commit as the file, from what it is at that time: people
//! release their charts meanwhile.

use crate::model::{PackagedChart, ProbeError};
use crate::remote::git::{Further, RemoteUrl, Unwritten};
use crate::trigger::git_commit::{GitCommitConfig, PushMode};
use crate::trigger::helm_chart::{bumped, later_version};
use crate::trigger::unusable;
use serde_json::Value;

/// The file whose version is raised with a commit, if a chart on the path is packaged from what is
/// changed.
///
/// # Errors
/// When each commit would have the same version.
pub(super) fn chart_of(
    config: &GitCommitConfig,
    url: &RemoteUrl,
    charts: &[PackagedChart],
) -> Result<Option<String>, ProbeError> {
    let ours = |it: &&PackagedChart| {
        let same = RemoteUrl::parse(&it.url).is_ok_and(|it| it.0.normalised() == url.normalised());
        let named = config
            .source
            .as_ref()
            .map(|name| it.source.namespace == name.namespace && it.source.name == name.name);
        named.unwrap_or(false) || same
    };
    let Some(chart) = charts.iter().filter(ours).find(|it| it.holds(&config.path)) else {
        return Ok(None);
    };
    let file = chart.file();
    if file == config.path {
        return Ok(None);
    }
    if config.mode != PushMode::Append {
        return Err(unusable(format!(
            "`{}` is part of a chart that {} packages only with a new version in `{file}`, and with \
             `replace` each canary would have the same: use `append`, or set the chart's \
             `reconcileStrategy` to `Revision`",
            config.path, chart.chart
        )));
    }
    Ok(Some(file))
}

/// Raises the version in a `Chart.yaml`.
pub(super) fn raising(file: &str) -> Further {
    let name = file.to_owned();
    Further::new(file, move |before| raised(&name, before).map(Some))
}

fn raised(file: &str, before: Option<&[u8]>) -> Result<Vec<u8>, Unwritten> {
    let refused = |why: &str| Unwritten {
        reason: "chart_does_not_lint",
        message: format!("the version in `{file}` cannot be raised, for {why}: mend the chart"),
    };
    let text = before.ok_or_else(|| refused("there is no such file"))?;
    let text = str::from_utf8(text).map_err(|_| refused("it is no text"))?;
    let about: Value = serde_saphyr::from_str(text).map_err(|_| refused("it is no YAML"))?;
    let next = about["version"].as_str().and_then(later_version);
    let next = next.ok_or_else(|| refused("it has no `version` such as `1.2.3`"))?;
    bumped(text, &next).map(String::into_bytes).map_err(|_| refused("it is no YAML"))
}

#[cfg(test)]
mod tests {
    use super::raised;

    #[test]
    fn p7_the_version_is_raised_and_the_rest_stays() {
        let text = "# ours\nname: web\nversion: 1.4.9  # by hand\n";
        let written = raised("c/Chart.yaml", Some(text.as_bytes())).unwrap();
        assert_eq!(str::from_utf8(&written), Ok("# ours\nname: web\nversion: \"1.4.10\"\n"));
    }

    #[test]
    fn p7_a_chart_whose_version_cannot_be_raised_is_refused_with_the_reason() {
        for (text, why) in [
            (None, "no such file"),
            (Some(&b"\xff"[..]), "no text"),
            (Some(b"name: ["), "no YAML"),
            (Some(b"name: web"), "no `version`"),
            (Some(b"version: one"), "no `version`"),
        ] {
            let error = raised("c/Chart.yaml", text).unwrap_err();
            assert!(error.message.contains(why), "{error:?}");
            assert!(error.message.contains("`c/Chart.yaml`"), "{error:?}");
        }
    }
}
