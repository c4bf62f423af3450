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
    Defects, InvalidState, LoadProgress, LoadResult, LoadedDirectory, MalformedWebhook,
    SkippedCounts, SourceError, SyncState, WebhookEffect,
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
    state: Mutex<StoredState>,
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
    /// Number of users with values from an earlier load.
    outdated: usize,
    /// Number of users without a look-up name.
    nameless: usize,
    /// Ids of the unverified users.
    unverified: HashSet<Box<str>>,
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
        self.nameless += usize::from(lacks_name(primary, context.lookup_names));
        self.users.push(user::map_user(&person, user_name, &employments, context));
        self.outdated += usize::from(record.is_outdated());
        if record.is_unverified {
            self.unverified.insert(record.id.clone());
        }
    }
}

/// Records and look-up ids that a load has read.
struct LoadedRecords {
    records: RecordsById,
    lookup_ids: LookupIds,
    left_out: Vec<UnreadableEntry>,
}

/// State that stays between loads.
#[derive(Default)]
struct StoredState {
    records: Arc<Records>,
    partial: PartialLoad,
    /// Start of the last successful load. After a restart, it is the newest read time in the state
    /// file.
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
            state: Mutex::default(),
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

    fn state(&self) -> MutexGuard<'_, StoredState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Loads the records of all persons. The dirty ids stay in the dirty set if the load fails.
    async fn load_records(
        &self,
        progress: &LoadProgress,
    ) -> Result<(Arc<Records>, Arc<ActiveMapping>), LoadError> {
        let dirty_ids = self.dirty_set.take();
        let before = self.client.metrics().requests();
        let refreshed = self.refresh_records(dirty_ids.ids(), progress).await;
        // The count includes requests for single users that run at the same time. There are few of
        // them.
        progress.set_requests(self.client.metrics().requests() - before);
        let (records, mapping) = refreshed?;
        let mut unverified = HashSet::new();
        for record in records.by_id.iter() {
            if record.is_unverified {
                unverified.insert(record.id.clone());
            }
        }
        dirty_ids.finish_except(&unverified);
        Ok((records, mapping))
    }

    async fn refresh_records(
        &self,
        dirty_ids: &HashSet<String>,
        progress: &LoadProgress,
    ) -> Result<(Arc<Records>, Arc<ActiveMapping>), LoadError> {
        let now = self.clock.now();
        let mapping = self.mapping.load_full();
        // The look-ups are read at once, so that requests for a single user find them in the cache.
        let reading = self.read_records(&mapping, dirty_ids, now, progress);
        let (loaded, ()) = tokio::join!(reading, self.client.prefetch_names());
        let LoadedRecords { records: by_id, lookup_ids, left_out } = loaded?;
        let names = self.client.look_up_names(lookup_ids.by_kind()).await;
        let left_out =
            UnreadableData { persons: left_out, names: self.client.malformed_lookup_names() };
        let records = Arc::new(Records { by_id, names, left_out });
        self.report_defects(&records.defects());
        let partial_load = PartialLoad { records: RecordsById::default(), lookup_ids };
        *self.state() = StoredState {
            records: Arc::clone(&records),
            partial: partial_load,
            last_load: Some(now),
        };
        Ok((records, mapping))
    }

    async fn load_users(&self, progress: &LoadProgress) -> Result<LoadedDirectory, SourceError> {
        let (records, mapping) = self.load_records(progress).await?;
        Ok(block_in_place(|| self.map_records(records, mapping))?)
    }

    async fn load_changes(
        &self,
        progress: &LoadProgress,
        served: Option<Arc<dyn SyncState>>,
    ) -> Result<LoadResult, SourceError> {
        let (records, mapping) = self.load_records(progress).await?;
        let mapped_records = MappedRecords { records, mapping };
        if let Some(served) = served.as_ref().and_then(MappedRecords::from_state)
            && block_in_place(|| mapped_records.gives_same_users_as(served))
        {
            return Ok(LoadResult::Unchanged(Arc::new(mapped_records)));
        }
        let MappedRecords { records, mapping } = mapped_records;
        Ok(LoadResult::Changed(Box::new(block_in_place(|| self.map_records(records, mapping))?)))
    }

