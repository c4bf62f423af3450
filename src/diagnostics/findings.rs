//! Results of the preflight as sentences, each with the change that fixes a problem. The sentences
//! are for operators who do not know this program.

use jiff::SignedDuration;

use crate::diagnostics::coverage::Coverage;
use crate::mapping::attributes::fields::readable_objects;
use crate::mapping::attributes::table;
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::DateRules;
use crate::mapping::user_name;
use crate::personio::{
    AdvertisedLimit, Error, FirstPage, LookupKind, LookupReport, PersonCount, TokenInfo,
};
use crate::sync::completeness_check::CompletenessCheck;
use crate::sync::lookup_ids::LookupUsage;
use crate::sync::record_codec::DecodedRecord;

/// Place in Personio's settings where an operator chooses access rights and readable attributes.
const CREDENTIAL_SETTINGS_PAGE: &str =
    "In Personio, under Settings > Integrations > API credentials,";

/// Beginning of the trace id in the text of an error.
const TRACE_ID: &str = " (Personio's trace id";

/// Result of one step of the preflight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the step.
    pub step: &'static str,
    /// Severity of the result.
    pub outcome: FindingOutcome,
    /// Description of the result.
    pub description: String,
    /// Change that fixes the problem, if there is one.
    pub remedy: Option<String>,
}

/// Severity of a finding, from the least to the most severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingOutcome {
    /// No problem.
    Pass,
    /// Problem with which a server runs, but serves less than it could.
    Warning,
    /// Problem with which a server serves nothing.
    Failure,
}

impl Finding {
    pub(crate) fn pass(step: &'static str, description: String) -> Self {
        Self { step, outcome: FindingOutcome::Pass, description, remedy: None }
    }

    pub(crate) fn warning(step: &'static str, description: String, remedy: String) -> Self {
        Self { step, outcome: FindingOutcome::Warning, description, remedy: Some(remedy) }
    }

    fn failure(step: &'static str, description: String, remedy: String) -> Self {
        Self { step, outcome: FindingOutcome::Failure, description, remedy: Some(remedy) }
    }
}

/// Returns "1 person" or "20 persons".
pub(crate) fn format_person_count(count: usize) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} persons") }
}

/// Returns the finding about the token. `credential` contains the names of the settings that hold
/// the credential, as the operator gave them.
pub(crate) fn token_finding(token: &Result<TokenInfo, Error>, credential: &str) -> Finding {
    match token {
        Ok(TokenInfo { lifetime, scopes }) => {
            let time = match lifetime.map(SignedDuration::try_from) {
                Some(Ok(lifetime)) => format!("for {lifetime:#}"),
                Some(Err(_)) | None => "for an unknown time".to_owned(),
            };
            let rights = match scopes.as_slice() {
                [] => "Personio does not list its access rights".to_owned(),
                scopes => format!("access rights: {}", scopes.join(", ")),
            };
            let description =
                format!("the credential is accepted; the token is valid {time}; {rights}");
            Finding::pass("token", description)
        }
        Err(error @ Error::Credential { .. }) => {
            let remedy = format!(
                "Check the client id and the client secret ({credential}). \
                 {CREDENTIAL_SETTINGS_PAGE} see whether the credential is active."
            );
            Finding::failure("token", cause_without_advice(error), remedy)
        }
        Err(error) => Finding::failure(
            "token",
            cause_without_advice(error),
            remedy_for_error(error, "be used"),
        ),
    }
}

/// Returns the finding about the first page of persons and the total number of persons.
pub(crate) fn persons_finding(
    page: &Result<FirstPage, Error>,
    counted: &Result<PersonCount, Error>,
) -> Finding {
    let right = "read persons (personio:persons:read)";
    match page {
        Ok(FirstPage { persons, .. }) if persons.is_empty() => Finding::failure(
            "persons",
            "persons can be read, but Personio returns none".to_owned(),
            format!("{CREDENTIAL_SETTINGS_PAGE} choose the persons that the credential may read."),
        ),
        Ok(FirstPage { persons, has_more_pages, .. }) => {
            let description = match counted {
                Ok(PersonCount::Exactly(count)) => {
                    format!("{} can be read", self::format_person_count(*count))
                }
                Ok(PersonCount::MoreThan(count)) => {
                    format!("more than {} can be read", self::format_person_count(*count))
                }
                Err(_) if *has_more_pages => {
                    let persons = self::format_person_count(persons.len());
                    format!("the {persons} of the first page can be read, and there are more")
                }
                Err(_) => format!("{} can be read", self::format_person_count(persons.len())),
            };
            Finding::pass("persons", description)
        }
        Err(error) => {
            Finding::failure("persons", cause_without_advice(error), remedy_for_error(error, right))
        }
    }
}

