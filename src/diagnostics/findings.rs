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
            let time = lifetime.and_then(|lifetime| SignedDuration::try_from(lifetime).ok());
            let time = time.map_or_else(|| "for an unknown time".to_owned(), |time| format!("for {time:#}"));
            let rights = match scopes.as_slice() {
                [] => "Personio does not list its access rights".to_owned(),
                scopes => format!("access rights: {}", scopes.join(", ")),
            };
            Finding::fine("token", format!("the credential is accepted; the token is good {time}; {rights}"))
        }
        Err(error @ Error::Credential { .. }) => {
            let remedy = format!(
                "Check the client id and the client secret ({credential}). {WHERE} see whether the credential is active."
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
            "persons can be read, but there are none".to_owned(),
            format!("{WHERE} choose the persons that the credential may read."),
        ),
        Ok(FirstPage { persons, is_followed, .. }) => {
            let what = match counted {
                Ok(Headcount::Exactly(count)) => format!("{} can be read", self::persons(*count)),
                Ok(Headcount::MoreThan(count)) => format!("more than {} can be read", self::persons(*count)),
                Err(_) if *is_followed => {
                    format!("the {} of the first page can be read, and there are more", self::persons(persons.len()))
                }
                Err(_) => format!("{} can be read", self::persons(persons.len())),
            };
            Finding::fine("persons", what)
        }
        Err(error) => Finding::wrong("persons", first_part(error), remedy(error, right)),
    }
}

/// Returns a warning when the company does not fit on one page of the server. A client that does
/// not page takes the first page for the whole company.
pub(crate) fn page_size(counted: &Result<Headcount, Error>) -> Option<Finding> {
    let Ok(Headcount::MoreThan(max_results)) = counted else { return None };
    Some(Finding::doubtful(
        "page size",
        format!("the company has more persons than the largest page holds, {max_results} users"),
        "A client that does not page reads a part of the company: have it page, or raise SCIM_MAX_RESULTS (--max-results \
         of `serve`)."
            .to_owned(),
    ))
}

/// Returns the finding about the employments. `asked` is the number of persons whose employments
/// were requested; `is_sample` is true when there are more persons.
pub(crate) fn employments(asked: usize, is_sample: bool, failures: &[Error]) -> Finding {
    let sample = if is_sample { " (a sample)" } else { "" };
    let persons = persons(asked);
    let Some(error) = failures.first() else {
        return Finding::fine("employments", format!("the employments of {persons}{sample} can be read"));
    };
    let what =
        format!("the employments of {} of {persons}{sample} cannot be read: {}", failures.len(), first_part(error));
    let remedy = remedy(error, "read persons with their employments (personio:persons:read)");
    // A first load fails when the employments of more than half of the persons are unreadable.
    if failures.len() * 2 > asked {
        return Finding::wrong("employments", what, remedy);
    }
    Finding::doubtful("employments", what, remedy)
}

