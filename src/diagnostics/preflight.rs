//! Preflight of a Personio credential, for an operator whose server does not run yet.
//!
//! The preflight reads the first page of persons, the employments of a sample, and the look-ups. It
//! reports which data the credential can read and which users a server would serve. It usually
//! takes a few dozen requests and changes nothing in Personio.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

pub use crate::diagnostics::coverage::Coverage;
pub use crate::diagnostics::custom_attributes::{CustomAttributeReport, CustomAttributeUse};
pub use crate::diagnostics::findings::{Finding, FindingOutcome};

use crate::clock::Clock;
use crate::diagnostics::explanation::AttributeExplanation;
pub use crate::diagnostics::scopes::NamedScope;
use crate::diagnostics::{
    contradictions, coverage, custom_attributes, explanation, findings, sample_values, scopes,
};
use crate::mapping::MappingPolicy;
use crate::mapping::attributes::custom::AttributeMapper;
use crate::mapping::attributes::input::MappingInput;
use crate::mapping::context::{ManagerCard, MappingContext};
use crate::mapping::employment::supervisor;
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::DateRules;
use crate::mapping::user::map_user;
use crate::mapping::user_name;
use crate::mapping::user_name::{AddressClaim, UserNames};
pub use crate::personio::ConnectionFault;
use crate::personio::model::Person;
use crate::personio::{
    AdvertisedLimit, Error, FirstPage, LookupNames, MalformedValue, PersonEmployments,
    PersonioClient,
};
use crate::scim::{
    EncodedContent, ResourceType, ResourceUrls, SchemaRegistry, User, compare_list_keys,
};
use crate::sync::lookup_ids::{LookupIds, LookupUsage};
use crate::sync::record_codec::DecodedRecord;
use crate::sync::refresh::check_response;

/// Minimum number of persons whose employments are read, if the first page has as many. The sample
/// is large enough to find attributes that are always missing.
const MIN_EMPLOYMENT_SAMPLE: usize = 20;

/// Maximum number of managers above an explained user. Each costs two requests.
const MAX_EXPLAINED_LEVELS: usize = 16;

/// Preflight that is ready to run.
pub struct Preflight {
    client: PersonioClient,
    policy: MappingPolicy,
    attribute_mapper: AttributeMapper,
    urls: ResourceUrls,
    clock: Arc<dyn Clock>,
    /// Flag of the mass-change guard. If it is set, a server does not serve a company whose persons
    /// mostly lack a status or an e-mail address.
    has_mass_change_guard: bool,
    /// Maximum number of users on one page of the server.
    max_page_size: usize,
    /// Names of the settings that hold the credential, as the operator gave them.
    credential_settings: String,
    /// Scopes of clients.
    scopes: Vec<NamedScope>,
}

/// Result of a preflight.
#[derive(Debug, Default)]
pub struct PreflightReport {
    /// Findings in the order of the steps.
    pub findings: Vec<Finding>,
    /// Reason for which Personio could not be reached, if it could not.
    pub unreachable: Option<ConnectionFault>,
    /// Coverage of the standard attributes.
    pub coverage: Vec<Coverage>,
    /// Custom attributes on the first page.
    pub custom_attributes: Vec<CustomAttributeReport>,
    /// Explained attributes of a few users, one list for each user.
    pub explained_users: Vec<Vec<AttributeExplanation>>,
    /// Rate limits that Personio advertises.
    pub limits: Vec<AdvertisedLimit>,
    /// Number of requests to Personio.
    pub request_count: u64,
}

/// Persons of the first page, with the employments of the first ones.
struct Sample {
    page: FirstPage,
    /// Records of the persons, in the order of the page.
    records: Vec<DecodedRecord>,
    /// Number of persons, from the start of the page, whose employments were requested.
    requested_count: usize,
    failures: Vec<Error>,
    lookup_names: LookupNames,
    /// Malformed values of the persons and their employments.
    malformed_values: Vec<MalformedValue>,
}

impl Preflight {
    /// Creates a preflight. With `has_mass_change_guard` unset, a company whose persons mostly lack
    /// a status or an e-mail address causes a warning instead of an error.
    #[must_use]
    pub fn new(
        client: PersonioClient,
        policy: MappingPolicy,
        urls: ResourceUrls,
        clock: Arc<dyn Clock>,
        has_mass_change_guard: bool,
        max_page_size: usize,
        credential_settings: String,
    ) -> Self {
        let attribute_mapper = AttributeMapper::new(&policy);
        Self {
            client,
            policy,
            attribute_mapper,
            urls,
            clock,
            has_mass_change_guard,
            max_page_size,
            credential_settings,
            scopes: Vec::new(),
        }
    }

