//! Results of the preflight as sentences, each with the change that fixes a problem. The sentences
//! are for operators who do not know this program.

use jiff::SignedDuration;

use crate::diagnostics::coverage::Presence;
use crate::mapping::person_header::Head;
use crate::mapping::primary_employment::DateRules;
use crate::mapping::user_name;
use crate::personio::{Error, FirstPage, Headcount, Kind, LookUp, SignedIn, ToldLimit};
use crate::sync::completeness_check::Lacks;
use crate::sync::lookup_ids::InUse;
use crate::sync::record_codec::Facts;

/// Place in Personio's settings where an operator chooses access rights and readable attributes.
const WHERE: &str = "In Personio, under Settings > Integrations > API credentials,";

/// Beginning of the trace id in the text of an error.
const TRACE_ID: &str = " (Personio's trace id";

/// Result of one step of the preflight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the step.
    pub step: &'static str,
    /// Severity of the result.
    pub outcome: Outcome,
    /// Description of the result.
    pub what: String,
    /// Change that fixes the problem, if there is one.
    pub remedy: Option<String>,
}

/// Severity of a finding, from the least to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No problem.
    Fine,
    /// Problem with which a server runs, but serves less than it could.
    Doubtful,
    /// Problem with which a server serves nothing.
    Wrong,
}

impl Finding {
    pub(crate) fn fine(step: &'static str, what: String) -> Self {
        Self { step, outcome: Outcome::Fine, what, remedy: None }
    }

    pub(crate) fn doubtful(step: &'static str, what: String, remedy: String) -> Self {
        Self { step, outcome: Outcome::Doubtful, what, remedy: Some(remedy) }
    }

    fn wrong(step: &'static str, what: String, remedy: String) -> Self {
        Self { step, outcome: Outcome::Wrong, what, remedy: Some(remedy) }
    }
}

/// Returns "1 person" or "20 persons".
pub(crate) fn persons(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} persons") }
}

/// Returns the finding about the token. `credential` contains the names of the settings that hold
/// the credential, as the operator gave them.
pub(crate) fn token(signed_in: &Result<SignedIn, Error>, credential: &str) -> Finding {
    match signed_in {
        Ok(SignedIn { lifetime, scopes }) => {
            let time = match lifetime.map(SignedDuration::try_from) {
                Some(Ok(lifetime)) => format!("for {lifetime:#}"),
                Some(Err(_)) | None => "for an unknown time".to_owned(),
            };
            let rights = match scopes.as_slice() {
                [] => "Personio does not list its access rights".to_owned(),
                scopes => format!("access rights: {}", scopes.join(", ")),
            };
            let what = format!("the credential is accepted; the token is valid {time}; {rights}");
            Finding::fine("token", what)
        }
        Err(error @ Error::Credential { .. }) => {
            let remedy = format!(
                "Check the client id and the client secret ({credential}). {WHERE} see whether the \
                 credential is active."
            );
            Finding::wrong("token", first_part(error), remedy)
        }
        Err(error) => Finding::wrong("token", first_part(error), remedy(error, "be used")),
    }
}

/// Returns the finding about the first page of persons and the total number of persons.
pub(crate) fn page(page: &Result<FirstPage, Error>, counted: &Result<Headcount, Error>) -> Finding {
    let right = "read persons (personio:persons:read)";
    match page {
        Ok(FirstPage { persons, .. }) if persons.is_empty() => Finding::wrong(
            "persons",
            "persons can be read, but Personio returns none".to_owned(),
            format!("{WHERE} choose the persons that the credential may read."),
        ),
        Ok(FirstPage { persons, is_followed, .. }) => {
            let what = match counted {
                Ok(Headcount::Exactly(count)) => format!("{} can be read", self::persons(*count)),
                Ok(Headcount::MoreThan(count)) => {
                    format!("more than {} can be read", self::persons(*count))
                }
                Err(_) if *is_followed => {
                    let persons = self::persons(persons.len());
                    format!("the {persons} of the first page can be read, and there are more")
                }
                Err(_) => format!("{} can be read", self::persons(persons.len())),
            };
            Finding::fine("persons", what)
        }
        Err(error) => Finding::wrong("persons", first_part(error), remedy(error, right)),
    }
}

