//! Source that reads all persons from Personio and maps them to users. The directory calls it for
//! each load. A load succeeds as a whole or fails as a whole.

mod single;

use std::borrow::Cow;
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
    Defects, InvalidState, LoadProgress, LoadQuality, LoadResult, Loaded, LoadedDirectory,
    MalformedWebhook, SkippedCounts, Source, SourceAccess, SourceError, WebhookEffect,
};
use crate::mapping::context::{ManagerCard, MappingContext};
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::DateRules;
use crate::mapping::user;
use crate::mapping::user_name::{AddressClaim, UserNames};
use crate::mapping::validity::ValidityPeriod;
use crate::mapping::{MappingPolicy, groups, user_name};
use crate::personio;
use crate::personio::model::Person;
use crate::personio::webhook;
use crate::personio::webhook::WebhookEvent;
use crate::personio::{LookupNames, ParsedEntry, PersonioClient, UnreadableEntry};
use crate::scim::{ResourceUrls, SchemaRegistry, User, compare_list_keys};
use crate::sync::active_mapping::ActiveMapping;
use crate::sync::completeness_check::CompletenessCheck;
use crate::sync::dirty_set::DirtySet;
use crate::sync::employment_owners::EmploymentOwners;
use crate::sync::error::{LoadError, upstream_error};
use crate::sync::lookup_ids::{LookupIds, lacks_name};
use crate::sync::record_codec::{CodecError, DecodedRecord, ListedPerson};
use crate::sync::records::{
    PersonRecord, Records, RecordsById, UnreadableData, unreadable_records,
};
use crate::sync::refresh::{
    DeletionChecks, PartialLoad, RecordReader, check_record_bytes, earlier_employments,
};
use crate::sync::refresh_plan::{KnownRecords, RecheckSchedule, RefreshPlan, missing_persons};
use crate::sync::sync_state::MappedRecords;

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

/// Users of a load, and what is found out about them during the mapping.
#[derive(Default)]
struct MappedUsers {
    users: Vec<User>,
    completeness: CompletenessCheck,
    validity: ValidityPeriod,
    quality: LoadQuality,
}

impl MappedUsers {
    fn with_capacity(users: usize) -> Self {
        Self { users: Vec::with_capacity(users), ..Self::default() }
    }

    /// Maps one person and adds the user.
    fn add(
        &mut self,
        record: &PersonRecord,
        decoded: DecodedRecord,
        user_name: String,
        context: &MappingContext<'_>,
    ) {
        let DecodedRecord { person, employments } = decoded;
        let employments = employments.unwrap_or_default();
        let rules = context.date_rules();
        rules.limit_validity(&person, &employments, &mut self.validity);
        let primary = rules.primary_employment(&employments);
        let lacks_name = lacks_name(primary, context.lookup_names);
        self.quality.without_lookup_name += usize::from(lacks_name);
        self.users.push(user::map_user(&person, user_name, &employments, context));
        self.quality.outdated += usize::from(record.is_outdated());
        if record.is_unverified {
            self.quality.unverified.insert(record.id.clone());
        }
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
        let state = Arc::new(self.load_records(None, progress).await?);
        Ok(block_in_place(|| self.map_records(&state))?)
    }

    /// Loads the records of all persons. The dirty ids stay in the dirty set if the load fails.
    async fn load_records(
        &self,
        served: Option<&MappedRecords>,
        progress: &LoadProgress,
    ) -> Result<MappedRecords, LoadError> {
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
    ) -> Result<MappedRecords, LoadError> {
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
        Ok(MappedRecords { records, mapping })
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

    /// Maps all records to users.
    fn map_records(&self, state: &MappedRecords) -> Result<LoadedDirectory, CodecError> {
        let MappedRecords { records, mapping } = state;
        let now = self.clock.now();
        let listed = records_in_list_order(&records.by_id)?;
        let mut headers = Vec::with_capacity(listed.len());
        for (header, _) in &listed {
            if mapping.serves(header) {
                headers.push(*header);
            }
        }
        let rules = mapping.date_rules(now);
        let UserNames { names, fallback_count } =
            user_name::assign_user_names(&headers, |header| {
                user_name_claim(records, header.id, rules)
            })?;
        let skipped = SkippedCounts { without_email: listed.len() - headers.len() };
        log_skipped_and_fallbacks(skipped, fallback_count);
        let manager_cards = manager_cards(&headers, &names);
        let context = self.mapping_context(mapping, &records.names, manager_cards, now);
        let mut mapped = MappedUsers::with_capacity(headers.len());
        let mut user_names = names.into_iter();
        for (header, record) in &listed {
            let decoded = record.encoded.decode()?;
            mapped.completeness.count_person(&decoded, &rules);
            if !mapping.serves(header) {
                continue;
            }
            let Some(user_name) = user_names.next() else { break };
            mapped.add(record, decoded, user_name.into_owned(), &context);
        }
        let MappedUsers { users, completeness, validity, quality } = mapped;
        Ok(LoadedDirectory {
            schema_registry: Arc::clone(&mapping.schema_registry),
            groups: groups::build_groups(&users, &self.urls),
            users,
            quality: LoadQuality { skipped, defects: records.defects(), ..quality },
            completeness_error: completeness.error(),
            valid_during: validity.time_range(&mapping.policy.time_zone),
        })
    }

    /// Returns the newest record of a person while there is no snapshot.
    fn unserved_record(&self, id: &str) -> Option<Arc<PersonRecord>> {
        self.unserved().partial.records.get(id).cloned()
    }

    fn mapping_context<'a>(
        &'a self,
        mapping: &'a ActiveMapping,
        names: &'a LookupNames,
        managers: HashMap<&'a str, ManagerCard<'a>>,
        now: Timestamp,
    ) -> MappingContext<'a> {
        let DateRules { policy, today } = mapping.date_rules(now);
        MappingContext {
            policy,
            attribute_mapper: &mapping.attributes,
            urls: &self.urls,
            lookup_names: names,
            managers,
            today,
        }
    }
}