    /// Adds the scopes of clients, whose view of the sample is reported.
    #[must_use]
    pub fn with_scopes(self, scopes: Vec<NamedScope>) -> Self {
        Self { scopes, ..self }
    }

    /// Runs the preflight and explains the attributes of up to `persons` users.
    pub async fn run(&self, persons: usize) -> PreflightReport {
        let mut report = PreflightReport::default();
        let token = self.client.fetch_token_info().await;
        if let Err(Error::Unreachable { fault, .. }) = &token {
            report.unreachable = Some(*fault);
        }
        report.findings.push(findings::token_finding(&token, &self.credential_settings));
        if token.is_ok() {
            self.examine_company(persons, &mut report).await;
            report.limits = self.client.advertised_limits();
            report.limits.sort_by_key(|limit| limit.endpoint.route());
            report.findings.push(findings::limits_finding(&report.limits));
        }
        report.request_count = self.client.metrics().requests();
        report
    }

    /// Reads the sample and adds a finding for each step after the token.
    async fn examine_company(&self, persons: usize, report: &mut PreflightReport) {
        let custom_attributes = self.policy.required_custom_attribute_ids();
        let (page, ()) =
            tokio::join!(self.client.first_page(&custom_attributes), self.client.prefetch_names());
        let counted = match &page {
            Ok(page) => self.client.count_persons(page, self.max_page_size).await,
            Err(error) => Err(error.clone()),
        };
        report.findings.push(findings::persons_finding(&page, &counted));
        let page = match page {
            Ok(page) if !page.persons.is_empty() => page,
            Ok(_) | Err(_) => {
                report.findings.extend(self.check_lookups(None).await);
                return;
            }
        };
        let sample = self.read_sample(page, persons.max(MIN_EMPLOYMENT_SAMPLE)).await;
        let is_sample = sample.page.has_more_pages || sample.requested_count < sample.records.len();
        report.findings.push(findings::employments_finding(
            sample.requested_count,
            is_sample,
            &sample.failures,
        ));
        report.findings.extend(self.check_lookups(Some(&sample)).await);
        report.findings.extend(findings::page_size_finding(&counted));
        report.findings.extend(sample_values::malformed_values_finding(
            &sample.page.unreadable_attributes,
            &sample.malformed_values,
            &self.client.malformed_lookup_names(),
        ));
        report.coverage = coverage::measure_coverage(&sample.records, &self.date_rules());
        report.findings.push(findings::attributes_finding(&report.coverage));
        report.custom_attributes =
            custom_attributes::report_custom_attributes(&sample.page.attributes, &self.policy);
        report.findings.extend(custom_attributes::mapping_findings(
            &self.policy,
            &self.attribute_mapper,
            &report.custom_attributes,
            &sample.page.persons,
        ));
        report
            .findings
            .push(contradictions::contradictions_finding(&sample.records, &self.date_rules()));
        let serve = findings::serve_finding(
            &sample.records,
            &counted,
            &self.date_rules(),
            self.has_mass_change_guard,
        );
        report.findings.push(findings::replace_if_blocked(serve, &report.findings));
        self.explain_sample(&sample, persons, report).await;
    }

    /// Returns a finding for each look-up. Without a `sample`, no unit counts as in use.
    async fn check_lookups(&self, sample: Option<&Sample>) -> Vec<Finding> {
        let mut lookup_findings = Vec::new();
        for look_up in self.client.lookup_reports().await {
            let in_use = match sample {
                Some(sample) => LookupUsage::count(
                    look_up.kind,
                    &sample.records,
                    &sample.lookup_names,
                    &self.date_rules(),
                ),
                None => LookupUsage::default(),
            };
            lookup_findings.push(findings::lookup_finding(&look_up, in_use));
        }
        lookup_findings
    }

    /// Reads the employments of the first `requested_count` persons, and the names of the units in
    /// use.
    async fn read_sample(&self, page: FirstPage, requested_count: usize) -> Sample {
        let requested_count = requested_count.min(page.persons.len());
        let reads = stream::iter(page.persons.iter().take(requested_count))
            .map(|person| self.employments(person))
            .buffered(self.client.max_concurrency());
        let reads: Vec<_> = reads.collect().await;
        let mut reads = reads.into_iter();
        let mut failures = Vec::new();
        let mut malformed_values = page.malformed.clone();
        let mut records = Vec::with_capacity(page.persons.len());
        for person in &page.persons {
            let employments = match reads.next() {
                Some(Ok(read)) => {
                    for attribute in read.malformed {
                        let attribute = format!("employments.{attribute}").into();
                        malformed_values
                            .push(MalformedValue { person: person.id.clone(), attribute });
                    }
                    Some(read.employments)
                }
                Some(Err(error)) => {
                    failures.push(error);
                    None
                }
                // The person is not in the sample.
                None => None,
            };
            records.push(DecodedRecord { person: person.clone(), employments });
        }
        // A server does the same: it requests a unit that the lists do not name by its id.
        let mut lookup_ids = LookupIds::default();
        for record in &records {
            lookup_ids.add_all(record.employments.as_deref().unwrap_or_default());
        }
        let lookup_names = self.client.look_up_names(lookup_ids.by_kind()).await;
        Sample { records, page, requested_count, failures, lookup_names, malformed_values }
    }

