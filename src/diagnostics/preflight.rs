//! Preflight of a Personio credential, for an operator whose server does not run yet.
//!
//! The preflight reads the first page of persons, the employments of a sample, and the look-ups. It
//! reports which data the credential can read and which users a server would serve. It usually
//! takes a few dozen requests and changes nothing in Personio.

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

pub use crate::diagnostics::coverage::Presence;
pub use crate::diagnostics::custom_attributes::{CustomAttribute, Standing};
pub use crate::diagnostics::findings::{Finding, Outcome};

use crate::clock::Clock;
use crate::diagnostics::explanation::{Explained, Made};
use crate::diagnostics::{
    contradictions, coverage, custom_attributes, explanation, findings, sample_values,
};
use crate::mapping::Policy;
use crate::mapping::attributes::Attributes;
use crate::mapping::context::{Card, Context};
use crate::mapping::employment::supervisor;
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::{DateRules, Primary};
use crate::mapping::user::user;
use crate::mapping::user_name;
use crate::mapping::user_name::{Claim, UserNames};
pub use crate::personio::Obstacle;
use crate::personio::model::Person;
use crate::personio::{Client, Employments, Error, FirstPage, Names, OddValue, ToldLimit};
use crate::scim::{Content, Locations, list_order};
use crate::sync::lookup_ids::{InUse, Named};
use crate::sync::record_codec::Facts;
use crate::sync::refresh::believed;

/// Minimum number of persons whose employments are read, if the first page has as many. The sample
/// is large enough to find attributes that are always missing.
const EMPLOYMENTS: usize = 20;

/// Preflight that is ready to run.
pub struct Survey {
    client: Client,
    policy: Policy,
    attributes: Attributes,
    locations: Locations,
    clock: Arc<dyn Clock>,
    /// Flag of the mass-change guard. If it is set, a server does not serve a company whose persons
    /// mostly lack a status or an e-mail address.
    is_bound: bool,
    /// Maximum number of users on one page of the server.
    max_results: usize,
    /// Names of the settings that hold the credential, as the operator gave them.
    credential: String,
}

/// Result of a preflight.
#[derive(Debug, Default)]
pub struct Report {
    /// Findings in the order of the steps.
    pub findings: Vec<Finding>,
    /// Reason for which Personio could not be reached, if it could not.
    pub unreachable: Option<Obstacle>,
    /// Coverage of the standard attributes.
    pub presence: Vec<Presence>,
    /// Custom attributes on the first page.
    pub custom: Vec<CustomAttribute>,
    /// Explained attributes of a few users, one list for each user.
    pub people: Vec<Vec<Explained>>,
    /// Rate limits that Personio advertises.
    pub limits: Vec<ToldLimit>,
    /// Number of requests to Personio.
    pub requests: u64,
}

/// Persons of the first page, with the employments of the first ones.
struct Sample {
    page: FirstPage,
    /// Records of the persons, in the order of the page.
    people: Vec<Facts>,
    /// Number of persons, from the start of the page, whose employments were requested.
    asked: usize,
    failures: Vec<Error>,
    names: Names,
    /// Malformed values of the persons and their employments.
    odd: Vec<OddValue>,
}

impl Survey {
    /// Creates a preflight. With `is_bound` unset, a company whose persons mostly lack a status or
    /// an e-mail address causes a warning instead of an error.
    #[must_use]
    pub fn new(
        client: Client,
        policy: Policy,
        locations: Locations,
        clock: Arc<dyn Clock>,
        is_bound: bool,
        max_results: usize,
        credential: String,
    ) -> Self {
        let attributes = Attributes::new(&policy);
        Self { client, policy, attributes, locations, clock, is_bound, max_results, credential }
    }

    /// Runs the preflight and explains the attributes of up to `persons` users.
    pub async fn take(&self, persons: usize) -> Report {
        let mut report = Report::default();
        let signed_in = self.client.sign_in().await;
        if let Err(Error::Unreachable { obstacle, .. }) = &signed_in {
            report.unreachable = Some(*obstacle);
        }
        report.findings.push(findings::token(&signed_in, &self.credential));
        if signed_in.is_ok() {
            self.ask(persons, &mut report).await;
            report.limits = self.client.told_limits();
            report.limits.sort_by_key(|limit| limit.endpoint.route());
            report.findings.push(findings::limits(&report.limits));
        }
        report.requests = self.client.traffic().requests();
        report
    }