/// Returns all persons with a complete record, in list order.
fn records_in_list_order(
    records: &RecordsById,
) -> Result<Vec<(PersonHeader<'_>, &PersonRecord)>, CodecError> {
    let mut listed = Vec::with_capacity(records.iter().len());
    for record in records.iter() {
        if record.is_complete() {
            listed.push((record.encoded.decode_header()?, &**record));
        }
    }
    listed.sort_by(|(one, _), (other, _)| {
        compare_list_keys((one.created_at, one.id), (other.created_at, other.id))
    });
    Ok(listed)
}

/// Returns the cards of the users for manager references, by person id.
fn manager_cards<'a>(
    headers: &[PersonHeader<'a>],
    user_names: &[Cow<'a, str>],
) -> HashMap<&'a str, ManagerCard<'a>> {
    let mut manager_cards = HashMap::with_capacity(headers.len());
    for (header, user_name) in headers.iter().zip(user_names) {
        manager_cards
            .insert(header.id, ManagerCard { header: *header, user_name: user_name.clone() });
    }
    manager_cards
}

/// Logs the persons that are left out, and those whose user name is not their e-mail address.
fn log_skipped_and_fallbacks(skipped: SkippedCounts, fallback_count: usize) {
    let SkippedCounts { without_email } = skipped;
    if without_email > 0 {
        tracing::info!(
            without_email,
            "{without_email} persons without an e-mail address are left out, as configured"
        );
    }
    if fallback_count > 0 {
        tracing::warn!(
            shared = fallback_count,
            "{fallback_count} persons have an e-mail address that another person has, or that has \
             the form of a userName made of an id; their userName is made of their id"
        );
    }
}

/// Returns the claim of a person to an e-mail address that another person has as well.
fn user_name_claim(
    records: &Records,
    id: &str,
    rules: DateRules<'_>,
) -> Result<AddressClaim, CodecError> {
    let Some(record) = records.by_id.get(id) else { return Err(CodecError::INVALID) };
    let DecodedRecord { person, employments } = record.encoded.decode()?;
    Ok(AddressClaim::from_primary(&rules.evaluate(&person, &employments.unwrap_or_default())))
}

impl Source for PersonioSource {
    type State = MappedRecords;

    async fn load(
        &self,
        served: Option<Arc<MappedRecords>>,
        progress: &LoadProgress,
    ) -> Result<LoadResult<MappedRecords>, SourceError> {
        let state = Arc::new(self.load_records(served.as_deref(), progress).await?);
        if let Some(served) = served
            && block_in_place(|| state.gives_same_users_as(&served))
        {
            return Ok(LoadResult::Unchanged(state));
        }
        Ok(LoadResult::Changed(Box::new(block_in_place(|| self.remap(&state))?)))
    }

    fn remap(&self, state: &Arc<MappedRecords>) -> Result<Loaded<MappedRecords>, SourceError> {
        Ok(Loaded { directory: self.map_records(state)?, state: Arc::clone(state) })
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
        let state = Arc::new(MappedRecords { records: Arc::new(records), mapping });
        match self.map_records(&state) {
            Ok(directory) => Ok(Loaded { directory, state }),
            Err(_) => Err(unreadable_records()),
        }
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
