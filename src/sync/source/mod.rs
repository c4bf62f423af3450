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
    Defects, Loaded, Malformed, Memory, News, Progress, Skipped, SourceError, Told,
};
use crate::mapping::context::{Card, Context};
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::DateRules;
use crate::mapping::user;
use crate::mapping::user_name::{Claim, UserNames};
use crate::mapping::validity::Validity;
use crate::mapping::{Policy, groups, user_name};
use crate::personio;
use crate::personio::model::Person;
use crate::personio::webhook;
use crate::personio::webhook::Notice;
use crate::personio::{Client, Names, Read, UnreadableEntry};
use crate::scim::{Locations, User, Vocabulary, list_order};
use crate::sync::active_mapping::Choice;
use crate::sync::completeness_check::Lacks;
use crate::sync::dirty_set::Marks;
use crate::sync::employment_owners::Owners;
use crate::sync::lookup_ids::{Named, lacks_name};
use crate::sync::record_codec::{Facts, Fault, Listed};
use crate::sync::records::{LeftOut, People, Record, Records};
use crate::sync::refresh::{Confirmed, Gleaned, Refresh, check_size, known_employments};
use crate::sync::refresh_plan::{Known, Plan, Recheck, missing};
use crate::sync::sync_state::Remembered;

/// Lifetimes of employments that a load has read.
#[derive(Debug, Clone, Copy)]
pub struct Recency {
    /// Age at which employments are read again although nothing indicates a change.
    pub recheck: Duration,
    /// Maximum age at which employments are still valid when reading them again fails.
    pub trusted: Duration,
}

/// Source of users: the Personio of one company, with the mapping in force.
pub struct Source {
    client: Client,
    choice: ArcSwap<Choice>,
    locations: Locations,
    clock: Arc<dyn Clock>,
    recency: Recency,
    marks: Marks,
    kept: Mutex<Kept>,
    /// Defects that the log reported last.
    reported: Mutex<Defects>,
}

/// Result of listing all persons.
#[derive(Default)]
struct Listing {
    listed: Vec<Listed>,
    owners: Owners,
    /// Unreadable attribute of each person whose earlier record is used instead, by person id.
    unreadable: HashMap<Box<str>, &'static str>,
    /// Persons that cannot be read and have no earlier record.
    left_out: Vec<UnreadableEntry>,
}

/// Notes what a listing shows while its pages arrive.
struct NotedPersons {
    owners: Owners,
    /// Ids of the persons that are listed without employments.
    without_employments: Vec<Box<str>>,
    /// Size of the encoded persons so far.
    bytes: usize,
    max_bytes: usize,
}

impl NotedPersons {
    fn new(max_bytes: usize) -> Self {
        Self { owners: Owners::default(), without_employments: Vec::new(), bytes: 0, max_bytes }
    }

    /// Notes one person and returns the encoded form.
    fn note(&mut self, read: Read<Person>) -> Result<Listed, personio::Error> {
        let has_employments = self.owners.list_all(&read.value);
        let listed = Listed::of(read)?;
        if !has_employments {
            self.without_employments.push(listed.id.clone());
        }
        self.bytes += listed.size();
        check_size(self.bytes, self.max_bytes)?;
        Ok(listed)
    }
}

/// Users of a load, and what is found out about them during the mapping.
#[derive(Default)]
struct Translated {
    users: Vec<User>,
    lacks: Lacks,
    validity: Validity,
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
    fn add(&mut self, record: &Record, facts: Facts, user_name: String, context: &Context<'_>) {
        let Facts { person, employments } = facts;
        let employments = employments.unwrap_or_default();
        let rules = context.rules();
        rules.limit(&person, &employments, &mut self.validity);
        let primary = rules.primary_employment(&employments);
        self.nameless += usize::from(lacks_name(primary, context.names));
        self.users.push(user::user(&person, user_name, &employments, context));
        self.outdated += usize::from(record.is_outdated());
        if record.is_unverified {
            self.unconfirmed.insert(record.id.clone());
        }
    }
}

/// Records and look-up ids that a load has read.
struct Found {
    people: People,
    named: Named,
    left_out: Vec<UnreadableEntry>,
}

/// State that stays between loads.
#[derive(Default)]
struct Kept {
    records: Arc<Records>,
    gleaned: Gleaned,
    /// Start of the last successful load. After a restart, it is the newest read time in the state
    /// file.
    loaded: Option<Timestamp>,
}

impl Source {
    /// Creates a source without records. It sends no request. `vocabulary` must belong to `policy`.
    #[must_use]
    pub fn new(
        client: Client,
        policy: Policy,
        vocabulary: Arc<Vocabulary>,
        locations: Locations,
        clock: Arc<dyn Clock>,
        recency: Recency,
    ) -> Self {
        let choice = ArcSwap::new(Choice::new(policy, vocabulary));
        Self {
            client,
            choice,
            locations,
            clock,
            recency,
            marks: Marks::default(),
            kept: Mutex::default(),
            reported: Mutex::default(),
        }
    }