    /// Reads the sample and adds a finding for each step after the token.
    async fn ask(&self, persons: usize, report: &mut Report) {
        let wanted = self.policy.wanted_attributes();
        let (page, ()) =
            tokio::join!(self.client.first_persons(&wanted), self.client.prefetch_names());
        let counted = match &page {
            Ok(page) => self.client.count_persons(page, self.max_results).await,
            Err(error) => Err(error.clone()),
        };
        report.findings.push(findings::page(&page, &counted));
        let page = match page {
            Ok(page) if !page.persons.is_empty() => page,
            Ok(_) | Err(_) => {
                report.findings.extend(self.look_ups(None).await);
                return;
            }
        };
        let sample = self.sample(page, persons.max(EMPLOYMENTS)).await;
        let is_sample = sample.page.is_followed || sample.asked < sample.people.len();
        report.findings.push(findings::employments(sample.asked, is_sample, &sample.failures));
        report.findings.extend(self.look_ups(Some(&sample)).await);
        report.findings.extend(findings::page_size(&counted));
        report.findings.extend(sample_values::finding(
            &sample.page.unreadable,
            &sample.odd,
            &self.client.odd_names(),
        ));
        report.presence = coverage::presence(&sample.people, &self.rules());
        report.findings.push(findings::attributes(&report.presence));
        report.custom = custom_attributes::custom(&sample.page.attributes, &self.policy);
        report.findings.extend(custom_attributes::findings(
            &self.policy,
            &self.attributes,
            &report.custom,
            &sample.page.persons,
        ));
        report.findings.push(contradictions::finding(&sample.people, &self.rules()));
        let serve = findings::serve(&sample.people, &counted, &self.rules(), self.is_bound);
        report.findings.push(findings::unless_blocked(serve, &report.findings));
        report.people = self.explained(&sample, persons).await;
    }

    /// Returns a finding for each look-up. Without a `sample`, no unit counts as in use.
    async fn look_ups(&self, sample: Option<&Sample>) -> Vec<Finding> {
        let mut found = Vec::new();
        for look_up in self.client.look_ups().await {
            let in_use = match sample {
                Some(sample) => {
                    InUse::of(look_up.kind, &sample.people, &sample.names, &self.rules())
                }
                None => InUse::default(),
            };
            found.push(findings::look_up(&look_up, in_use));
        }
        found
    }

    /// Reads the employments of the first `asked` persons, and the names of the units in use.
    async fn sample(&self, page: FirstPage, asked: usize) -> Sample {
        let asked = asked.min(page.persons.len());
        let reads = stream::iter(page.persons.iter().take(asked))
            .map(|person| self.employments(person))
            .buffered(self.client.max_concurrency());
        let reads: Vec<_> = reads.collect().await;
        let mut reads = reads.into_iter();
        let mut failures = Vec::new();
        let mut odd = page.odd.clone();
        let mut people = Vec::with_capacity(page.persons.len());
        for person in &page.persons {
            let employments = match reads.next() {
                Some(Ok(read)) => {
                    for attribute in read.odd {
                        let attribute = format!("employments.{attribute}").into();
                        odd.push(OddValue { person: person.id.clone(), attribute });
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
            people.push(Facts { person: person.clone(), employments });
        }
        // A server does the same: it requests a unit that the lists do not name by its id.
        let mut named = Named::default();
        for facts in &people {
            named.add(facts.employments.as_deref().unwrap_or_default());
        }
        let names = self.client.names(named.by_kind()).await;
        Sample { people, page, asked, failures, names, odd }
    }

    async fn employments(&self, person: &Person) -> Result<Employments, Error> {
        let read = self.client.employments(&person.id).await?;
        believed(read, person, &[])
    }

    /// Explains the attributes of the first `persons` users whose employments are known.
    async fn explained(&self, sample: &Sample, persons: usize) -> Vec<Vec<Explained>> {
        let rules = self.rules();
        let served = self.served(&sample.people);
        let mut heads = Vec::with_capacity(served.len());
        for facts in &served {
            heads.push(Head::of(&facts.person));
        }
        let user_names = user_names(&served, &heads, &rules);
        let mut chosen = Vec::new();
        for (&facts, user_name) in served.iter().zip(&user_names) {
            if chosen.len() < persons && facts.employments.is_some() {
                chosen.push(Chosen { facts, user_name: user_name.as_ref() });
            }
        }
        let supervisors = self.supervisors(&chosen, &heads).await;
        let mut people = HashMap::with_capacity(heads.len() + supervisors.len());
        for (head, user_name) in heads.iter().zip(&user_names) {
            people.insert(head.id, Card { head: *head, user_name: user_name.clone() });
        }
        for person in &supervisors {
            if self.is_served(person) {
                people.insert(person.id.as_str(), own(Head::of(person)));
            }
        }
        let context = Context {
            policy: &self.policy,
            attributes: &self.attributes,
            locations: &self.locations,
            names: &sample.names,
            people,
            today: rules.today,
        };
        let mut explained = Vec::with_capacity(chosen.len());
        for person in &chosen {
            explained.extend(person.explained(&context));
        }
        explained
    }

    /// Returns the persons who would be users, in the order in which a server lists them.
    fn served<'p>(&self, people: &'p [Facts]) -> Vec<&'p Facts> {
        let mut served = Vec::with_capacity(people.len());
        for facts in people {
            if self.is_served(&facts.person) {
                served.push(facts);
            }
        }
        served.sort_by(|one, other| {
            let (one, other) = (&one.person, &other.person);
            list_order((one.created_at, &one.id), (other.created_at, &other.id))
        });
        served
    }

    fn is_served(&self, person: &Person) -> bool {
        !self.policy.require_email || person.email.is_some()
    }

    fn rules(&self) -> DateRules<'_> {
        let policy = &self.policy;
        DateRules { policy, today: self.clock.now().to_zoned(policy.time_zone.clone()).date() }
    }