/// Returns the finding about one look-up. `in_use` counts the persons who refer to its units.
pub(crate) fn look_up(look_up: &LookUp, in_use: InUse) -> Finding {
    let (step, served) = match look_up.kind {
        Kind::Department => ("departments", "`department`"),
        Kind::Team => ("teams", "`team` and `division`"),
        Kind::LegalEntity => ("legal entities", "`organization` and `legalEntity`"),
        Kind::Workplace => ("workplaces", "`office`"),
        Kind::CostCenter => ("cost centres", "`costCenter`"),
    };
    let unit = match look_up.kind {
        Kind::Department | Kind::Team => "org units",
        Kind::LegalEntity | Kind::Workplace | Kind::CostCenter => step,
    };
    let right = format!("read {unit}");
    let InUse { persons, nameless } = in_use;
    match &look_up.listed {
        Ok(0) if persons == 0 => {
            Finding::fine(step, "there are none, and none of the persons looked at has one".to_owned())
        }
        Ok(0) if nameless == 0 => {
            Finding::fine(step, "the list is empty, but the names in use can be read one by one".to_owned())
        }
        Ok(listed) if nameless == 0 => Finding::fine(step, format!("{} can be read", names(*listed))),
        Ok(listed) => {
            let what = format!(
                "{} can be read, but {nameless} of the {} who have one lack its name, and {served} will be missing",
                names(*listed),
                self::persons(persons)
            );
            let remedy = match &look_up.failure {
                Some(error) if is_not_enabled(error) => not_enabled(unit),
                Some(_) | None => missing(&right),
            };
            Finding::doubtful(step, what, remedy)
        }
        Err(error) if persons > 0 && nameless == 0 => {
            let what =
                format!("the list cannot be read, but the names in use can be read one by one: {}", first_part(error));
            Finding::fine(step, what)
        }
        Err(error) => {
            let reason = if is_not_enabled(error) {
                " (not enabled)"
            } else if matches!(error, Error::Unauthorized { .. } | Error::Forbidden { .. }) {
                " (right missing)"
            } else {
                ""
            };
            let what =
                format!("their names cannot be read{reason}, and {served} will be missing: {}", first_part(error));
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
    }
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
    format!("Ask Personio's support to enable the API for {unit} in your company. Until then these names are left out.")
}

/// Returns the finding about the attributes that most companies use and that no person has.
pub(crate) fn attributes(presence: &[Presence]) -> Finding {
    let missing = presence.iter().filter(|it| it.is_usual && it.found == 0 && it.of > 0);
    let missing: Vec<&str> = missing.map(|it| it.attribute).collect();
    if missing.is_empty() {
        return Finding::fine(
            "attributes",
            "every attribute that most companies use is there for at least one person".to_owned(),
        );
    }
    let names = missing.join(", ");
    let remedy = format!("{WHERE} allow the credential to read {names}, unless your company does not use them.");
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
    let mut lacks = Lacks::default();
    people.iter().for_each(|facts| lacks.note(facts, rules));
    if let Some(flaw) = lacks.flaw() {
        let flaw = flaw.to_string();
        let (what, remedy) = flaw.split_once(": ").unwrap_or((&flaw, ""));
        let (what, remedy) = (what.to_owned(), capitalised(remedy));
        return if is_bound { Finding::wrong("serve", what, remedy) } else { Finding::doubtful("serve", what, remedy) };
    }
    let served = people.iter().filter(|facts| !rules.policy.require_email || facts.person.email.is_some());
    let served: Vec<_> = served.collect();
    let (all, left_out) = (people.len(), people.len() - served.len());
    if served.is_empty() {
        let remedy = format!("{WHERE} allow the credential to read Email, or take `require` out of the mapping file.");
        return Finding::wrong(
            "serve",
            format!("none of the {} looked at has the e-mail address that is required", self::persons(all)),
            remedy,
        );
    }
    let persons: Vec<_> = served.iter().map(|facts| Head::of(&facts.person)).collect();
    let shared = user_name::shared(&persons);
    let of_all = match counted {
        Ok(Headcount::Exactly(count)) if *count > all => format!(" (of {count})"),
        Ok(Headcount::MoreThan(count)) => format!(" (of more than {count})"),
        Ok(Headcount::Exactly(_)) | Err(_) => String::new(),
    };
    let mut what = format!("{} of the {} looked at{of_all} would be served", served.len(), self::persons(all));
    if left_out > 0 {
        what += &format!("; left out without an e-mail address, as configured: {left_out}");
    }
    if shared == 0 {
        return Finding::fine("serve", what);
    }
    what += &format!("; with the e-mail address of another person: {shared}");
    Finding::doubtful(
        "serve",
        what,
        "Give each person an address of their own: until then the userName of these is made of their id.".to_owned(),
    )
}

/// Returns `serve`, or a finding that nothing is served when one of `others` is wrong. That finding
/// has no remedy, because it is a consequence of the others.
pub(crate) fn unless_blocked(serve: Finding, others: &[Finding]) -> Finding {
    let is_blocked = others.iter().any(|finding| finding.outcome == Outcome::Wrong);
    if !is_blocked || serve.outcome == Outcome::Wrong {
        return serve;
    }
    let what = "nobody would be served as long as a step above fails".to_owned();
    Finding { step: "serve", outcome: Outcome::Wrong, what, remedy: None }
}

/// Returns the finding about the rate limits that Personio advertises.
pub(crate) fn limits(told: &[ToldLimit]) -> Finding {
    let mut lowest: Option<&ToldLimit> = None;
    for limit in told {
        if lowest.is_none_or(|lowest| limit.per_second < lowest.per_second) {
            lowest = Some(limit);
        }
    }
    let Some(ToldLimit { per_second, burst, .. }) = lowest else {
        let what = "Personio announces no limits; a server starts slowly and finds out how fast it may be";
        return Finding::fine("limits", what.to_owned());
    };
    let announce = match told.len() {
        1 => "1 endpoint announces a limit".to_owned(),
        count => format!("{count} endpoints announce a limit; the lowest"),
    };
    Finding::fine("limits", format!("{announce}: {per_second} requests a second, bursts of {burst}"))
}

/// Returns the cause from the text of an error, without its advice, because a finding has a remedy
/// of its own.
fn first_part(error: &Error) -> String {
    let text = error.to_string();
    let until = ["check ", "set PERSONIO_BASE_URL", "is the Personio base URL right"]
        .into_iter()
        .filter_map(|word| text.find(word))
        .min();
    let Some((first, rest)) = until.and_then(|until| text.split_at_checked(until)) else { return text };
    // The trace id stays: Personio's support needs it.
    let trace = rest.find(" (Personio's trace id").and_then(|at| rest.get(at..)).unwrap_or_default();
    format!("{}{trace}", first.trim_end_matches([':', ' ']))
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
            "Check the base URL (--personio-base-url, PERSONIO_BASE_URL): it is https://api.personio.de for most companies.".to_owned()
        }
        Error::RateLimited { .. } => {
            "Another program may use up the limits of this credential: try again later, or give each its own.".to_owned()
        }
        Error::Server { .. } => {
            "Try again. If it stays so, tell Personio's support the trace id, if there is one.".to_owned()
        }
        Error::Unreachable { .. } => {
            "Check the base URL (--personio-base-url), the network, a proxy (HTTPS_PROXY) and the CA certificates of this \
             machine."
                .to_owned()
        }
        Error::Redirected { .. } => {
            "Set --personio-base-url (PERSONIO_BASE_URL) to the address of Personio's API: https://api.personio.de for most companies."
                .to_owned()
        }
        Error::Intercepted { .. } | Error::Rejected { .. } | Error::Unreadable { .. } => {
            "Check that the base URL (--personio-base-url) is Personio's, and that nothing in between changes answers.".to_owned()
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