    async fn employments(&self, person: &Person) -> Result<PersonEmployments, Error> {
        let read = self.client.employments(&person.id).await?;
        check_response(read, person, &[])
    }

    /// Explains the attributes of the first `persons` users whose employments are known, and reports
    /// which of the users with known employments the clients with a scope see.
    async fn explain_sample(&self, sample: &Sample, persons: usize, report: &mut PreflightReport) {
        let rules = self.date_rules();
        let served = self.served(&sample.records);
        let mut headers = Vec::with_capacity(served.len());
        for record in &served {
            headers.push(PersonHeader::from_person(&record.person));
        }
        let user_names = sample_user_names(&served, &headers, &rules);
        let mut selected = Vec::new();
        for (&record, user_name) in served.iter().zip(&user_names) {
            if record.employments.is_some() {
                selected.push(SelectedUser { record, user_name: user_name.as_ref() });
            }
        }
        let explained = selected.get(..persons).unwrap_or(&selected);
        let supervisors = self.read_supervisors(explained, &served).await;
        let mut managers = HashMap::with_capacity(headers.len() + supervisors.len());
        for ((header, user_name), record) in headers.iter().zip(&user_names).zip(&served) {
            let (header, user_name) = (*header, user_name.clone());
            let supervisor = self.known_supervisor(record);
            managers.insert(header.id, ManagerCard { header, user_name, supervisor });
        }
        for read in &supervisors {
            let supervisor = read.supervisor.as_deref();
            if let Some(card) = managers.get_mut(read.person.id.as_str()) {
                card.supervisor = supervisor;
            } else if self.is_served(&read.person) {
                let card = supervisor_card(PersonHeader::from_person(&read.person), supervisor);
                managers.insert(read.person.id.as_str(), card);
            }
        }
        let context = MappingContext {
            policy: &self.policy,
            attribute_mapper: &self.attribute_mapper,
            urls: &self.urls,
            lookup_names: &sample.lookup_names,
            managers,
            today: rules.today,
        };
        let custom_attributes = self.policy.custom_attribute_definitions();
        let Ok(registry) = SchemaRegistry::new(&self.urls, self.max_page_size, &custom_attributes)
        else {
            return;
        };
        for person in explained {
            report.explained_users.extend(person.explained(&context, &registry.types.user));
        }
        if self.scopes.is_empty() {
            return;
        }
        let users: Vec<User> = selected.iter().map(|person| person.user(&context)).collect();
        let registry = Arc::new(registry);
        for scope in &self.scopes {
            report.findings.extend(scopes::scope_finding(scope, &users, &registry));
        }
    }