/// Returns a warning when the company does not fit on one page of the server. A client that does
/// not page reads only the first page.
pub(crate) fn page_size_finding(counted: &Result<PersonCount, Error>) -> Option<Finding> {
    let Ok(PersonCount::MoreThan(max_results)) = counted else { return None };
    Some(Finding::warning(
        "page size",
        format!("the company has more persons than the largest page holds, {max_results} users"),
        "A client that does not page reads only a part of the company. Configure the client to \
         page, or raise SCIM_MAX_RESULTS (--max-results of `serve`)."
            .to_owned(),
    ))
}

/// Returns the finding about the employments. `requested_count` is the number of persons whose
/// employments were requested; `is_sample` is true when there are more persons.
pub(crate) fn employments_finding(
    requested_count: usize,
    is_sample: bool,
    failures: &[Error],
) -> Finding {
    let sample = if is_sample { " (a sample)" } else { "" };
    let persons = format_person_count(requested_count);
    let Some(error) = failures.first() else {
        let description = format!("the employments of {persons}{sample} can be read");
        return Finding::pass("employments", description);
    };
    let (failed, reason) = (failures.len(), cause_without_advice(error));
    let description =
        format!("the employments of {failed} of {persons}{sample} cannot be read: {reason}");
    let remedy =
        remedy_for_error(error, "read persons with their employments (personio:persons:read)");
    // A first load fails when the employments of more than half of the persons are unreadable.
    if failures.len() * 2 > requested_count {
        return Finding::failure("employments", description, remedy);
    }
    Finding::warning("employments", description, remedy)
}

/// Returns the finding about one look-up. `in_use` counts the persons who refer to its units.
pub(crate) fn lookup_finding(look_up: &LookupReport, in_use: LookupUsage) -> Finding {
    let names_of = LookUpNames::of(look_up.kind);
    match &look_up.list_result {
        Ok(listed) => listed_look_up(&names_of, *listed, look_up.failure.as_ref(), in_use),
        Err(error) if look_up.kind.is_optional() && in_use.persons == 0 => {
            unneeded_look_up(&names_of, error)
        }
        Err(error) => unlisted_look_up(&names_of, error, in_use),
    }
}

/// Words for one kind of look-up.
struct LookUpNames {
    step: &'static str,
    /// Units, as in Personio's access rights.
    unit: &'static str,
    /// SCIM attributes whose values are the names.
    served: String,
}

impl LookUpNames {
    fn of(kind: LookupKind) -> Self {
        let mut names = Vec::new();
        for name in table::attributes_with_name_of(kind) {
            names.push(format!("`{name}`"));
        }
        let step = match kind {
            LookupKind::Department => "departments",
            LookupKind::Team => "teams",
            LookupKind::LegalEntity => "legal entities",
            LookupKind::Workplace => "workplaces",
            LookupKind::CostCenter => "cost centres",
            LookupKind::Job => "jobs",
        };
        Self { step, unit: readable_objects(kind), served: names.join(" and ") }
    }
}

/// Returns the finding about a look-up whose list has `listed` names. `failure` is the error of a
/// read of one name.
fn listed_look_up(
    names_of: &LookUpNames,
    listed: usize,
    failure: Option<&Error>,
    in_use: LookupUsage,
) -> Finding {
    let LookUpNames { step, unit, served } = names_of;
    let LookupUsage { persons, nameless } = in_use;
    if nameless > 0 {
        let description = format!(
            "{} can be read, but {nameless} of the {} who have one lack its name, and {served} \
             will be missing",
            format_name_count(listed),
            self::format_person_count(persons)
        );
        let remedy = match failure {
            Some(error) if is_not_enabled(error) => remedy_for_disabled_endpoint(unit),
            Some(_) | None => remedy_for_missing_right(&format!("read {unit}")),
        };
        return Finding::warning(step, description, remedy);
    }
    let description = match (listed, persons) {
        (0, 0) => "there are none, and none of the persons looked at has one".to_owned(),
        (0, _) => "the list is empty, but the names in use can be read one by one".to_owned(),
        _ => format!("{} can be read", format_name_count(listed)),
    };
    Finding::pass(step, description)
}

