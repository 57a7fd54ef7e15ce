//! The store itself: reads, writes and the rules that every write obeys.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Change, ChangeKind, Gone, Key, Resource, StoreError, Watch,
    log::Log,
    meta::{self, Operation, Stamp},
    resource, rules,
};

/// How many changes the log keeps unless told otherwise.
const LOG_CAPACITY: usize = 100_000;

/// The objects of one cluster. Clones share them.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// Which part of an object a write may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything, but not `status` where the kind has a status subresource.
    Whole,
    /// Nothing but `status`.
    Status,
}

/// What has to be true of an object for its deletion to go ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The object is still this one, not a later one of the same name.
    pub uid: Option<String>,
    /// The object still has this version.
    pub resource_version: Option<String>,
}

struct Inner {
    state: Mutex<State>,
    started: (Instant, jiff::Timestamp),
}

struct State {
    resources: BTreeMap<String, Resource>,
    objects: BTreeMap<Key, Arc<Value>>,
    /// What each manager applied last, to know which fields it gives up.
    applied: BTreeMap<Key, BTreeMap<String, Value>>,
    log: Log,
    rv: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store that knows the core kinds, Flux's kinds and the sample kind `Widget`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_log_capacity(LOG_CAPACITY)
    }

    /// The same with a log of at most `capacity` changes; older ones are forgotten.
    #[must_use]
    pub fn with_log_capacity(capacity: usize) -> Self {
        let resources = resource::builtin().into_iter().map(|r| (r.kind.clone(), r)).collect();
        let state = State {
            resources,
            objects: BTreeMap::new(),
            applied: BTreeMap::new(),
            log: Log::new(capacity),
            rv: 1,
        };
        let started = (Instant::now(), jiff::Timestamp::now());
        Self(Arc::new(Inner { state: Mutex::new(state), started }))
    }

    /// Time of day, advancing with the runtime's clock: virtual where time is paused.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.wall_at(Instant::now())
    }

    /// Adds a kind, or replaces the kind of the same name.
    pub fn register(&self, resource: Resource) {
        self.state().resources.insert(resource.kind.clone(), resource);
    }

    /// Serves a kind under another version from now on; objects keep their resource version.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnknownKind`].
    pub fn serve_version(&self, kind: &str, version: &str) -> Result<(), StoreError> {
        let state = &mut *self.state();
        let Some(resource) = state.resources.get_mut(kind) else {
            return Err(StoreError::UnknownKind(kind.to_owned()));
        };
        version.clone_into(&mut resource.version);
        let api_version = resource.api_version();
        let start = Key::new(kind, "", "");
        for (_, object) in state.objects.range_mut(start..).take_while(|(key, _)| key.kind == kind)
        {
            Arc::make_mut(object)["apiVersion"] = api_version.as_str().into();
        }
        Ok(())
    }

    /// What is known of a kind.
    #[must_use]
    pub fn resource(&self, kind: &str) -> Option<Resource> {
        self.state().resources.get(kind).cloned()
    }

    /// Every served resource, ordered by kind.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        self.state().resources.values().cloned().collect()
    }

    /// What is served at this place of the API, if anything is.
    #[must_use]
    pub fn served(&self, group: &str, version: &str, plural: &str) -> Option<Resource> {
        let matches =
            |r: &&Resource| r.plural == plural && r.group == group && r.version == version;
        self.state().resources.values().find(matches).cloned()
    }

    /// The newest version of the store.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state().rv
    }

    /// One object as it is now.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.state().objects.get(key).cloned()
    }

    /// The objects of a kind, of one namespace or all, ordered by namespace and name, and the
    /// version of the store at which that was so.
    #[must_use]
    pub fn list(&self, kind: &str, namespace: Option<&str>) -> (Vec<Arc<Value>>, u64) {
        let state = self.state();
        let start = Key::new(kind, namespace.unwrap_or_default(), "");
        let objects = state
            .objects
            .range(start..)
            .take_while(|(key, _)| {
                key.kind == kind && namespace.is_none_or(|wanted| key.namespace == wanted)
            })
            .map(|(_, object)| object.clone())
            .collect();
        (objects, state.rv)
    }

    /// Stores a new object; gives it uid, creation time, generation and version. A status is
    /// dropped where the kind has a status subresource.
    ///
    /// # Errors
    ///
    /// [`StoreError::AlreadyExists`], [`StoreError::UnknownKind`], [`StoreError::Invalid`].
    pub fn create(&self, mut object: Value, writer: &str) -> Result<Arc<Value>, StoreError> {
        let has_status = self.known(&object["kind"])?.status;
        if let (true, Some(fields)) = (has_status, object.as_object_mut()) {
            fields.remove("status");
        }
        self.seed(object, writer)
    }

    /// Like [`Store::create`], but keeps the status: for objects that have a past.
    ///
    /// # Errors
    ///
    /// As [`Store::create`].
    pub fn seed(&self, object: Value, writer: &str) -> Result<Arc<Value>, StoreError> {
        let resource = self.known(&object["kind"])?;
        self.insert(&mut self.state(), &resource, object, Operation::Update, writer)
    }

    /// Applies a JSON merge patch (RFC 7396) to a part of an object.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::NoStatus`], and [`StoreError::Conflict`] if the
    /// patch names a `metadata.resourceVersion` or `uid` that is not the object's.
    pub fn merge(
        &self,
        key: &Key,
        patch: &Value,
        part: Part,
        writer: &str,
    ) -> Result<Arc<Value>, StoreError> {
        self.update(key, part, writer, |object| json_patch::merge(object, patch))
    }

    /// Changes a part of an object in place; what `f` does to other parts is undone. `f` runs
    /// under the store's lock and must not use the store.
    ///
    /// # Errors
    ///
    /// As [`Store::merge`].
    pub fn update(
        &self,
        key: &Key,
        part: Part,
        writer: &str,
        f: impl FnOnce(&mut Value),
    ) -> Result<Arc<Value>, StoreError> {
        self.try_update(key, part, writer, |object| {
            f(object);
            Ok(())
        })
    }

    /// Like [`Store::update`], with a change that may fail and then leaves the object alone.
    ///
    /// # Errors
    ///
    /// As [`Store::merge`], and whatever `f` answers.
    pub fn try_update<E: From<StoreError>>(
        &self,
        key: &Key,
        part: Part,
        writer: &str,
        f: impl FnOnce(&mut Value) -> Result<(), E>,
    ) -> Result<Arc<Value>, E> {
        let resource = self.known_kind(&key.kind)?;
        let state = &mut *self.state();
        let old = state.objects.get(key).ok_or_else(|| StoreError::NotFound(key.clone()))?.clone();
        if part == Part::Status && !resource.status {
            return Err(StoreError::NoStatus(key.clone()).into());
        }
        let mut new = (*old).clone();
        f(&mut new)?;
        let subresource = (part == Part::Status).then_some("status");
        let stamp = (writer, Operation::Update, subresource);
        Ok(self.replace(state, &resource, key, &old, new, stamp)?)
    }

    /// Server-side apply by merging: creates the object or merges `object` into it, without the
    /// fields that the same writer applied before and no longer names. Records the writer as one
    /// that applies; never conflicts with other writers, as if forced.
    ///
    /// # Errors
    ///
    /// As [`Store::create`] and [`Store::merge`].
    pub fn apply(
        &self,
        key: &Key,
        mut object: Value,
        part: Part,
        writer: &str,
    ) -> Result<Arc<Value>, StoreError> {
        let resource = self.known_kind(&key.kind)?;
        let state = &mut *self.state();
        let subresource = (part == Part::Status).then_some("status");
        let stamp = (writer, Operation::Apply, subresource);
        let Some(old) = state.objects.get(key).cloned() else {
            if part == Part::Status {
                return Err(StoreError::NotFound(key.clone()));
            }
            if let (true, Some(fields)) = (resource.status, object.as_object_mut()) {
                fields.remove("status");
            }
            let said = object.clone();
            let stored = self.insert(state, &resource, object, Operation::Apply, writer)?;
            state.applied.entry(key.clone()).or_default().insert(format!("{writer}/"), said);
            return Ok(stored);
        };
        if part == Part::Status && !resource.status {
            return Err(StoreError::NoStatus(key.clone()));
        }
        let mut new = (*old).clone();
        // A status is applied for itself, apart from the rest.
        let memory = format!("{writer}/{}", subresource.unwrap_or_default());
        let last = state.applied.get(key).and_then(|all| all.get(&memory));
        if let Some(given_up) = last.and_then(|last| rules::given_up(last, &object)) {
            json_patch::merge(&mut new, &given_up);
        }
        json_patch::merge(&mut new, &object);
        let stored = self.replace(state, &resource, key, &old, new, stamp)?;
        state.applied.entry(key.clone()).or_default().insert(memory, object);
        Ok(stored)
    }

    /// Removes an object at once; finalizers do not hold it.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`].
    pub fn delete(&self, key: &Key, writer: &str) -> Result<(), StoreError> {
        self.delete_if(key, &Preconditions::default(), writer).map(|_| ())
    }

    /// Removes an object if it is still the one that is meant; answers its last state.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], [`StoreError::Conflict`].
    pub fn delete_if(
        &self,
        key: &Key,
        only: &Preconditions,
        writer: &str,
    ) -> Result<Arc<Value>, StoreError> {
        let state = &mut *self.state();
        let old = state.objects.get(key).ok_or_else(|| StoreError::NotFound(key.clone()))?.clone();
        let is = |field: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| old["metadata"][field] == **wanted)
        };
        if !is("uid", &only.uid) || !is("resourceVersion", &only.resource_version) {
            return Err(StoreError::Conflict(key.clone()));
        }
        state.objects.remove(key);
        state.applied.remove(key);
        let mut last = (*old).clone();
        Ok(self.append(state, ChangeKind::Deleted, key, Some(old), &mut last, writer))
    }

    /// Follows every change after version `after`, of all kinds.
    #[must_use]
    pub fn watch(&self, after: u64) -> Watch {
        Watch::start(self.clone(), None, after, &mut self.state().log)
    }

    /// Follows the changes of one kind after version `after`; is not woken by others.
    #[must_use]
    pub fn watch_kind(&self, kind: &str, after: u64) -> Watch {
        Watch::start(self.clone(), Some(kind), after, &mut self.state().log)
    }

    /// Forgets the changes up to `keep_after`: who still needed one of them is [`Gone`].
    pub fn compact(&self, keep_after: u64) {
        self.state().log.compact(keep_after);
    }

    /// The truth log: every write that is still remembered, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<Arc<Change>> {
        self.state().log.all()
    }

    pub(super) fn read_log(
        &self,
        kind: Option<&str>,
        after: u64,
        limit: usize,
        into: &mut VecDeque<Arc<Change>>,
    ) -> Result<u64, Gone> {
        let state = self.state();
        state.log.read(kind, after, state.rv, limit, into)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic inside a caller's closure happens before anything is written.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wall_at(&self, at: Instant) -> jiff::Timestamp {
        let (instant, wall) = self.0.started;
        wall + at.duration_since(instant)
    }

    fn known(&self, kind: &Value) -> Result<Resource, StoreError> {
        self.known_kind(kind.as_str().unwrap_or_default())
    }

    fn known_kind(&self, kind: &str) -> Result<Resource, StoreError> {
        self.resource(kind).ok_or_else(|| StoreError::UnknownKind(kind.to_owned()))
    }

    fn insert(
        &self,
        state: &mut State,
        resource: &Resource,
        mut object: Value,
        operation: Operation,
        writer: &str,
    ) -> Result<Arc<Value>, StoreError> {
        rules::name_it(&mut object);
        rules::encode_strings(&mut object);
        let key = Key::of(&object);
        rules::check_address(&key, resource)?;
        if state.objects.contains_key(&key) {
            return Err(StoreError::AlreadyExists(key));
        }
        let time = rules::seconds(self.now());
        object["apiVersion"] = resource.api_version().into();
        let metadata = &mut object["metadata"];
        metadata["uid"] = meta::uid().into();
        metadata["creationTimestamp"] = time.as_str().into();
        metadata["managedFields"] = json!([]);
        if resource.generation {
            metadata["generation"] = 1.into();
        } else if let Some(fields) = metadata.as_object_mut() {
            fields.remove("generation");
        }
        let stamp = Stamp { manager: writer, operation, subresource: None, time: &time };
        meta::record(None, &mut object, resource, &stamp);
        let stored = self.append(state, ChangeKind::Added, &key, None, &mut object, writer);
        state.objects.insert(key, stored.clone());
        Ok(stored)
    }

    fn replace(
        &self,
        state: &mut State,
        resource: &Resource,
        key: &Key,
        old: &Arc<Value>,
        mut new: Value,
        (writer, operation, subresource): (&str, Operation, Option<&'static str>),
    ) -> Result<Arc<Value>, StoreError> {
        let differs = |field: &str| {
            let said = &new["metadata"][field];
            said.as_str().is_some_and(|said| !said.is_empty() && old["metadata"][field] != *said)
        };
        if differs("resourceVersion") || differs("uid") {
            return Err(StoreError::Conflict(key.clone()));
        }
        rules::keep_other_parts(old, &mut new, resource, subresource.is_some());
        rules::encode_strings(&mut new);
        if **old == new {
            return Ok(old.clone());
        }
        if resource.generation && rules::wish_differs(old, &new) {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or(0);
            new["metadata"]["generation"] = (generation + 1).into();
        }
        let time = rules::seconds(self.now());
        let stamp = Stamp { manager: writer, operation, subresource, time: &time };
        meta::record(Some(old), &mut new, resource, &stamp);
        let before = Some(old.clone());
        let stored = self.append(state, ChangeKind::Modified, key, before, &mut new, writer);
        state.objects.insert(key.clone(), stored.clone());
        Ok(stored)
    }

    fn append(
        &self,
        state: &mut State,
        kind: ChangeKind,
        key: &Key,
        before: Option<Arc<Value>>,
        object: &mut Value,
        writer: &str,
    ) -> Arc<Value> {
        state.rv += 1;
        object["metadata"]["resourceVersion"] = state.rv.to_string().into();
        let object = Arc::new(object.take());
        let at = Instant::now();
        state.log.push(Change {
            rv: state.rv,
            kind,
            key: key.clone(),
            object: object.clone(),
            before,
            at,
            wall: self.wall_at(at),
            writer: writer.to_owned(),
            line: OnceLock::new(),
        });
        object
    }
}