/// Returns a warning when the company does not fit on one page of the server. A client that does
/// not page reads only the first page.
pub(crate) fn page_size(counted: &Result<Headcount, Error>) -> Option<Finding> {
    let Ok(Headcount::MoreThan(max_results)) = counted else { return None };
    Some(Finding::doubtful(
        "page size",
        format!("the company has more persons than the largest page holds, {max_results} users"),
        "A client that does not page reads only a part of the company. Configure the client to \
         page, or raise SCIM_MAX_RESULTS (--max-results of `serve`)."
            .to_owned(),
    ))
}

/// Returns the finding about the employments. `asked` is the number of persons whose employments
/// were requested; `is_sample` is true when there are more persons.
pub(crate) fn employments(asked: usize, is_sample: bool, failures: &[Error]) -> Finding {
    let sample = if is_sample { " (a sample)" } else { "" };
    let persons = persons(asked);
    let Some(error) = failures.first() else {
        let what = format!("the employments of {persons}{sample} can be read");
        return Finding::fine("employments", what);
    };
    let (failed, reason) = (failures.len(), first_part(error));
    let what = format!("the employments of {failed} of {persons}{sample} cannot be read: {reason}");
    let remedy = remedy(error, "read persons with their employments (personio:persons:read)");
    // A first load fails when the employments of more than half of the persons are unreadable.
    if failures.len() * 2 > asked {
        return Finding::wrong("employments", what, remedy);
    }
    Finding::doubtful("employments", what, remedy)
}

/// Returns the finding about one look-up. `in_use` counts the persons who refer to its units.
pub(crate) fn look_up(look_up: &LookUp, in_use: InUse) -> Finding {
    let names_of = LookUpNames::of(look_up.kind);
    match &look_up.listed {
        Ok(listed) => listed_look_up(&names_of, *listed, look_up.failure.as_ref(), in_use),
        Err(error) => unlisted_look_up(&names_of, error, in_use),
    }
}

/// Words for one kind of look-up.
struct LookUpNames {
    step: &'static str,
    /// Units, as in Personio's access rights.
    unit: &'static str,
    /// SCIM attributes that contain the names.
    served: &'static str,
}

impl LookUpNames {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Department => {
                Self { step: "departments", unit: "org units", served: "`department`" }
            }
            Kind::Team => {
                Self { step: "teams", unit: "org units", served: "`team` and `division`" }
            }
            Kind::LegalEntity => Self {
                step: "legal entities",
                unit: "legal entities",
                served: "`organization` and `legalEntity`",
            },
            Kind::Workplace => Self { step: "workplaces", unit: "workplaces", served: "`office`" },
            Kind::CostCenter => {
                Self { step: "cost centres", unit: "cost centres", served: "`costCenter`" }
            }
        }
    }
}

/// Returns the finding about a look-up whose list has `listed` names. `failure` is the error of a
/// read of one name.
fn listed_look_up(
    names_of: &LookUpNames,
    listed: usize,
    failure: Option<&Error>,
    in_use: InUse,
) -> Finding {
    let LookUpNames { step, unit, served } = *names_of;
    let InUse { persons, nameless } = in_use;
    if nameless > 0 {
        let what = format!(
            "{} can be read, but {nameless} of the {} who have one lack its name, and {served} \
             will be missing",
            names(listed),
            self::persons(persons)
        );
        let remedy = match failure {
            Some(error) if is_not_enabled(error) => not_enabled(unit),
            Some(_) | None => missing(&format!("read {unit}")),
        };
        return Finding::doubtful(step, what, remedy);
    }
    let what = match (listed, persons) {
        (0, 0) => "there are none, and none of the persons looked at has one".to_owned(),
        (0, _) => "the list is empty, but the names in use can be read one by one".to_owned(),
        _ => format!("{} can be read", names(listed)),
    };
    Finding::fine(step, what)
}

