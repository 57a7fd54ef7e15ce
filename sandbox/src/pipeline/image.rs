//! Image lanes: from a tag in the registry to the cluster, by scan, policy, commit and source.
//!
//! One call sets up what a team has that lets Flux write new tags into git. What is scanned, where
//! automation pushes and who is told of what can be chosen; the defaults wake everybody at once.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{
    CANARY_NAMESPACE, CANARY_PATH, CONSENT, Door, FLUX_NAMESPACE, GUEST, Hook, Sandbox,
    SandboxError, git_objects, secret,
};
use crate::registry::{Account, Rights, Scheme, Webhook, WebhookFormat};

/// A way for tags from the registry through git into the cluster.
#[derive(Clone, Debug)]
pub struct ImageLane {
    /// Name of its repositories, Flux objects and canary.
    pub name: String,
    /// How often the registry is scanned, in Flux's notation.
    pub scan_interval: String,
    /// How often the source polls.
    pub git_interval: String,
    /// `spec.policy` of the `ImagePolicy`.
    pub policy: Value,
    /// `spec.filterTags` of the `ImagePolicy`, null for none.
    pub filter_tags: Value,
    /// The tag that is there from the start, and that the policy has to choose.
    pub first_tag: String,
    /// Whether digests are shown, and written into git.
    pub digests: Digests,
    /// Whether pushed tags are announced.
    pub scan_hook: ScanHook,
    /// Whether pushed commits are announced.
    pub git_hook: Hook,
    /// Where automation pushes to.
    pub push: PushTo,
    /// The template of commit messages, empty for Flux's default.
    pub message: String,
    /// Who may use repository and registry; locking one lane locks the registry for all.
    pub door: Door,
}

/// Whether the digest behind a tag is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digests {
    /// Not at all.
    Never,
    /// Once for each tag.
    IfNotPresent,
    /// Again and again, at this interval.
    Always(String),
}

/// Whether a registry's webhook reaches its Receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanHook {
    /// There is a Receiver, but nobody calls it.
    Silent,
    /// It is called with the right secret.
    Right(WebhookFormat),
    /// It is called with a secret that is no longer the right one.
    WrongSecret(WebhookFormat),
}

/// Where automation pushes its commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushTo {
    /// To the branch that is applied.
    Main,
    /// To a branch that somebody has to merge.
    Branch(String),
    /// To the branch that is applied and to what a refspec names.
    MainAndRefspec(String),
}

/// Where an image lane can be reached. Not for printing: it knows a password.
#[derive(Clone)]
pub struct ImageLanePlaces {
    /// URL of the git repository.
    pub git: String,
    /// The image's name without a tag.
    pub image: String,
    /// The repository in the registry.
    pub repository: String,
    /// User and password for the registry, where it is locked.
    pub account: Option<(String, String)>,
}

// === impl ScanHook ===

impl ScanHook {
    /// The type of the Receiver that it calls.
    pub(super) fn receiver_type(self) -> &'static str {
        match self {
            Self::Silent => "generic-hmac",
            Self::Right(format) | Self::WrongSecret(format) => match format {
                WebhookFormat::Generic => "generic",
                WebhookFormat::GenericHmac => "generic-hmac",
                WebhookFormat::Harbor => "harbor",
                WebhookFormat::DockerHub => "dockerhub",
                WebhookFormat::Quay => "quay",
            },
        }
    }
}

// === impl ImageLane ===

impl ImageLane {
    /// A lane of semantic versions below 1 on which every webhook works.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            scan_interval: "1m".to_owned(),
            git_interval: "1m".to_owned(),
            policy: json!({"semver": {"range": "0.x"}}),
            filter_tags: Value::Null,
            first_tag: "0.1.0".to_owned(),
            digests: Digests::Never,
            scan_hook: ScanHook::Right(WebhookFormat::GenericHmac),
            git_hook: Hook::Right,
            push: PushTo::Main,
            message: "{{range .Changed.Changes}}{{.OldValue}} -> {{.NewValue}}\n{{end}}".to_owned(),
            door: Door::Open,
        }
    }

    /// The manifest that automation writes to, with its markers.
    #[must_use]
    pub fn manifest(&self, image: &str, tag: &str, digest: &str) -> String {
        let name = &self.name;
        let marker = |part: &str| json!({"$imagepolicy": format!("{FLUX_NAMESPACE}:{name}{part}")});
        let pinned = match self.digests {
            Digests::Never => String::new(),
            _ => format!("  digest: {digest} # {}\n", marker(":digest")),
        };
        let at = if pinned.is_empty() { String::new() } else { format!("@{digest}") };
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  \
             namespace: {CANARY_NAMESPACE}\ndata:\n  image: {image}:{tag}{at} # {}\n  \
             tag: {tag} # {}\n{pinned}",
            marker(""),
            marker(":tag"),
        )
    }

    fn scanner(&self, image: &str) -> Value {
        let secret = (self.door == Door::Locked).then(|| json!({"name": self.secret_name()}));
        self.object(
            "ImageRepository",
            &json!({"image": image, "insecure": true,
            "interval": self.scan_interval, "provider": "generic", "secretRef": secret,
            "exclusionList": ["^.*\\.sig$"]}),
        )
    }

    fn chooser(&self) -> Value {
        let (reflection, interval) = match &self.digests {
            Digests::Never => ("Never", None),
            Digests::IfNotPresent => ("IfNotPresent", None),
            Digests::Always(interval) => ("Always", Some(interval)),
        };
        let mut policy = self.object(
            "ImagePolicy",
            &json!({"policy": self.policy,
            "filterTags": self.filter_tags, "imageRepositoryRef": {"name": self.name},
            "digestReflectionPolicy": reflection, "interval": interval}),
        );
        policy["metadata"]["annotations"] = json!({CONSENT: GUEST});
        policy
    }

    fn automation(&self) -> Value {
        let push = match &self.push {
            PushTo::Main => json!({"branch": "main"}),
            PushTo::Branch(branch) => json!({"branch": branch}),
            PushTo::MainAndRefspec(refspec) => json!({"branch": "main", "refspec": refspec}),
        };
        let author = json!({"name": "fluxcdbot", "email": "flux@example.com"});
        self.object(
            "ImageUpdateAutomation",
            &json!({"interval": "30m",
            "sourceRef": {"kind": "GitRepository", "name": self.name},
            "git": {"checkout": {"ref": {"branch": "main"}}, "push": push,
                "commit": {"author": author, "messageTemplate": self.message}},
            "update": {"path": "./canary", "strategy": "Setters"},
            "policySelector": {"matchLabels": {"lane": self.name}}}),
        )
    }

    fn receiver(&self) -> Value {
        let kind = self.scan_hook.receiver_type();
        let mut receiver = self.object(
            "Receiver",
            &json!({"type": kind, "interval": "10m",
            "secretRef": {"name": format!("{}-hook", self.name)},
            "resources": [{"apiVersion": "image.toolkit.fluxcd.io/v1", "kind": "ImageRepository",
                "name": self.name}]}),
        );
        receiver["metadata"]["name"] = self.receiver_name().into();
        receiver
    }

    fn object(&self, kind: &str, spec: &Value) -> Value {
        let group = if kind == "Receiver" { "notification" } else { "image" };
        let mut spec = spec.clone();
        if let Some(fields) = spec.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        json!({"apiVersion": format!("{group}.toolkit.fluxcd.io/v1"), "kind": kind,
            "metadata": {"name": self.name, "namespace": FLUX_NAMESPACE,
                "labels": {"lane": self.name}},
            "spec": spec})
    }

    fn receiver_name(&self) -> String {
        format!("{}-registry", self.name)
    }

    fn secret_name(&self) -> String {
        format!("{}-registry", self.name)
    }
}