/// Returns the finding about a look-up whose list cannot be read, which is optional, and to which no
/// person refers.
fn unneeded_look_up(names_of: &LookUpNames, error: &Error) -> Finding {
    let description = format!(
        "their names cannot be read, and none of the persons looked at has one: {}",
        cause_without_advice(error)
    );
    Finding::pass(names_of.step, description)
}

/// Returns the finding about a look-up whose list cannot be read.
fn unlisted_look_up(names_of: &LookUpNames, error: &Error, in_use: LookupUsage) -> Finding {
    let LookUpNames { step, unit, served } = names_of;
    let cause = cause_without_advice(error);
    if in_use.persons > 0 && in_use.nameless == 0 {
        let description = format!(
            "the list cannot be read, but the names in use can be read one by one: {cause}"
        );
        return Finding::pass(step, description);
    }
    let reason = if is_not_enabled(error) {
        " (not enabled)"
    } else if matches!(error, Error::Unauthorized { .. } | Error::Forbidden { .. }) {
        " (right missing)"
    } else {
        ""
    };
    let description =
        format!("their names cannot be read{reason}, and {served} will be missing: {cause}");
    let right = format!("read {unit}");
    // Personio also returns 412 when a right is missing.
    let remedy = if is_not_enabled(error) {
        remedy_for_disabled_endpoint(unit)
    } else if matches!(error, Error::Rejected { .. }) {
        remedy_for_missing_right(&right)
    } else {
        remedy_for_error(error, &right)
    };
    Finding::warning(step, description, remedy)
}

fn format_name_count(count: usize) -> String {
    if count == 1 { "1 name".to_owned() } else { format!("{count} names") }
}

/// Reports whether Personio does not know the endpoint, even with the header that enables
/// unreleased endpoints.
fn is_not_enabled(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. } | Error::UnknownRoute { .. })
}

fn remedy_for_disabled_endpoint(unit: &str) -> String {
    format!(
        "Ask Personio's support to enable the API for {unit} in your company. Until then these \
         names are left out."
    )
}

/// Returns the finding about the attributes that most companies use and that no person has.
pub(crate) fn attributes_finding(coverage: &[Coverage]) -> Finding {
    let mut missing = Vec::new();
    for attribute in coverage {
        if attribute.is_usual && attribute.present == 0 && attribute.total > 0 {
            missing.push(attribute.attribute);
        }
    }
    if missing.is_empty() {
        let description =
            "each attribute that most companies use has a value for at least one person";
        return Finding::pass("attributes", description.to_owned());
    }
    let names = missing.join(", ");
    let remedy = format!(
        "{CREDENTIAL_SETTINGS_PAGE} allow the credential to read {names}, unless your company \
         does not use them."
    );
    Finding::warning("attributes", format!("none of the persons looked at has {names}"), remedy)
}