    /// Reads the supervisors of `chosen` who are not among `heads`. A server reads all persons, and
    /// serves only managers who are users.
    async fn supervisors(&self, chosen: &[Chosen<'_>], heads: &[Head<'_>]) -> Vec<Person> {
        let rules = self.rules();
        let mut ids: Vec<&str> = Vec::new();
        for Chosen { facts, .. } in chosen {
            if let Some(employments) = &facts.employments
                && let Some(employment) = rules.primary_employment(employments)
            {
                ids.extend(supervisor(employment));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| heads.iter().all(|head| head.id != *id));
        let reads = stream::iter(ids)
            .map(|id| self.client.person(id, &[]))
            .buffered(self.client.max_concurrency());
        let reads: Vec<_> = reads.collect().await;
        let mut supervisors = Vec::with_capacity(reads.len());
        for read in reads {
            let Ok(Some(supervisor)) = read else { continue };
            supervisors.push(supervisor.value);
        }
        supervisors
    }
}

/// User whose attributes are explained.
struct Chosen<'a> {
    facts: &'a Facts,
    user_name: &'a str,
}

impl Chosen<'_> {
    /// Maps the person and explains the result. Returns `None` if it cannot be encoded.
    fn explained(&self, context: &Context<'_>) -> Option<Vec<Explained>> {
        let Facts { person, employments } = self.facts;
        let employments = employments.as_deref().unwrap_or_default();
        let Primary { employment, standing } = context.rules().primary(person, employments);
        let made = Made { person, employment, standing, context };
        let user = user(person, self.user_name.to_owned(), employments, context);
        explanation::explained(&user.versioned().ok()?, &made).ok()
    }
}

/// Returns the user names of `persons`, in the same order. `heads` contains their headers.
fn user_names<'p>(
    persons: &[&Facts],
    heads: &[Head<'p>],
    rules: &DateRules<'_>,
) -> Vec<Cow<'p, str>> {
    let Ok(UserNames { names, .. }) =
        user_name::all(heads, |head| Ok::<Claim, Infallible>(claim(persons, head.id, rules)));
    names
}

/// Returns the claim of the person with this id to an e-mail address.
fn claim(persons: &[&Facts], id: &str, rules: &DateRules<'_>) -> Claim {
    let Some(facts) = persons.iter().find(|facts| facts.person.id == id) else {
        return Claim::LOWEST;
    };
    let employments = facts.employments.as_deref().unwrap_or_default();
    Claim::of(&rules.primary(&facts.person, employments))
}

/// Returns the card of a supervisor outside the first page. The e-mail address is assumed to be
/// unique.
fn own(head: Head<'_>) -> Card<'_> {
    let user_name = match head.email {
        Some(email) => Cow::Borrowed(email),
        None => Cow::Owned(user_name::fallback(head.id)),
    };
    Card { head, user_name }
}