/// Returns the finding about a look-up whose list cannot be read.
fn unlisted_look_up(names_of: &LookUpNames, error: &Error, in_use: InUse) -> Finding {
    let LookUpNames { step, unit, served } = *names_of;
    let cause = first_part(error);
    if in_use.persons > 0 && in_use.nameless == 0 {
        let what = format!(
            "the list cannot be read, but the names in use can be read one by one: {cause}"
        );
        return Finding::fine(step, what);
    }
    let reason = if is_not_enabled(error) {
        " (not enabled)"
    } else if matches!(error, Error::Unauthorized { .. } | Error::Forbidden { .. }) {
        " (right missing)"
    } else {
        ""
    };
    let what = format!("their names cannot be read{reason}, and {served} will be missing: {cause}");
    let right = format!("read {unit}");
    // Personio also returns 412 when a right is missing.
    let remedy = if is_not_enabled(error) {
        not_enabled(unit)
    } else if matches!(error, Error::Rejected { .. }) {
        missing(&right)
    } else {
        remedy(error, &right)
    };
    Finding::doubtful(step, what, remedy)
}

fn names(count: usize) -> String {
    if count == 1 { "1 name".to_owned() } else { format!("{count} names") }
}

/// Reports whether Personio does not know the endpoint, even with the header that enables
/// unreleased endpoints.
fn is_not_enabled(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::UnknownRoute { .. })
}

fn not_enabled(unit: &str) -> String {
    format!(
        "Ask Personio's support to enable the API for {unit} in your company. Until then these \
         names are left out."
    )
}

/// Returns the finding about the attributes that most companies use and that no person has.
pub(crate) fn attributes(presence: &[Presence]) -> Finding {
    let mut missing = Vec::new();
    for it in presence {
        if it.is_usual && it.found == 0 && it.of > 0 {
            missing.push(it.attribute);
        }
    }
    if missing.is_empty() {
        let what = "each attribute that most companies use has a value for at least one person";
        return Finding::fine("attributes", what.to_owned());
    }
    let names = missing.join(", ");
    let remedy = format!(
        "{WHERE} allow the credential to read {names}, unless your company does not use them."
    );
    Finding::doubtful("attributes", format!("none of the persons looked at has {names}"), remedy)
}

/// Returns the finding about the users that a server would serve. `counted` is the number of all
/// persons; `people` are the persons of the first page.
pub(crate) fn serve(
    people: &[Facts],
    counted: &Result<Headcount, Error>,
    rules: &DateRules<'_>,
    is_bound: bool,
) -> Finding {
    if let Some(finding) = incomplete(people, rules, is_bound) {
        return finding;
    }
    let mut served = Vec::with_capacity(people.len());
    for facts in people {
        if !rules.policy.require_email || facts.person.email.is_some() {
            served.push(Head::of(&facts.person));
        }
    }
    let (all, left_out) = (people.len(), people.len() - served.len());
    if served.is_empty() {
        let persons = persons(all);
        let what =
            format!("none of the {persons} looked at has the e-mail address that is required");
        let remedy = format!(
            "{WHERE} allow the credential to read Email, or remove `require` from the mapping file."
        );
        return Finding::wrong("serve", what, remedy);
    }
    let of_all = match counted {
        Ok(Headcount::Exactly(count)) if *count > all => format!(" (of {count})"),
        Ok(Headcount::MoreThan(count)) => format!(" (of more than {count})"),
        Ok(Headcount::Exactly(_)) | Err(_) => String::new(),
    };
    let persons = persons(all);
    let mut what = format!("{} of the {persons} looked at{of_all} would be served", served.len());
    if left_out > 0 {
        what += &format!("; left out without an e-mail address, as configured: {left_out}");
    }
    let shared = user_name::shared(&served);
    if shared == 0 {
        return Finding::fine("serve", what);
    }
    what += &format!("; with the e-mail address of another person: {shared}");
    let remedy = "Give each of these persons a unique e-mail address in Personio. Until then, \
                  their userName is made of their id.";
    Finding::doubtful("serve", what, remedy.to_owned())
}

/// Returns a finding if most persons lack a status or an e-mail address.
fn incomplete(people: &[Facts], rules: &DateRules<'_>, is_bound: bool) -> Option<Finding> {
    let mut lacks = Lacks::default();
    for facts in people {
        lacks.note(facts, rules);
    }
    let flaw = lacks.flaw()?.to_string();
    let (what, remedy) = flaw.split_once(": ").unwrap_or((&flaw, ""));
    let (what, remedy) = (what.to_owned(), capitalised(remedy));
    if is_bound {
        return Some(Finding::wrong("serve", what, remedy));
    }
    Some(Finding::doubtful("serve", what, remedy))
}