    /// Reports whether `policy` is already in force.
    #[must_use]
    pub fn has(&self, policy: &Policy) -> bool {
        self.choice.load().policy == *policy
    }

    /// Puts another mapping in force, from the next load on.
    pub fn adopt(&self, policy: Policy, vocabulary: Arc<Vocabulary>) {
        self.choice.store(Choice::new(policy, vocabulary));
    }

    /// Replaces the client secret of the Personio credential. Reports whether it differs from the
    /// previous one.
    pub fn adopt_secret(&self, client_secret: &SecretString) -> bool {
        self.client.adopt(client_secret)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests a token and nothing else, so that a refused credential fails once and not for each
    /// request.
    ///
    /// # Errors
    /// Returns the reason when Personio issues no token.
    pub async fn sign_in(&self) -> Result<(), SourceError> {
        match self.client.sign_in().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }

    /// Loads the records of all persons. The dirty ids stay in the dirty set if the load fails.
    async fn everybody(
        &self,
        progress: &Progress,
    ) -> Result<(Arc<Records>, Arc<Choice>), personio::Error> {
        let marked = self.marks.take();
        let before = self.client.traffic().requests();
        let refreshed = self.refreshed(marked.ids(), progress).await;
        // The count includes requests for single users that run at the same time. There are few of
        // them.
        progress.cost(self.client.traffic().requests() - before);
        let (records, choice) = refreshed?;
        let mut unconfirmed = HashSet::new();
        for record in records.people.iter() {
            if record.is_unverified {
                unconfirmed.insert(record.id.clone());
            }
        }
        marked.are_seen_but(&unconfirmed);
        Ok((records, choice))
    }

    async fn refreshed(
        &self,
        marked: &HashSet<String>,
        progress: &Progress,
    ) -> Result<(Arc<Records>, Arc<Choice>), personio::Error> {
        let now = self.clock.now();
        let choice = self.choice.load_full();
        // The look-ups are read at once, so that requests for a single user find them in the cache.
        let people = self.people(&choice, marked, now, progress);
        let (found, ()) = tokio::join!(people, self.client.prefetch_names());
        let Found { people, named, left_out } = found?;
        let names = self.client.names(named.by_kind()).await;
        let left_out = LeftOut { persons: left_out, names: self.client.odd_names() };
        let records = Arc::new(Records { people, names, left_out });
        self.report_defects(&records.defects());
        let gleaned = Gleaned { people: People::default(), named };
        *self.kept() = Kept { records: Arc::clone(&records), gleaned, loaded: Some(now) };
        Ok((records, choice))
    }

    async fn loaded(&self, progress: &Progress) -> Result<Loaded, SourceError> {
        let (records, choice) = self.everybody(progress).await.map_err(failure)?;
        Ok(block_in_place(|| self.translated(records, choice))?)
    }

    async fn news(
        &self,
        progress: &Progress,
        served: Option<Arc<dyn Memory>>,
    ) -> Result<News, SourceError> {
        let (records, choice) = self.everybody(progress).await.map_err(failure)?;
        let remembered = Remembered { records, choice };
        if let Some(served) = served.as_ref().and_then(Remembered::of)
            && block_in_place(|| remembered.makes_the_same_as(served))
        {
            return Ok(News::Same(Arc::new(remembered)));
        }
        let Remembered { records, choice } = remembered;
        Ok(News::Loaded(Box::new(block_in_place(|| self.translated(records, choice))?)))
    }

    async fn people(
        &self,
        choice: &Choice,
        marked: &HashSet<String>,
        now: Timestamp,
        progress: &Progress,
    ) -> Result<Found, personio::Error> {
        let mut listing = self.listing(choice, progress).await?;
        let refresh = Refresh {
            client: &self.client,
            progress,
            clock: &*self.clock,
            wanted: &choice.wanted,
            now,
            trusted: self.recency.trusted,
        };
        let missing = missing(&listing.listed, &self.kept().records.people);
        let Confirmed { found, unconfirmed, .. } = refresh.confirmed(missing).await?;
        let mut ids = HashSet::new();
        for person in found {
            listing.owners.list_all(&person.person()?);
            ids.insert(person.id.clone());
            listing.listed.push(person);
        }
        let Listing { listed, owners, unreadable, left_out } = listing;
        let (plan, mut gleaned) = {
            let kept = self.kept();
            let known =
                Known { people: &kept.records.people, gleaned: &kept.gleaned.people, marked };
            let recheck = Recheck { every: self.recency.recheck, now, before: kept.loaded };
            (Plan::new(listed, &known, recheck), kept.gleaned.clone())
        };
        let read = refresh.carry_out(plan, owners, &mut gleaned).await;
        let named = gleaned.named.clone();
        self.kept().gleaned = gleaned;
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
        Ok(Found { people: people.into_iter().collect(), named, left_out })
    }

    /// Lists all persons. A person that cannot be read keeps the earlier record.
    async fn listing(
        &self,
        choice: &Choice,
        progress: &Progress,
    ) -> Result<Listing, personio::Error> {
        let mut noted = NotedPersons::new(self.client.limits().record_bytes);
        let read = self
            .client
            .persons(&choice.wanted, |person| noted.note(person), |count| progress.listed(count))
            .await?;
        let NotedPersons { owners, mut without_employments, .. } = noted;
        let mut listing = Listing { listed: read.entries, owners, ..Listing::default() };
        for entry in read.unreadable {
            let earlier = entry.id.as_deref().and_then(|id| self.known(id));
            let Some(earlier) = earlier else {
                listing.left_out.push(entry);
                continue;
            };
            let person = earlier.listed();
            if !listing.owners.list_all(&person.person()?) {
                without_employments.push(person.id.clone());
            }
            listing.unreadable.insert(person.id.clone(), entry.attribute);
            listing.listed.push(person);
        }
        // A listing can omit employments because the credential lacks a permission. The earlier
        // employments supply the owners then.
        for id in without_employments {
            for employment in known_employments(self.known(&id).as_deref())? {
                listing.owners.remember(&employment.id, &id);
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
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn translated(&self, records: Arc<Records>, choice: Arc<Choice>) -> Result<Loaded, Fault> {
        let now = self.clock.now();
        let listed = in_order(&records.people)?;
        let mut heads = Vec::with_capacity(listed.len());
        for (head, _) in &listed {
            if choice.serves(head) {
                heads.push(*head);
            }
        }
        let rules = choice.rules(now);
        let UserNames { names, shared } =
            user_name::all(&heads, |head| claim(&records, head.id, rules))?;
        let skipped = Skipped { without_email: listed.len() - heads.len() };
        report(skipped, shared);
        let cards = cards(&heads, &names);
        let context = self.context(&choice, &records.names, cards, now);
        let mut translated = Translated::with_capacity(heads.len());
        let mut user_names = names.into_iter();
        for (head, record) in &listed {
            let facts = record.encoded.facts()?;
            translated.lacks.note(&facts, &rules);
            if !choice.serves(head) {
                continue;
            }
            let Some(user_name) = user_names.next() else { break };
            translated.add(record, facts, user_name.into_owned(), &context);
        }
        let Translated { users, lacks, validity, outdated, nameless, unconfirmed } = translated;
        Ok(Loaded {
            vocabulary: Arc::clone(&choice.vocabulary),
            groups: groups::groups(&users, &self.locations),
            users,
            skipped,
            outdated,
            defects: records.defects(),
            nameless,
            unconfirmed,
            flaw: lacks.flaw(),
            day: validity.range(&choice.policy.time_zone),
            memory: Some(Arc::new(Remembered {
                records: Arc::clone(&records),
                choice: Arc::clone(&choice),
            })),
        })
    }

    /// Returns the record to continue with when a load is not published: the person as last read,
    /// with the employments that are served.
    fn put_back(&self, served: &Record, now: &Arc<Record>) -> Arc<Record> {
        if now.encoded.has_same_employments(&served.encoded) {
            return Arc::clone(now);
        }
        // Each load lists the person but does not read all employments. The dirty set makes the
        // next load read them.
        self.marks.note(served.id.to_string());
        let packed = now.encoded.with_employments_of(&served.encoded);
        Arc::new(Record { encoded: packed, ..served.clone() })
    }

    /// Returns the newest record of a person, also from a failed load.
    fn known(&self, id: &str) -> Option<Arc<Record>> {
        let kept = self.kept();
        kept.gleaned.people.get(id).or_else(|| kept.records.people.get(id)).cloned()
    }

    fn context<'a>(
        &'a self,
        choice: &'a Choice,
        names: &'a Names,
        people: HashMap<&'a str, Card<'a>>,
        now: Timestamp,
    ) -> Context<'a> {
        let DateRules { policy, today } = choice.rules(now);
        Context {
            policy,
            attributes: &choice.attributes,
            locations: &self.locations,
            names,
            people,
            today,
        }
    }
}

/// Returns all persons with a complete record, in list order.
fn in_order(people: &People) -> Result<Vec<(Head<'_>, &Record)>, Fault> {
    let mut listed = Vec::with_capacity(people.iter().len());
    for record in people.iter() {
        if record.is_complete() {
            listed.push((record.encoded.head()?, &**record));
        }
    }
    listed.sort_by(|(one, _), (other, _)| {
        list_order((one.created_at, one.id), (other.created_at, other.id))
    });
    Ok(listed)
}

/// Returns the cards of the users for manager references, by person id.
fn cards<'a>(heads: &[Head<'a>], user_names: &[Cow<'a, str>]) -> HashMap<&'a str, Card<'a>> {
    let mut cards = HashMap::with_capacity(heads.len());
    for (head, user_name) in heads.iter().zip(user_names) {
        cards.insert(head.id, Card { head: *head, user_name: user_name.clone() });
    }
    cards
}

/// Logs the persons that are left out and the shared e-mail addresses.
fn report(skipped: Skipped, shared: usize) {
    let Skipped { without_email } = skipped;
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
fn claim(records: &Records, id: &str, rules: DateRules<'_>) -> Result<Claim, Fault> {
    let Some(record) = records.people.get(id) else { return Err(Fault::UNREADABLE) };
    let Facts { person, employments } = record.encoded.facts()?;
    Ok(Claim::of(&rules.primary(&person, &employments.unwrap_or_default())))
}

impl directory::Source for Source {
    fn vocabulary(&self) -> Arc<Vocabulary> {
        Arc::clone(&self.choice.load().vocabulary)
    }

    fn load<'a>(
        &'a self,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Loaded, directory::SourceError>> {
        self.loaded(progress).boxed()
    }

    fn load_after<'a>(
        &'a self,
        progress: &'a Progress,
        served: Option<Arc<dyn Memory>>,
    ) -> BoxFuture<'a, Result<News, directory::SourceError>> {
        self.news(progress, served).boxed()
    }

    fn find<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<User>, directory::SourceError>> {
        async move { self.alone(id).await.map_err(failure) }.boxed()
    }

    fn again(&self, memory: &Arc<dyn Memory>) -> Option<Loaded> {
        let Remembered { records, choice } = Remembered::of(memory)?;
        match self.translated(Arc::clone(records), Arc::clone(choice)) {
            Ok(loaded) => Some(loaded),
            Err(fault) => {
                tracing::error!("the users cannot be mapped again: {fault}");
                None
            }
        }
    }

    fn served(&self, memory: &Arc<dyn Memory>) {
        let Some(Remembered { records: served, .. }) = Remembered::of(memory) else { return };
        let mut kept = self.kept();
        let mut put_back = Vec::with_capacity(served.people.iter().len());
        for was in served.people.iter() {
            put_back.push(match kept.records.people.get(&was.id) {
                Some(now) => self.put_back(was, now),
                None => Arc::new(Record { deletion_checked_at: kept.loaded, ..Record::clone(was) }),
            });
        }
        let people: People = put_back.into_iter().collect();
        // The records of new persons stay available, so that the next load does not read them
        // again.
        let mut new = People::default();
        for record in kept.records.people.iter() {
            if !people.has(&record.id) {
                new.insert(Arc::clone(record));
            }
        }
        kept.gleaned.people = new;
        let left_out = kept.records.left_out.clone();
        kept.records = Arc::new(Records { people, names: served.names.clone(), left_out });
        self.client.put_back_names(&served.names);
    }

    fn recall(&self, memory: &[u8]) -> Result<Loaded, SourceError> {
        let (records, named) = Records::from_bytes(memory)?;
        self.client.recall_names(&records.names);
        let records = Arc::new(records);
        let gleaned = Gleaned { people: People::default(), named };
        let loaded = records.people.iter().map(|record| record.read_at).max();
        *self.kept() = Kept { records: Arc::clone(&records), gleaned, loaded };
        Ok(self.translated(records, self.choice.load_full())?)
    }

    fn login(&self) -> Option<directory::Login> {
        let personio::Login { refusal, since } = self.client.login()?;
        Some(directory::Login { refusal: refusal.map(failure), since })
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

    fn told(&self, message: &[u8]) -> Result<Told, Malformed> {
        match webhook::read(message) {
            Ok(Notice::Person(id)) => {
                self.marks.note(id);
                Ok(Told::Refresh)
            }
            Ok(Notice::Somebody) => Ok(Told::Refresh),
            Ok(Notice::Nothing) => Ok(Told::Nothing),
            Err(malformed) => Err(Malformed::new(malformed.to_string())),
        }
    }
}

/// Converts a Personio error to the text for logs, health checks and responses.
fn failure(error: personio::Error) -> directory::SourceError {
    let mut text = error.to_string();
    if matches!(error, personio::Error::Unreachable { .. }) {
        text.push_str(" (run `personio-scim check` where this server runs, to find out why)");
    }
    directory::SourceError::new(text)
}