/// Returns the finding about the users that a server would serve. `counted` is the number of all
/// persons; `records` are the persons of the first page.
pub(crate) fn serve_finding(
    records: &[DecodedRecord],
    counted: &Result<PersonCount, Error>,
    rules: &DateRules<'_>,
    has_mass_change_guard: bool,
) -> Finding {
    if let Some(finding) = incomplete_finding(records, rules, has_mass_change_guard) {
        return finding;
    }
    let mut served = Vec::with_capacity(records.len());
    for record in records {
        if !rules.policy.require_email || record.person.email.is_some() {
            served.push(PersonHeader::from_person(&record.person));
        }
    }
    let (all, left_out) = (records.len(), records.len() - served.len());
    if served.is_empty() {
        let persons = format_person_count(all);
        let description =
            format!("none of the {persons} looked at has the e-mail address that is required");
        let remedy = format!(
            "{CREDENTIAL_SETTINGS_PAGE} allow the credential to read Email, or remove `require` \
             from the mapping file."
        );
        return Finding::failure("serve", description, remedy);
    }
    let total_suffix = match counted {
        Ok(PersonCount::Exactly(count)) if *count > all => format!(" (of {count})"),
        Ok(PersonCount::MoreThan(count)) => format!(" (of more than {count})"),
        Ok(PersonCount::Exactly(_)) | Err(_) => String::new(),
    };
    let persons = format_person_count(all);
    let mut description =
        format!("{} of the {persons} looked at{total_suffix} would be served", served.len());
    if left_out > 0 {
        description += &format!("; left out without an e-mail address, as configured: {left_out}");
    }
    let fallback_count = user_name::count_fallback_names(&served);
    if fallback_count == 0 {
        return Finding::pass("serve", description);
    }
    description += &format!("; with the e-mail address of another person: {fallback_count}");
    let remedy = "Give each of these persons a unique e-mail address in Personio. Until then, \
                  their userName is made of their id.";
    Finding::warning("serve", description, remedy.to_owned())
}

/// Returns a finding if most persons lack a status or an e-mail address.
fn incomplete_finding(
    records: &[DecodedRecord],
    rules: &DateRules<'_>,
    has_mass_change_guard: bool,
) -> Option<Finding> {
    let mut completeness = CompletenessCheck::default();
    for record in records {
        completeness.count_person(record, rules);
    }
    let error = completeness.error()?.to_string();
    let (description, remedy) = error.split_once(": ").unwrap_or((&error, ""));
    let (description, remedy) = (description.to_owned(), capitalise(remedy));
    if has_mass_change_guard {
        return Some(Finding::failure("serve", description, remedy));
    }
    Some(Finding::warning("serve", description, remedy))
}

/// Returns `serve`, or a finding that nothing is served when one of `others` is wrong. That finding
/// has no remedy, because it is a consequence of the others.
pub(crate) fn replace_if_blocked(serve: Finding, others: &[Finding]) -> Finding {
    let is_blocked = others.iter().any(|finding| finding.outcome == FindingOutcome::Failure);
    if !is_blocked || serve.outcome == FindingOutcome::Failure {
        return serve;
    }
    let description = "no user would be served, because a step above failed".to_owned();
    Finding { step: "serve", outcome: FindingOutcome::Failure, description, remedy: None }
}

/// Returns the finding about the rate limits that Personio advertises.
pub(crate) fn limits_finding(advertised: &[AdvertisedLimit]) -> Finding {
    let mut lowest: Option<&AdvertisedLimit> = None;
    for limit in advertised {
        match lowest {
            Some(lowest) if lowest.per_second <= limit.per_second => {}
            Some(_) | None => lowest = Some(limit),
        }
    }
    let Some(AdvertisedLimit { per_second, burst, .. }) = lowest else {
        let description =
            "Personio advertises no rate limits; a server starts slowly and adapts its rate";
        return Finding::pass("limits", description.to_owned());
    };
    let endpoints = match advertised.len() {
        1 => "1 endpoint advertises a rate limit".to_owned(),
        count => format!("{count} endpoints advertise a rate limit; the lowest"),
    };
    let description = format!("{endpoints}: {per_second} requests a second, bursts of {burst}");
    Finding::pass("limits", description)
}

/// Returns the cause from the text of an error, without its advice, because a finding has a remedy
/// of its own.
fn cause_without_advice(error: &Error) -> String {
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

fn remedy_for_missing_right(right: &str) -> String {
    format!("{CREDENTIAL_SETTINGS_PAGE} allow the credential to {right}.")
}

/// Returns the remedy for a failed request. `right` describes the access right that the request
/// needs.
fn remedy_for_error(error: &Error, right: &str) -> String {
    match error {
        // Only the token endpoint causes this error, and `token_finding` has a remedy for it.
        Error::Credential { .. } => {
            format!("{CREDENTIAL_SETTINGS_PAGE} see whether the credential is active.")
        }
        Error::Unauthorized { .. } | Error::Forbidden { .. } => remedy_for_missing_right(right),
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

fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let mut capitalised = String::from_iter(first.to_uppercase());
    capitalised.push_str(chars.as_str());
    capitalised
}
