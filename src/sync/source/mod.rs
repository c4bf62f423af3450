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
    Defects, LoadProgress, LoadResult, LoadedDirectory, MalformedWebhook, SkippedCounts,
    SourceError, SyncState, WebhookEffect,
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
use crate::sync::lookup_ids::{LookupIds, lacks_name};
use crate::sync::record_codec::{CodecError, DecodedRecord, ListedPerson};
use crate::sync::records::{PersonRecord, Records, RecordsById, UnreadableData};
use crate::sync::refresh::{
    DeletionChecks, PartialLoad, Refresh, check_record_bytes, earlier_employments,
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
struct NotedPersons {
    owners: EmploymentOwners,
    /// Ids of the persons that are listed without employments.
    without_employments: Vec<Box<str>>,
    /// Size of the encoded persons so far.
    bytes: usize,
    max_bytes: usize,
}

impl NotedPersons {
    fn new(max_bytes: usize) -> Self {
        Self {
            owners: EmploymentOwners::default(),
            without_employments: Vec::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// Notes one person and returns the encoded form.
    fn note(&mut self, read: ParsedEntry<Person>) -> Result<ListedPerson, personio::Error> {
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
struct Translated {
    users: Vec<User>,
    lacks: CompletenessCheck,
    validity: ValidityPeriod,
    /// Number of users with values from an earlier load.
    outdated: usize,
    /// Number of users without a look-up name.
    nameless: usize,
    /// Ids of the unverified users.
    unconfirmed: HashSet<Box<str>>,
}

impl Translated {
    fn with_capacity(users: usize) -> Self {
        Self { users: Vec::with_capacity(users), ..Self::default() }
    }

    /// Maps one person and adds the user.
    fn add(
        &mut self,
        record: &PersonRecord,
        facts: DecodedRecord,
        user_name: String,
        context: &MappingContext<'_>,
    ) {
        let DecodedRecord { person, employments } = facts;
        let employments = employments.unwrap_or_default();
        let rules = context.date_rules();
        rules.limit_validity(&person, &employments, &mut self.validity);
        let primary = rules.primary_employment(&employments);
        self.nameless += usize::from(lacks_name(primary, context.lookup_names));
        self.users.push(user::map_user(&person, user_name, &employments, context));
        self.outdated += usize::from(record.is_outdated());
        if record.is_unverified {
            self.unconfirmed.insert(record.id.clone());
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
    /// Creates a source without records. It sends no request. `vocabulary` must belong to `policy`.
    #[must_use]
    pub fn new(
        client: PersonioClient,
        policy: MappingPolicy,
        vocabulary: Arc<SchemaRegistry>,
        locations: ResourceUrls,
        clock: Arc<dyn Clock>,
        recency: RecordLifetimes,
    ) -> Self {
        let choice = ArcSwap::new(ActiveMapping::new(policy, vocabulary));
        Self {
            client,
            mapping: choice,
            urls: locations,
            clock,
            lifetimes: recency,
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
    pub fn set_mapping(&self, policy: MappingPolicy, vocabulary: Arc<SchemaRegistry>) {
        self.mapping.store(ActiveMapping::new(policy, vocabulary));
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
            Err(error) => Err(source_error(error)),
        }
    }

    /// Loads the records of all persons. The dirty ids stay in the dirty set if the load fails.
    async fn load_records(
        &self,
        progress: &LoadProgress,
    ) -> Result<(Arc<Records>, Arc<ActiveMapping>), personio::Error> {
        let marked = self.dirty_set.take();
        let before = self.client.metrics().requests();
        let refreshed = self.refresh_records(marked.ids(), progress).await;
        // The count includes requests for single users that run at the same time. There are few of
        // them.
        progress.set_requests(self.client.metrics().requests() - before);
        let (records, choice) = refreshed?;
        let mut unconfirmed = HashSet::new();
        for record in records.by_id.iter() {
            if record.is_unverified {
                unconfirmed.insert(record.id.clone());
            }
        }
        marked.finish_except(&unconfirmed);
        Ok((records, choice))
    }

    async fn refresh_records(
        &self,
        marked: &HashSet<String>,
        progress: &LoadProgress,
    ) -> Result<(Arc<Records>, Arc<ActiveMapping>), personio::Error> {
        let now = self.clock.now();
        let choice = self.mapping.load_full();
        // The look-ups are read at once, so that requests for a single user find them in the cache.
        let people = self.read_records(&choice, marked, now, progress);
        let (found, ()) = tokio::join!(people, self.client.prefetch_names());
        let LoadedRecords { records: people, lookup_ids: named, left_out } = found?;
        let names = self.client.look_up_names(named.by_kind()).await;
        let left_out =
            UnreadableData { persons: left_out, names: self.client.malformed_lookup_names() };
        let records = Arc::new(Records { by_id: people, names, left_out });
        self.report_defects(&records.defects());
        let gleaned = PartialLoad { records: RecordsById::default(), lookup_ids: named };
        *self.state() =
            StoredState { records: Arc::clone(&records), partial: gleaned, last_load: Some(now) };
        Ok((records, choice))
    }

    async fn load_users(&self, progress: &LoadProgress) -> Result<LoadedDirectory, SourceError> {
        let (records, choice) = self.load_records(progress).await.map_err(source_error)?;
        Ok(block_in_place(|| self.map_records(records, choice))?)
    }

    async fn load_changes(
        &self,
        progress: &LoadProgress,
        served: Option<Arc<dyn SyncState>>,
    ) -> Result<LoadResult, SourceError> {
        let (records, choice) = self.load_records(progress).await.map_err(source_error)?;
        let remembered = MappedRecords { records, mapping: choice };
        if let Some(served) = served.as_ref().and_then(MappedRecords::from_state)
            && block_in_place(|| remembered.gives_same_users_as(served))
        {
            return Ok(LoadResult::Unchanged(Arc::new(remembered)));
        }
        let MappedRecords { records, mapping: choice } = remembered;
        Ok(LoadResult::Changed(Box::new(block_in_place(|| self.map_records(records, choice))?)))
    }

    async fn read_records(
        &self,
        choice: &ActiveMapping,
        marked: &HashSet<String>,
        now: Timestamp,
        progress: &LoadProgress,
    ) -> Result<LoadedRecords, personio::Error> {
        let mut listing = self.list_persons(choice, progress).await?;
        let refresh = Refresh {
            client: &self.client,
            progress,
            clock: &*self.clock,
            custom_attributes: &choice.custom_attributes,
            started_at: now,
            max_valid_age: self.lifetimes.max_valid_age,
        };
        let missing = missing_persons(&listing.listed, &self.state().records.by_id);
        let DeletionChecks { found, unverified: unconfirmed, .. } =
            refresh.check_deletions(missing).await?;
        let mut ids = HashSet::new();
        for person in found {
            listing.owners.add_all_listed(&person.decode()?);
            ids.insert(person.id.clone());
            listing.listed.push(person);
        }
        let PersonListing { listed, owners, unreadable, left_out } = listing;
        let (plan, mut gleaned) = {
            let kept = self.state();
            let known = KnownRecords {
                records: &kept.records.by_id,
                partial: &kept.partial.records,
                dirty_ids: marked,
            };
            let recheck = RecheckSchedule {
                interval: self.lifetimes.recheck_interval,
                now,
                previous_load: kept.last_load,
            };
            (RefreshPlan::new(listed, &known, recheck), kept.partial.clone())
        };
        let read = refresh.run_plan(plan, owners, &mut gleaned).await;
        let named = gleaned.lookup_ids.clone();
        self.state().partial = gleaned;
        let mut people = read?;
        for record in &mut people {
            // The next load checks persons without a check time first.
            if ids.contains(&record.id) {
                Arc::make_mut(record).deletion_checked_at = Some(now);
            }
            if let Some(attribute) = unreadable.get(&record.id) {
                Arc::make_mut(record).unreadable_attribute = Some((*attribute).into());
            }
        }
        people.extend(unconfirmed);
        Ok(LoadedRecords { records: people.into_iter().collect(), lookup_ids: named, left_out })
    }

    /// Lists all persons. A person that cannot be read keeps the earlier record.
    async fn list_persons(
        &self,
        choice: &ActiveMapping,
        progress: &LoadProgress,
    ) -> Result<PersonListing, personio::Error> {
        let mut noted = NotedPersons::new(self.client.limits().record_bytes);
        let read = self
            .client
            .list_persons(
                &choice.custom_attributes,
                |person| noted.note(person),
                |count| progress.add_listed(count),
            )
            .await?;
        let NotedPersons { owners, mut without_employments, .. } = noted;
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
            return Err(personio::Error::Unreadable {
                endpoint: personio::Endpoint::Persons,
                reason: "it contains no person; the API credential must be allowed to read persons"
                    .to_owned(),
            });
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
        choice: Arc<ActiveMapping>,
    ) -> Result<LoadedDirectory, CodecError> {
        let now = self.clock.now();
        let listed = records_in_list_order(&records.by_id)?;
        let mut heads = Vec::with_capacity(listed.len());
        for (head, _) in &listed {
            if choice.serves(head) {
                heads.push(*head);
            }
        }
        let rules = choice.date_rules(now);
        let UserNames { names, fallback_count: shared } =
            user_name::assign_user_names(&heads, |head| user_name_claim(&records, head.id, rules))?;
        let skipped = SkippedCounts { without_email: listed.len() - heads.len() };
        log_skipped_and_shared(skipped, shared);
        let cards = cards(&heads, &names);
        let context = self.mapping_context(&choice, &records.names, cards, now);
        let mut translated = Translated::with_capacity(heads.len());
        let mut user_names = names.into_iter();
        for (head, record) in &listed {
            let facts = record.encoded.decode()?;
            translated.lacks.count_person(&facts, &rules);
            if !choice.serves(head) {
                continue;
            }
            let Some(user_name) = user_names.next() else { break };
            translated.add(record, facts, user_name.into_owned(), &context);
        }
        let Translated { users, lacks, validity, outdated, nameless, unconfirmed } = translated;
        Ok(LoadedDirectory {
            schema_registry: Arc::clone(&choice.schema_registry),
            groups: groups::build_groups(&users, &self.urls),
            users,
            skipped,
            outdated,
            defects: records.defects(),
            without_lookup_name: nameless,
            unverified: unconfirmed,
            completeness_error: lacks.error(),
            valid_during: validity.time_range(&choice.policy.time_zone),
            sync_state: Some(Arc::new(MappedRecords {
                records: Arc::clone(&records),
                mapping: Arc::clone(&choice),
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
        let packed = now.encoded.with_employments_of(&served.encoded);
        Arc::new(PersonRecord { encoded: packed, ..served.clone() })
    }

    /// Returns the newest record of a person, also from a failed load.
    fn newest_record(&self, id: &str) -> Option<Arc<PersonRecord>> {
        let kept = self.state();
        kept.partial.records.get(id).or_else(|| kept.records.by_id.get(id)).cloned()
    }

    fn mapping_context<'a>(
        &'a self,
        choice: &'a ActiveMapping,
        names: &'a LookupNames,
        people: HashMap<&'a str, ManagerCard<'a>>,
        now: Timestamp,
    ) -> MappingContext<'a> {
        let DateRules { policy, today } = choice.date_rules(now);
        MappingContext {
            policy,
            extension_mapper: &choice.attributes,
            urls: &self.urls,
            lookup_names: names,
            managers: people,
            today,
        }
    }
}

/// Returns all persons with a complete record, in list order.
fn records_in_list_order(
    people: &RecordsById,
) -> Result<Vec<(PersonHeader<'_>, &PersonRecord)>, CodecError> {
    let mut listed = Vec::with_capacity(people.iter().len());
    for record in people.iter() {
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
fn cards<'a>(
    heads: &[PersonHeader<'a>],
    user_names: &[Cow<'a, str>],
) -> HashMap<&'a str, ManagerCard<'a>> {
    let mut cards = HashMap::with_capacity(heads.len());
    for (head, user_name) in heads.iter().zip(user_names) {
        cards.insert(head.id, ManagerCard { header: *head, user_name: user_name.clone() });
    }
    cards
}

/// Logs the persons that are left out and the shared e-mail addresses.
fn log_skipped_and_shared(skipped: SkippedCounts, shared: usize) {
    let SkippedCounts { without_email } = skipped;
    if without_email > 0 {
        tracing::info!(
            without_email,
            "{without_email} persons without an e-mail address are left out, as configured"
        );
    }
    if shared > 0 {
        tracing::warn!(
            shared,
            "{shared} persons have the same e-mail address as another person; their userName is \
             made of their id"
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
    Ok(AddressClaim::from_primary(&rules.primary(&person, &employments.unwrap_or_default())))
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

    fn load_after<'a>(
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
        async move { self.fetch_single_user(id).await.map_err(source_error) }.boxed()
    }

    fn remap(&self, memory: &Arc<dyn SyncState>) -> Option<LoadedDirectory> {
        let MappedRecords { records, mapping: choice } = MappedRecords::from_state(memory)?;
        match self.map_records(Arc::clone(records), Arc::clone(choice)) {
            Ok(loaded) => Some(loaded),
            Err(fault) => {
                tracing::error!("the users cannot be mapped again: {fault}");
                None
            }
        }
    }

    fn restore_current(&self, memory: &Arc<dyn SyncState>) {
        let Some(MappedRecords { records: served, .. }) = MappedRecords::from_state(memory) else {
            return;
        };
        let mut kept = self.state();
        let mut put_back = Vec::with_capacity(served.by_id.iter().len());
        for was in served.by_id.iter() {
            put_back.push(match kept.records.by_id.get(&was.id) {
                Some(now) => self.put_back(was, now),
                None => Arc::new(PersonRecord {
                    deletion_checked_at: kept.last_load,
                    ..PersonRecord::clone(was)
                }),
            });
        }
        let people: RecordsById = put_back.into_iter().collect();
        // The records of new persons stay available, so that the next load does not read them
        // again.
        let mut new = RecordsById::default();
        for record in kept.records.by_id.iter() {
            if !people.contains(&record.id) {
                new.insert(Arc::clone(record));
            }
        }
        kept.partial.records = new;
        let left_out = kept.records.left_out.clone();
        kept.records = Arc::new(Records { by_id: people, names: served.names.clone(), left_out });
        self.client.restore_trusted_names(&served.names);
    }

    fn decode_state(&self, memory: &[u8]) -> Result<LoadedDirectory, SourceError> {
        let (records, named) = Records::from_bytes(memory)?;
        self.client.restore_names(&records.names);
        let records = Arc::new(records);
        let gleaned = PartialLoad { records: RecordsById::default(), lookup_ids: named };
        let loaded = records.by_id.iter().map(|record| record.read_at).max();
        *self.state() =
            StoredState { records: Arc::clone(&records), partial: gleaned, last_load: loaded };
        Ok(self.map_records(records, self.mapping.load_full())?)
    }

    fn login(&self) -> Option<directory::SourceLogin> {
        let personio::TokenState { error, unchanged_for: since } = self.client.token_state()?;
        let is_refused = matches!(error, Some(personio::Error::Credential { .. }));
        Some(directory::SourceLogin { failure: error.map(source_error), is_refused, since })
    }

    fn warning(&self) -> Option<SourceError> {
        let endpoints = self.client.implausible_limits();
        if endpoints.is_empty() {
            return None;
        }
        let routes: Vec<&str> = endpoints.into_iter().map(personio::Endpoint::route).collect();
        let routes = routes.join(", ");
        Some(SourceError::new(format!(
            "Personio advertises limits that cannot be right, and they are not used: {routes}"
        )))
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

/// Converts a Personio error to the text for logs, health checks and responses.
fn source_error(error: personio::Error) -> directory::SourceError {
    let mut text = error.to_string();
    if matches!(error, personio::Error::Unreachable { .. }) {
        text.push_str(" (run `personio-scim check` where this server runs, to find out why)");
    }
    directory::SourceError::new(text)
}
