//! Source that reads all persons from Personio and maps them to users. The directory calls it for
//! each load. A load succeeds as a whole or fails as a whole.

mod single;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::task::block_in_place;

use crate::clock::Clock;
use crate::directory;
use crate::directory::{
    Defects, InvalidState, LoadProgress, LoadResult, Loaded, LoadedDirectory, MalformedWebhook,
    Source, SourceAccess, SourceError, WebhookEffect,
};
use crate::mapping::MappingPolicy;
use crate::personio;
use crate::personio::model::Person;
use crate::personio::webhook;
use crate::personio::webhook::WebhookEvent;
use crate::personio::{ParsedEntry, PersonioClient, UnreadableEntry};
use crate::scim::{ResourceUrls, SchemaRegistry, User};
use crate::sync::active_mapping::ActiveMapping;
use crate::sync::dirty_set::DirtySet;
use crate::sync::employment_owners::EmploymentOwners;
use crate::sync::error::{LoadError, upstream_error};
use crate::sync::lookup_ids::LookupIds;
use crate::sync::record_codec::{CodecError, ListedPerson};
use crate::sync::record_mapping::{MappedLoad, RecordMapper};
use crate::sync::records::{
    PersonRecord, Records, RecordsById, UnreadableData, unreadable_records,
};
use crate::sync::refresh::{
    DeletionChecks, PartialLoad, RecordReader, check_record_bytes, earlier_employments,
};
use crate::sync::refresh_plan::{KnownRecords, RecheckSchedule, RefreshPlan, missing_persons};
use crate::sync::sync_state::{MappedRecords, UnmappedRecords};

/// Lifetimes of employments that a load has read.
#[derive(Debug, Clone, Copy)]
pub struct RecordLifetimes {
    /// Age at which employments are read again although nothing indicates a change.
    pub recheck_interval: Duration,
    /// Maximum age at which employments are still valid when reading them again fails.
    pub max_valid_age: Duration,
}

/// Source of users: the Personio of one company, with the mapping in force.
pub struct PersonioSource {
    client: PersonioClient,
    mapping: ArcSwap<ActiveMapping>,
    urls: ResourceUrls,
    clock: Arc<dyn Clock>,
    lifetimes: RecordLifetimes,
    dirty_set: DirtySet,
    unserved: Mutex<UnservedReads>,
    /// Defects that the log reported last.
    reported_defects: Mutex<Defects>,
}

/// Result of listing all persons.
#[derive(Default)]
struct PersonListing {
    listed: Vec<ListedPerson>,
    owners: EmploymentOwners,
    /// Unreadable attribute of each person whose earlier record is used instead, by person id.
    unreadable: HashMap<Box<str>, &'static str>,
    /// Persons that cannot be read and have no earlier record.
    left_out: Vec<UnreadableEntry>,
}

/// Notes what a listing shows while its pages arrive.
struct ListingNotes {
    owners: EmploymentOwners,
    /// Ids of the persons that are listed without employments.
    without_employments: Vec<Box<str>>,
    /// Size of the encoded persons so far.
    bytes: usize,
    max_bytes: usize,
}