/// Returns `serve`, or a finding that nothing is served when one of `others` is wrong. That finding
/// has no remedy, because it is a consequence of the others.
pub(crate) fn unless_blocked(serve: Finding, others: &[Finding]) -> Finding {
    let is_blocked = others.iter().any(|finding| finding.outcome == Outcome::Wrong);
    if !is_blocked || serve.outcome == Outcome::Wrong {
        return serve;
    }
    let what = "no user would be served, because a step above failed".to_owned();
    Finding { step: "serve", outcome: Outcome::Wrong, what, remedy: None }
}

/// Returns the finding about the rate limits that Personio advertises.
pub(crate) fn limits(told: &[ToldLimit]) -> Finding {
    let mut lowest: Option<&ToldLimit> = None;
    for limit in told {
        match lowest {
            Some(lowest) if lowest.per_second <= limit.per_second => {}
            Some(_) | None => lowest = Some(limit),
        }
    }
    let Some(ToldLimit { per_second, burst, .. }) = lowest else {
        let what = "Personio advertises no rate limits; a server starts slowly and adapts its rate";
        return Finding::fine("limits", what.to_owned());
    };
    let endpoints = match told.len() {
        1 => "1 endpoint advertises a rate limit".to_owned(),
        count => format!("{count} endpoints advertise a rate limit; the lowest"),
    };
    let what = format!("{endpoints}: {per_second} requests a second, bursts of {burst}");
    Finding::fine("limits", what)
}

/// Returns the cause from the text of an error, without its advice, because a finding has a remedy
/// of its own.
fn first_part(error: &Error) -> String {
    let text = error.to_string();
    let mut cause = text.as_str();
    for advice in ["check ", "set PERSONIO_BASE_URL", "is the Personio base URL right"] {
        if let Some((before, _)) = cause.split_once(advice) {
            cause = before;
        }
    }
    let Some(advice) = text.strip_prefix(cause).filter(|advice| !advice.is_empty()) else {
        return text;
    };
    // The trace id stays: Personio's support needs it.
    let trace = match advice.find(TRACE_ID) {
        Some(start) => advice.get(start..).unwrap_or_default(),
        None => "",
    };
    format!("{}{trace}", cause.trim_end_matches([':', ' ']))
}

fn missing(right: &str) -> String {
    format!("{WHERE} allow the credential to {right}.")
}

/// Returns the remedy for a failed request. `right` describes the access right that the request
/// needs.
fn remedy(error: &Error, right: &str) -> String {
    match error {
        // Only the token endpoint causes this error, and `token` has a remedy for it.
        Error::Credential { .. } => format!("{WHERE} see whether the credential is active."),
        Error::Unauthorized { .. } | Error::Forbidden { .. } => missing(right),
        Error::NotFound { .. } | Error::UnknownRoute { .. } => {
            "Check the base URL (--personio-base-url, PERSONIO_BASE_URL): it is \
             https://api.personio.de for most companies."
                .to_owned()
        }
        Error::RateLimited { .. } => {
            "Another program may use up the limits of this credential: try again later, or use a \
             separate credential for each program."
                .to_owned()
        }
        Error::Server { .. } => {
            "Try again. If the error persists, report it to Personio's support, with the trace id \
             if there is one."
                .to_owned()
        }
        Error::Unreachable { .. } => {
            "Check the base URL (--personio-base-url), the network, a proxy (HTTPS_PROXY) and the \
             CA certificates of this machine."
                .to_owned()
        }
        Error::Redirected { .. } => {
            "Set --personio-base-url (PERSONIO_BASE_URL) to the address of Personio's API: \
             https://api.personio.de for most companies."
                .to_owned()
        }
        Error::Intercepted { .. } | Error::Rejected { .. } | Error::Unreadable { .. } => {
            "Check that the base URL (--personio-base-url) is Personio's, and that nothing in \
             between changes responses."
                .to_owned()
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let mut capitalised = String::from_iter(first.to_uppercase());
    capitalised.push_str(chars.as_str());
    capitalised
}