// === impl Sandbox ===

impl Sandbox {
    /// Adds an image lane, and returns where it can be reached once its first tag is applied and
    /// automation is up to date.
    ///
    /// # Errors
    /// If the lane is there already, or does not settle.
    pub async fn add_image_lane(&self, lane: &ImageLane) -> Result<ImageLanePlaces, SandboxError> {
        let (name, registry) = (lane.name.as_str(), self.registry());
        let repository = format!("team/{name}");
        let image = format!("{}/{repository}", registry.host());
        let digest = registry.push_image(&repository, &lane.first_tag, &lane.first_tag);
        let manifest = lane.manifest(&image, &lane.first_tag, &digest);
        let files =
            [(CANARY_PATH, manifest.as_str()), ("README.md", "A lane of hopclock's sandbox.\n")];
        let git = self.git().create_repository(name, &files, "main")?;
        let (password, token) = (secret(), secret());
        let mut account = None;
        if lane.door == Door::Locked {
            self.lock_repository(&git, &password)?;
            self.lock_registry(&password);
            self.create(pull_secret(&lane.secret_name(), registry.host(), &password))?;
            account = Some((GUEST.to_owned(), password.clone()));
        }
        for object in git_objects(name, &lane.git_interval, &git, [&password, &token]) {
            self.create(object)?;
        }
        // In this order nobody has to wait for what is not there yet.
        self.create(lane.scanner(&image))?;
        self.create(lane.receiver())?;
        self.reached(name, "ImageRepository", |it| it["status"]["lastScanResult"].is_object())
            .await?;
        self.create(lane.chooser())?;
        self.reached(name, "ImagePolicy", |it| it["status"]["latestRef"].is_object()).await?;
        self.applied(name).await?;
        self.create(lane.automation())?;
        self.reached(name, "ImageUpdateAutomation", |it| {
            it["status"]["observedPolicies"][name].is_object()
        })
        .await?;
        self.hook_up(name, lane.git_hook, &git, &token).await?;
        let receiver = lane.receiver_name();
        self.hook_up_registry(lane.scan_hook, &receiver, &repository, &token).await;
        Ok(ImageLanePlaces { git, image, repository, account })
    }

    pub(super) fn create(&self, object: Value) -> Result<(), SandboxError> {
        self.store().create(object, "sandbox")?;
        Ok(())
    }

    pub(super) fn lock_registry(&self, password: &str) {
        let mut gate = self.registry().gate();
        if gate.scheme == Scheme::Open {
            gate.scheme = Scheme::Bearer;
        }
        let (user, password) = (GUEST.to_owned(), password.to_owned());
        gate.accounts.push(Account { user, password, rights: Rights::Delete });
        self.registry().set_gate(gate);
    }

    /// Has a repository of the registry call a receiver.
    pub(super) async fn hook_up_registry(
        &self,
        hook: ScanHook,
        receiver: &str,
        repository: &str,
        token: &str,
    ) {
        let url = self.receiver_of(receiver).await;
        let old = secret();
        let (format, token) = match hook {
            ScanHook::Silent => return,
            ScanHook::Right(format) => (format, token),
            ScanHook::WrongSecret(format) => (format, old.as_str()),
        };
        self.registry().add_webhook(repository, Webhook::new(&url, token, format));
    }
}

/// The registry's credentials, as pods and Flux read them.
pub(super) fn pull_secret(name: &str, host: &str, password: &str) -> Value {
    let auth = STANDARD.encode(format!("{GUEST}:{password}"));
    let config = json!({"auths": {host: {"username": GUEST, "password": password, "auth": auth}}});
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": FLUX_NAMESPACE},
        "data": {".dockerconfigjson": STANDARD.encode(config.to_string())}})
}