impl ListingNotes {
    fn new(max_bytes: usize) -> Self {
        Self {
            owners: EmploymentOwners::default(),
            without_employments: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Notes one person and returns the encoded form.
    fn note(&mut self, read: ParsedEntry<Person>) -> Result<ListedPerson, LoadError> {
        let has_employments = self.owners.add_all_listed(&read.value);
        let listed = ListedPerson::from_entry(read)?;
        if !has_employments {
            self.without_employments.push(listed.id.clone());
        }
        self.bytes += listed.size();
        check_record_bytes(self.bytes, self.max_bytes)?;
        Ok(listed)
    }
}

/// Records and look-up ids that a load has read.
struct LoadedRecords {
    records: RecordsById,
    lookup_ids: LookupIds,
    left_out: Vec<UnreadableEntry>,
}

/// Results of loads that are not served, for the next load.
#[derive(Default)]
struct UnservedReads {
    partial: PartialLoad,
    /// Start of the last load that read all persons. After a restart, it is the newest read time in
    /// the state file.
    last_load: Option<Timestamp>,
}

impl PersonioSource {
    /// Creates a source without records. It sends no request. `schema_registry` must belong to
    /// `policy`.
    #[must_use]
    pub fn new(
        client: PersonioClient,
        policy: MappingPolicy,
        schema_registry: Arc<SchemaRegistry>,
        urls: ResourceUrls,
        clock: Arc<dyn Clock>,
        lifetimes: RecordLifetimes,
    ) -> Self {
        let mapping = ArcSwap::new(ActiveMapping::new(policy, schema_registry));
        Self {
            client,
            mapping,
            urls,
            clock,
            lifetimes,
            dirty_set: DirtySet::default(),
            unserved: Mutex::default(),
            reported_defects: Mutex::default(),
        }
    }

    /// Reports whether `policy` is already in force.
    #[must_use]
    pub fn has_policy(&self, policy: &MappingPolicy) -> bool {
        self.mapping.load().policy == *policy
    }

    /// Puts another mapping in force, from the next load on.
    pub fn set_mapping(&self, policy: MappingPolicy, schema_registry: Arc<SchemaRegistry>) {
        self.mapping.store(ActiveMapping::new(policy, schema_registry));
    }

    /// Replaces the client secret of the Personio credential. Reports whether it differs from the
    /// previous one.
    pub fn set_client_secret(&self, client_secret: &SecretString) -> bool {
        self.client.replace_client_secret(client_secret)
    }

    fn unserved(&self) -> MutexGuard<'_, UnservedReads> {
        self.unserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a token and nothing else, so that a refused credential fails once and not for each
    /// request.
    ///
    /// # Errors
    /// Returns the reason when Personio issues no token.
    pub async fn sign_in(&self) -> Result<(), SourceError> {
        match self.client.fetch_token_info().await {
            Ok(_) => Ok(()),
            Err(error) => Err(upstream_error(&error)),
        }
    }

    /// Loads all users once, for a command that does not serve.
    ///
    /// # Errors
    /// Returns the reason when the load fails.
    pub async fn load_once(&self, progress: &LoadProgress) -> Result<LoadedDirectory, SourceError> {
        let records = self.load_records(None, progress).await?;
        Ok(block_in_place(|| self.map_records(records, None))?.directory)
    }

    /// Loads the records of all persons. The dirty ids stay in the dirty set if the load fails.
    async fn load_records(
        &self,
        served: Option<&MappedRecords>,
        progress: &LoadProgress,
    ) -> Result<UnmappedRecords, LoadError> {
        let dirty_ids = self.dirty_set.take();
        let before = self.client.metrics().requests();
        let refreshed = self.refresh_records(served, dirty_ids.ids(), progress).await;
        // The count includes requests for single users that run at the same time. There are few of
        // them.
        progress.set_requests(self.client.metrics().requests() - before);
        let loaded = refreshed?;
        let mut unverified = HashSet::new();
        for record in loaded.records.by_id.iter() {
            if record.is_unverified {
                unverified.insert(record.id.clone());
            }
        }
        dirty_ids.finish_except(&unverified);
        Ok(loaded)
    }

    async fn refresh_records(
        &self,
        served: Option<&MappedRecords>,
        dirty_ids: &HashSet<String>,
        progress: &LoadProgress,
    ) -> Result<UnmappedRecords, LoadError> {
        let now = self.clock.now();
        let mapping = self.mapping.load_full();
        // The look-ups are read at once, so that requests for a single user find them in the cache.
        let reading = self.read_records(&mapping, served, dirty_ids, now, progress);
        let (loaded, ()) = tokio::join!(reading, self.client.prefetch_names());
        let LoadedRecords { records: by_id, lookup_ids, left_out } = loaded?;
        let names = self.client.look_up_names(lookup_ids.by_kind()).await;
        let left_out =
            UnreadableData { persons: left_out, names: self.client.malformed_lookup_names() };
        let records = Arc::new(Records { by_id, names, left_out });
        self.report_defects(&records.defects());
        let partial = PartialLoad { records: RecordsById::default(), lookup_ids };
        *self.unserved() = UnservedReads { partial, last_load: Some(now) };
        Ok(UnmappedRecords { records, mapping })
    }

    async fn read_records(
        &self,
        mapping: &ActiveMapping,
        served: Option<&MappedRecords>,
        dirty_ids: &HashSet<String>,
        now: Timestamp,
        progress: &LoadProgress,
    ) -> Result<LoadedRecords, LoadError> {
        let none = RecordsById::default();
        let served = served.map_or(&none, |served| &served.records.by_id);
        let (mut partial_load, previous_load) = {
            let unserved = self.unserved();
            (unserved.partial.clone(), unserved.last_load)
        };
        let known = KnownRecords { served, partial: &partial_load.records, dirty_ids };
        let mut listing = self.list_persons(mapping, &known, progress).await?;
        let reader = RecordReader {
            client: &self.client,
            progress,
            clock: &*self.clock,
            custom_attributes: &mapping.custom_attributes,
            started_at: now,
            max_valid_age: self.lifetimes.max_valid_age,
        };
        let missing = missing_persons(&listing.listed, &known);
        let DeletionChecks { found, unverified, .. } = reader.check_deletions(missing).await?;
        let mut existing_ids = HashSet::new();
        for person in found {
            listing.owners.add_all_listed(&person.decode()?);
            existing_ids.insert(person.id.clone());
            listing.listed.push(person);
        }
        let PersonListing { listed, owners, unreadable, left_out } = listing;
        let interval = self.lifetimes.recheck_interval;
        let recheck = RecheckSchedule { interval, now, previous_load };
        let plan = RefreshPlan::new(listed, &known, recheck);
        let read = reader.run_plan(plan, owners, &mut partial_load).await;
        let lookup_ids = partial_load.lookup_ids.clone();
        self.unserved().partial = partial_load;
        let mut records = read?;
        for record in &mut records {
            // The next load checks persons without a check time first.
            if existing_ids.contains(&record.id) {
                Arc::make_mut(record).deletion_checked_at = Some(now);
            }
            if let Some(attribute) = unreadable.get(&record.id) {
                Arc::make_mut(record).unreadable_attribute = Some((*attribute).into());
            }
        }
        records.extend(unverified);
        Ok(LoadedRecords { records: records.into_iter().collect(), lookup_ids, left_out })
    }

    /// Lists all persons. A person that cannot be read keeps the earlier record.
    async fn list_persons(
        &self,
        mapping: &ActiveMapping,
        known: &KnownRecords<'_>,
        progress: &LoadProgress,
    ) -> Result<PersonListing, LoadError> {
        let mut notes = ListingNotes::new(self.client.limits().record_bytes);
        let read = self
            .client
            .list_persons(
                &mapping.custom_attributes,
                |person| notes.note(person),
                |count| progress.add_listed(count),
            )
            .await?;
        let ListingNotes { owners, mut without_employments, .. } = notes;
        let mut listing =
            PersonListing { listed: read.entries, owners, ..PersonListing::default() };
        for entry in read.unreadable {
            let earlier = entry.id.as_deref().and_then(|id| known.newest(id));
            let Some(earlier) = earlier else {
                listing.left_out.push(entry);
                continue;
            };
            let person = earlier.to_listed();
            if !listing.owners.add_all_listed(&person.decode()?) {
                without_employments.push(person.id.clone());
            }
            listing.unreadable.insert(person.id.clone(), entry.attribute);
            listing.listed.push(person);
        }
        // A listing can omit employments because the credential lacks a permission. The earlier
        // employments supply the owners then.
        for id in without_employments {
            for employment in earlier_employments(known.newest(&id).map(Arc::as_ref))? {
                listing.owners.add_earlier(&employment.id, &id);
            }
        }
        if listing.listed.is_empty() {
            let reason =
                "it contains no person; the API credential must be allowed to read persons";
            let endpoint = personio::Endpoint::Persons;
            let error = personio::Error::Unreadable { endpoint, reason: reason.to_owned() };
            return Err(error.into());
        }
        Ok(listing)
    }

    /// Logs the defects of a load if they differ from those of the previous load.
    fn report_defects(&self, defects: &Defects) {
        let mut reported = self.reported_defects.lock().unwrap_or_else(PoisonError::into_inner);
        if *reported == *defects {
            return;
        }
        reported.clone_from(defects);
        if defects.is_empty() {
            tracing::info!("all values in Personio's responses can be read again");
            return;
        }
        let Defects { kept, left_out, values, .. } = defects;
        tracing::warn!(
            kept,
            left_out,
            values,
            "some values in Personio's responses cannot be read: {defects}"
        );
    }

    /// Maps records to users. Those that are the same as the users of `served` are not mapped again.
    fn map_records(
        &self,
        unmapped: UnmappedRecords,
        served: Option<&Arc<MappedRecords>>,
    ) -> Result<Loaded<MappedRecords>, CodecError> {
        let base = served.filter(|served| unmapped.is_comparable_with(served));
        let UnmappedRecords { records, mapping } = unmapped;
        let mapper = RecordMapper {
            mapping: &mapping,
            urls: &self.urls,
            records: &records,
            now: self.clock.now(),
        };
        let MappedLoad { directory, persons } = mapper.map(base.map(|base| &*base.persons))?;
        let state = Arc::new(MappedRecords { records, mapping, persons });
        Ok(Loaded { directory, state, base: base.map(Arc::downgrade) })
    }

    /// Returns the newest record of a person while there is no snapshot.
    fn unserved_record(&self, id: &str) -> Option<Arc<PersonRecord>> {
        self.unserved().partial.records.get(id).cloned()
    }
}

impl Source for PersonioSource {
    type State = MappedRecords;

    async fn load(
        &self,
        served: Option<Arc<MappedRecords>>,
        progress: &LoadProgress,
    ) -> Result<LoadResult<MappedRecords>, SourceError> {
        let loaded = self.load_records(served.as_deref(), progress).await?;
        block_in_place(|| {
            if let Some(served) = &served
                && let Some(state) = loaded.mapped_like(served)
            {
                return Ok(LoadResult::Unchanged(Arc::new(state)));
            }
            Ok(LoadResult::Changed(Box::new(self.map_records(loaded, served.as_ref())?)))
        })
    }

    fn remap(
        &self,
        state: &Arc<MappedRecords>,
        served: Option<&Arc<MappedRecords>>,
    ) -> Result<Loaded<MappedRecords>, SourceError> {
        Ok(self.map_records(state.unmapped(), served)?)
    }

    fn discard(&self, loaded: &MappedRecords, served: Option<&MappedRecords>) {
        let none = RecordsById::default();
        let served_records = served.map_or(&none, |served| &served.records.by_id);
        let mut unserved = self.unserved();
        let mut partial = RecordsById::default();
        for record in loaded.records.by_id.iter() {
            match served_records.get(&record.id) {
                // Each load lists the person but does not read all employments. The dirty set makes
                // the next load read them.
                Some(served) if !record.encoded.has_same_employments(&served.encoded) => {
                    self.dirty_set.insert(record.id.to_string());
                }
                Some(served) if Arc::ptr_eq(served, record) => {}
                // These employments and those of new persons need not be read again.
                Some(_) | None => partial.insert(Arc::clone(record)),
            }
        }
        for record in served_records.iter() {
            if !loaded.records.by_id.contains(&record.id) {
                let deletion_checked_at = unserved.last_load;
                let record = PersonRecord { deletion_checked_at, ..PersonRecord::clone(record) };
                partial.insert(Arc::new(record));
            }
        }
        unserved.partial.records = partial;
        drop(unserved);
        if let Some(served) = served {
            self.adopt(served);
        }
    }

    fn adopt(&self, served: &MappedRecords) {
        self.client.restore_trusted_names(&served.records.names);
    }

    fn decode_state(&self, bytes: &[u8]) -> Result<Loaded<MappedRecords>, InvalidState> {
        let (records, lookup_ids) = Records::from_bytes(bytes)?;
        self.client.restore_names(&records.names);
        let last_load = records.by_id.iter().map(|record| record.read_at).max();
        let partial = PartialLoad { records: RecordsById::default(), lookup_ids };
        *self.unserved() = UnservedReads { partial, last_load };
        let mapping = self.mapping.load_full();
        let unmapped = UnmappedRecords { records: Arc::new(records), mapping };
        self.map_records(unmapped, None).map_err(|_| unreadable_records())
    }
}

impl SourceAccess for PersonioSource {
    fn schema_registry(&self) -> Arc<SchemaRegistry> {
        Arc::clone(&self.mapping.load().schema_registry)
    }

    fn find<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<User>, directory::SourceError>> {
        async move { Ok(self.fetch_single_user(id).await?) }.boxed()
    }

    fn login(&self) -> Option<directory::SourceLogin> {
        let personio::TokenState { error, unchanged_for: since } = self.client.token_state()?;
        let is_refused = matches!(error, Some(personio::Error::Credential { .. }));
        let failure = error.as_ref().map(upstream_error);
        Some(directory::SourceLogin { failure, is_refused, since })
    }

    fn warning(&self) -> Option<String> {
        let endpoints = self.client.implausible_limits();
        if endpoints.is_empty() {
            return None;
        }
        let routes: Vec<&str> = endpoints.into_iter().map(personio::Endpoint::route).collect();
        let routes = routes.join(", ");
        Some(format!(
            "Personio advertises limits that cannot be right, and they are not used: {routes}"
        ))
    }

    fn handle_webhook(&self, message: &[u8]) -> Result<WebhookEffect, MalformedWebhook> {
        match webhook::parse(message) {
            Ok(WebhookEvent::Person(id)) => {
                self.dirty_set.insert(id);
                Ok(WebhookEffect::Refresh)
            }
            Ok(WebhookEvent::UnknownPerson) => Ok(WebhookEffect::Refresh),
            Ok(WebhookEvent::Unrelated) => Ok(WebhookEffect::Ignored),
            Err(malformed) => Err(MalformedWebhook::new(malformed.to_string())),
        }
    }
}