    /// Returns the persons who would be users, in the order in which a server lists them.
    fn served<'p>(&self, records: &'p [DecodedRecord]) -> Vec<&'p DecodedRecord> {
        let mut served = Vec::with_capacity(records.len());
        for record in records {
            if self.is_served(&record.person) {
                served.push(record);
            }
        }
        served.sort_by(|one, other| {
            let (one, other) = (&one.person, &other.person);
            compare_list_keys((one.created_at, &one.id), (other.created_at, &other.id))
        });
        served
    }

    fn is_served(&self, person: &Person) -> bool {
        !self.policy.require_email || person.email.is_some()
    }

    fn date_rules(&self) -> DateRules<'_> {
        let policy = &self.policy;
        DateRules { policy, today: self.clock.now().to_zoned(policy.time_zone.clone()).date() }
    }

    /// Reads the supervisors of `selected` who are not among `served`. A server reads all persons,
    /// and serves only managers who are users. With manager levels, those above them are read too.
    async fn read_supervisors(
        &self,
        selected: &[SelectedUser<'_>],
        served: &[&DecodedRecord],
    ) -> Vec<ReadSupervisor> {
        let levels = if self.policy.optional.manager_levels { MAX_EXPLAINED_LEVELS } else { 1 };
        let mut supervisors: Vec<ReadSupervisor> = Vec::new();
        let mut known: HashSet<String> = HashSet::new();
        let mut ids: Vec<String> = Vec::new();
        for SelectedUser { record, .. } in selected {
            ids.extend(self.known_supervisor(record).map(str::to_owned));
        }
        for _ in 0..levels {
            let mut above = Vec::new();
            let mut unread = Vec::new();
            ids.sort_unstable();
            for id in ids {
                if !known.insert(id.clone()) {
                    continue;
                }
                match served.iter().find(|record| record.person.id == id) {
                    Some(record) if record.employments.is_some() => {
                        above.extend(self.known_supervisor(record).map(str::to_owned));
                    }
                    Some(_) if !self.policy.optional.manager_levels => {}
                    Some(_) | None => unread.push(id),
                }
            }
            let reads = stream::iter(unread)
                .map(|id| self.read_supervisor(id))
                .buffered(self.client.max_concurrency());
            let reads: Vec<_> = reads.collect().await;
            for read in reads.into_iter().flatten() {
                above.extend(read.supervisor.clone());
                supervisors.push(read);
            }
            ids = above;
        }
        supervisors
    }

    /// Reads one supervisor, and with manager levels the supervisor above.
    async fn read_supervisor(&self, id: String) -> Option<ReadSupervisor> {
        let person = self.client.person(&id, &[]).await.ok()??.value;
        if !self.policy.optional.manager_levels {
            return Some(ReadSupervisor { person, supervisor: None });
        }
        let employments = self.employments(&person).await.ok()?.employments;
        let employment = self.date_rules().primary_employment(&employments);
        let supervisor = employment.and_then(supervisor).map(str::to_owned);
        Some(ReadSupervisor { person, supervisor })
    }

    /// Returns the supervisor of the primary employment, if the employments are known.
    fn known_supervisor<'p>(&self, record: &'p DecodedRecord) -> Option<&'p str> {
        supervisor(self.date_rules().primary_employment(record.employments.as_deref()?)?)
    }
}

/// Supervisor who was read for the explanations.
struct ReadSupervisor {
    person: Person,
    /// Supervisor of this person, if it is needed.
    supervisor: Option<String>,
}

/// User whose attributes are explained.
struct SelectedUser<'a> {
    record: &'a DecodedRecord,
    user_name: &'a str,
}

impl SelectedUser<'_> {
    /// Maps the person.
    fn user(&self, context: &MappingContext<'_>) -> User {
        let DecodedRecord { person, employments } = self.record;
        let employments = employments.as_deref().unwrap_or_default();
        map_user(person, self.user_name.to_owned(), employments, context)
    }

    /// Maps the person and explains the result. Returns `None` if it cannot be encoded.
    fn explained(
        &self,
        context: &MappingContext<'_>,
        user_type: &Arc<ResourceType>,
    ) -> Option<Vec<AttributeExplanation>> {
        let DecodedRecord { person, employments } = self.record;
        let employments = employments.as_deref().unwrap_or_default();
        let input = MappingInput::new(person, self.user_name, employments, context);
        let user = self.user(context);
        let content = EncodedContent::new(user_type, &user).ok()?;
        explanation::explain_user(&content.into_resource(&user.meta).ok()?, &input).ok()
    }
}

/// Returns the user names of `persons`, in the same order. `headers` contains their headers.
fn sample_user_names<'p>(
    persons: &[&DecodedRecord],
    headers: &[PersonHeader<'p>],
    rules: &DateRules<'_>,
) -> Vec<Cow<'p, str>> {
    let Ok(UserNames { names, .. }) = user_name::assign_user_names(headers, |header| {
        Ok::<AddressClaim, Infallible>(claim(persons, header.id, rules))
    });
    names
}

/// Returns the claim of the person with this id to an e-mail address.
fn claim(persons: &[&DecodedRecord], id: &str, rules: &DateRules<'_>) -> AddressClaim {
    let Some(record) = persons.iter().find(|record| record.person.id == id) else {
        return AddressClaim::LOWEST;
    };
    let employments = record.employments.as_deref().unwrap_or_default();
    AddressClaim::from_primary(&rules.evaluate(&record.person, employments))
}

/// Returns the card of a supervisor outside the first page. The e-mail address is assumed to be
/// unique.
fn supervisor_card<'a>(header: PersonHeader<'a>, supervisor: Option<&'a str>) -> ManagerCard<'a> {
    let user_name = match header.email {
        Some(email) => Cow::Borrowed(email),
        None => Cow::Owned(user_name::fallback_user_name(header.id)),
    };
    ManagerCard { header, user_name, supervisor }
}
