//! An expression over an object is true: for whatever no other kind of hop knows.
//!
//! Expressions are CEL, as in Flux's own `healthCheckExprs`. They see the `object` and the
//! `change`, and what the object was `before`, for some objects say only that something new came.

use crate::hop::{
    Detector, Kind, Live, LiveConfig, ObjectConfig, Objects, Place, Traits, names, presets,
};
use crate::model::{Change, GroupKind, ObjectName, Reached, Revision, Sighting, State, Subject};
use cel::{Context, Env, Program, Value};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::fmt;
use std::sync::Arc;

/// The object that a condition is about, and the condition.
///
/// Either `object` with its `expression`, or one of the others, which bring their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionConfig {
    /// An object of any kind.
    #[serde(default)]
    pub object: Option<ObjectConfig>,

    /// When it is reached, in CEL: a condition over `object` and `change`. A field that is missing
    /// makes it false. `change` has `canary`, `commit`, `tag`, `digest` and `version` (null where
    /// there is none), all `revisions` that carry it, `present` (whether the object holds it, as
    /// `live` would see), and `before`, the object as it was before the push. It has to be false
    /// before the push.
    #[serde(default)]
    pub expression: Option<String>,

    /// A Canary of Flagger: the first promotion since the push has succeeded.
    #[serde(default)]
    pub flagger_canary: Option<ObjectName>,
    /// A Terraform object of tofu-controller: its last applied revision carries the change.
    #[serde(default)]
    pub terraform: Option<ObjectName>,
    /// Name of a Provider of Crossplane: its package is ours, installed, and healthy.
    #[serde(default)]
    pub crossplane_provider: Option<String>,
    /// A Certificate of cert-manager: it holds the change, and is issued for that.
    #[serde(default)]
    pub certificate: Option<ObjectName>,
    /// A ResourceSet of Flux Operator: it holds the change, and is reconciled.
    #[serde(default)]
    pub resource_set: Option<ObjectName>,
    /// A FluxInstance of Flux Operator: it has applied our artifact, or holds the change and is
    /// reconciled.
    #[serde(default)]
    pub flux_instance: Option<ObjectName>,
    /// An ArtifactGenerator of Flux: it is ready with the first new sources since the push.
    #[serde(default)]
    pub artifact_generator: Option<ObjectName>,
}

/// See [`ConditionConfig`].
pub struct Condition {
    text: String,
    env: Arc<Env>,
    program: Program,
    present: Live,
}

/// A text that is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no CEL: {message}, at line {line}, character {column} of the expression")]
pub struct NotAnExpression {
    /// Line of the expression, from 1.
    pub line: usize,
    /// Character of that line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

// === impl ConditionConfig ===

impl Kind for ConditionConfig {
    fn traits(&self) -> Traits {
        Traits { kind: "condition", place: Place::Condition, required: true }
    }

    fn subject(&self) -> Option<Subject> {
        if let Some(object) = &self.object {
            let kind = GroupKind::new(&object.group, &object.kind);
            return Some(Subject::local(kind, &object.namespace, &object.name));
        }
        presets::of(self).into_iter().next().map(|it| it.subject)
    }

    fn detector(&self, _: &Objects) -> Result<Arc<dyn Detector>, String> {
        let preset = presets::of(self).into_iter().next().map(|it| it.expression);
        let text = self.expression.as_deref().or(preset);
        let text = text.ok_or("the `condition` hop has no `expression`: add one")?;
        let condition = Condition::new(text).map_err(|it| it.to_string())?;
        Ok(Arc::new(condition))
    }
}

impl ConditionConfig {
    /// The keys of the objects that are named.
    #[must_use]
    pub fn named(&self) -> Vec<&'static str> {
        let object = self.object.iter().map(|_| "object");
        object.chain(presets::of(self).into_iter().map(|it| it.key)).collect()
    }
}

// === impl Condition ===

impl Condition {
    /// Reads an expression.
    ///
    /// # Errors
    /// If the text is none, or names something that is neither `object` nor `change`.
    pub fn new(text: &str) -> Result<Self, NotAnExpression> {
        let env = Arc::new(Env::stdlib());
        let program = env.compile(text).map_err(|it| NotAnExpression::of(&it))?;
        if let Some(name) = names::unknown(program.expression(), &["object", "change"]) {
            return Err(NotAnExpression::at(
                text,
                name,
                format!("`{name}` is not known, only `object` and `change` are"),
            ));
        }
        let present = Live::new(&LiveConfig::default());
        Ok(Self { text: text.to_owned(), env, program, present })
    }

    /// Whether it is true. What cannot be evaluated, since a field is missing, is not.
    fn holds(&self, past: &[State], now: &State, change: &Change) -> bool {
        let mut context = Context::with_env(Arc::clone(&self.env));
        let known = context.add_variable("object", &*now.value).is_ok()
            && context.add_variable("change", self.change(past, now, change)).is_ok();
        known && matches!(self.program.execute(&context), Ok(Value::Bool(true)))
    }

    fn change(&self, past: &[State], now: &State, change: &Change) -> serde_json::Value {
        let first =
            |is_it: fn(&Revision) -> bool| change.known().find(|it| is_it(it)).map(Revision::id);
        let revisions: Vec<_> = change.carrying().map(Revision::id).collect();
        let is_before = |it: &&State| Some(it.when.latest) < change.began();
        let before = past.iter().chain([now]).take_while(is_before);
        json!({
            "canary": change.canary().to_string(),
            "commit": first(|it| matches!(it, Revision::Commit(_))),
            "tag": first(|it| matches!(it, Revision::Tag(_))),
            "digest": first(|it| matches!(it, Revision::Digest(_))),
            "version": first(|it| matches!(it, Revision::Version(_))),
            "revisions": revisions,
            "present": matches!(self.present.look(&[], now, change), Sighting::Reached(_)),
            "before": *before.last().unwrap_or(now).value,
        })
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

impl Detector for Condition {
    fn look(&self, past: &[State], now: &State, change: &Change) -> Sighting {
        if now.exists() && self.holds(past, now, change) {
            return Sighting::Reached(Reached::at(now.when));
        }
        Sighting::NotYet
    }

    /// It was true before, and is not any more; unless a later canary of the lane has come. What
    /// was told by a difference cannot be lost: something newer is not known to be without ours.
    fn has_lost(&self, now: &State, change: &Change) -> bool {
        let by_difference = self.text.contains("change.before");
        !by_difference && !self.holds(&[], now, change) && self.present.has_lost(now, change)
    }
}

// === impl NotAnExpression ===

impl NotAnExpression {
    fn of(errors: &cel::ParseErrors) -> Self {
        let place = |it: isize| usize::try_from(it).unwrap_or(1).max(1);
        match errors.errors.first() {
            Some(first) => {
                // The parser lists every token that might stand there; nobody reads that.
                let message = first.msg.lines().next().unwrap_or_default();
                let message = message.trim_start_matches("Syntax error: ");
                let message = message.split(" expecting ").next().unwrap_or_default();
                let message = message.trim_end_matches('.').replace("'<EOF>'", "its end");
                Self { line: place(first.pos.0), column: place(first.pos.1), message }
            }
            None => Self { line: 1, column: 1, message: "it cannot be read".to_owned() },
        }
    }

    /// A word of the text.
    fn at(text: &str, word: &str, message: String) -> Self {
        let before = text.find(word).map_or("", |at| &text[..at]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column, message }
    }
}