    async fn read_records(
        &self,
        mapping: &ActiveMapping,
        dirty_ids: &HashSet<String>,
        now: Timestamp,
        progress: &LoadProgress,
    ) -> Result<LoadedRecords, LoadError> {
        let mut listing = self.list_persons(mapping, progress).await?;
        let reader = RecordReader {
            client: &self.client,
            progress,
            clock: &*self.clock,
            custom_attributes: &mapping.custom_attributes,
            started_at: now,
            max_valid_age: self.lifetimes.max_valid_age,
        };
        let missing = missing_persons(&listing.listed, &self.state().records.by_id);
        let DeletionChecks { found, unverified, .. } = reader.check_deletions(missing).await?;
        let mut existing_ids = HashSet::new();
        for person in found {
            listing.owners.add_all_listed(&person.decode()?);
            existing_ids.insert(person.id.clone());
            listing.listed.push(person);
        }
        let PersonListing { listed, owners, unreadable, left_out } = listing;
        let (plan, mut partial_load) = {
            let state = self.state();
            let known = KnownRecords {
                records: &state.records.by_id,
                partial: &state.partial.records,
                dirty_ids,
            };
            let recheck = RecheckSchedule {
                interval: self.lifetimes.recheck_interval,
                now,
                previous_load: state.last_load,
            };
            (RefreshPlan::new(listed, &known, recheck), state.partial.clone())
        };
        let read = reader.run_plan(plan, owners, &mut partial_load).await;
        let lookup_ids = partial_load.lookup_ids.clone();
        self.state().partial = partial_load;
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
            let earlier = entry.id.as_deref().and_then(|id| self.newest_record(id));
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
            for employment in earlier_employments(self.newest_record(&id).as_deref())? {
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
    fn map_records(
        &self,
        records: Arc<Records>,
        mapping: Arc<ActiveMapping>,
    ) -> Result<LoadedDirectory, CodecError> {
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
                user_name_claim(&records, header.id, rules)
            })?;
        let skipped = SkippedCounts { without_email: listed.len() - headers.len() };
        log_skipped_and_fallbacks(skipped, fallback_count);
        let manager_cards = manager_cards(&headers, &names);
        let context = self.mapping_context(&mapping, &records.names, manager_cards, now);
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
        let MappedUsers { users, completeness, validity, outdated, nameless, unverified } = mapped;
        Ok(LoadedDirectory {
            schema_registry: Arc::clone(&mapping.schema_registry),
            groups: groups::build_groups(&users, &self.urls),
            users,
            skipped,
            outdated,
            defects: records.defects(),
            without_lookup_name: nameless,
            unverified,
            completeness_error: completeness.error(),
            valid_during: validity.time_range(&mapping.policy.time_zone),
            sync_state: Some(Arc::new(MappedRecords {
                records: Arc::clone(&records),
                mapping: Arc::clone(&mapping),
            })),
        })
    }

    /// Returns the record to continue with when a load is not published: the person as last read,
    /// with the employments that are served.
    fn put_back(&self, served: &PersonRecord, now: &Arc<PersonRecord>) -> Arc<PersonRecord> {
        if now.encoded.has_same_employments(&served.encoded) {
            return Arc::clone(now);
        }
        // Each load lists the person but does not read all employments. The dirty set makes the
        // next load read them.
        self.dirty_set.insert(served.id.to_string());
        let encoded = now.encoded.with_employments_of(&served.encoded);
        Arc::new(PersonRecord { encoded, ..served.clone() })
    }

    /// Returns the newest record of a person, also from a failed load.
    fn newest_record(&self, id: &str) -> Option<Arc<PersonRecord>> {
        let state = self.state();
        state.partial.records.get(id).or_else(|| state.records.by_id.get(id)).cloned()
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

impl directory::DirectorySource for PersonioSource {
    fn schema_registry(&self) -> Arc<SchemaRegistry> {
        Arc::clone(&self.mapping.load().schema_registry)
    }

    fn load<'a>(
        &'a self,
        progress: &'a LoadProgress,
    ) -> BoxFuture<'a, Result<LoadedDirectory, directory::SourceError>> {
        self.load_users(progress).boxed()
    }

    fn refresh<'a>(
        &'a self,
        progress: &'a LoadProgress,
        served: Option<Arc<dyn SyncState>>,
    ) -> BoxFuture<'a, Result<LoadResult, directory::SourceError>> {
        self.load_changes(progress, served).boxed()
    }

    fn find<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<User>, directory::SourceError>> {
        async move { Ok(self.fetch_single_user(id).await?) }.boxed()
    }

    fn remap(&self, sync_state: &Arc<dyn SyncState>) -> Option<LoadedDirectory> {
        let MappedRecords { records, mapping } = MappedRecords::from_state(sync_state)?;
        match self.map_records(Arc::clone(records), Arc::clone(mapping)) {
            Ok(loaded) => Some(loaded),
            Err(error) => {
                tracing::error!(
                    "the stored records cannot be mapped to users; the users that are served stay \
                     until a load succeeds: {error}"
                );
                None
            }
        }
    }

    fn restore_current(&self, sync_state: &Arc<dyn SyncState>) {
        let Some(MappedRecords { records: served, .. }) = MappedRecords::from_state(sync_state)
        else {
            return;
        };
        let mut state = self.state();
        let mut put_back = Vec::with_capacity(served.by_id.iter().len());
        for current in served.by_id.iter() {
            put_back.push(match state.records.by_id.get(&current.id) {
                Some(now) => self.put_back(current, now),
                None => Arc::new(PersonRecord {
                    deletion_checked_at: state.last_load,
                    ..PersonRecord::clone(current)
                }),
            });
        }
        let by_id: RecordsById = put_back.into_iter().collect();
        // The records of new persons stay available, so that the next load does not read them
        // again.
        let mut new = RecordsById::default();
        for record in state.records.by_id.iter() {
            if !by_id.contains(&record.id) {
                new.insert(Arc::clone(record));
            }
        }
        state.partial.records = new;
        let left_out = state.records.left_out.clone();
        state.records = Arc::new(Records { by_id, names: served.names.clone(), left_out });
        self.client.restore_trusted_names(&served.names);
    }

    fn decode_state(&self, bytes: &[u8]) -> Result<LoadedDirectory, InvalidState> {
        let (records, lookup_ids) = Records::from_bytes(bytes)?;
        self.client.restore_names(&records.names);
        let records = Arc::new(records);
        let partial_load = PartialLoad { records: RecordsById::default(), lookup_ids };
        let last_load = records.by_id.iter().map(|record| record.read_at).max();
        *self.state() =
            StoredState { records: Arc::clone(&records), partial: partial_load, last_load };
        self.map_records(records, self.mapping.load_full()).map_err(|_| unreadable_records())
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
