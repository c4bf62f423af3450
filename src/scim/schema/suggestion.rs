//! "Did you mean": the name of an attribute for one that no schema has. The commonest slip is a name without the URN
//! of its extension; a name without a URN never means an extension's attribute (RFC 7644 §3.10), so it is suggested
//! and not taken.

use crate::scim::{AttributeId, AttributeType, ResourceType};
use crate::spelling;

/// Longest name, in bytes, for which a similar one is looked for.
const MAX_NAME_LENGTH: usize = 120;

/// Names of other systems, in lower case, and what they are called here.
const ALIASES: [(&str, &str); 18] = [
    ("email", "emails.value"),
    ("e-mail", "emails.value"),
    ("mail", "emails.value"),
    ("emailaddress", "emails.value"),
    ("workemail", "emails.value"),
    ("login", "userName"),
    ("upn", "userName"),
    ("userprincipalname", "userName"),
    ("firstname", "name.givenName"),
    ("first_name", "name.givenName"),
    ("lastname", "name.familyName"),
    ("last_name", "name.familyName"),
    ("surname", "name.familyName"),
    ("fullname", "name.formatted"),
    ("jobtitle", "title"),
    ("position", "title"),
    ("modified", "meta.lastModified"),
    ("group", "groups.value"),
];

/// An attribute that can be suggested.
struct Candidate {
    /// As a client writes it.
    path: String,
    /// The same without a URN, in lower case.
    names: String,
}

impl Candidate {
    fn new(kind: &ResourceType, id: AttributeId) -> Self {
        let mut path = kind.path(id);
        // A complex attribute cannot be compared, but its value can.
        let is_complex = kind.get(id).kind == AttributeType::Complex;
        if is_complex && kind.sub_attribute(id, "value").is_some() {
            path.push_str(".value");
        }
        let names = unqualified(&kind.path(id)).to_ascii_lowercase();
        Self { path, names }
    }

    fn last_name(&self) -> &str {
        last_name(&self.names)
    }
}

/// Returns the end of an error's text that suggests another name, or nothing.
pub(in crate::scim) fn for_attribute(kinds: &[&ResourceType], written: &str) -> String {
    match attribute(kinds, written) {
        Some(path) => format!("; did you mean `{path}`?"),
        None => String::new(),
    }
}

/// The same for the name of a sub-attribute, of which there are these.
pub(in crate::scim) fn for_sub_attribute<'n>(names: impl Iterator<Item = &'n str>, written: &str) -> String {
    let written = last_name(written).to_ascii_lowercase();
    let mut best = None;
    for name in names {
        let Some(slips) = spelling::slips(&written, &name.to_ascii_lowercase()) else { continue };
        if best.is_none_or(|(_, fewest)| slips < fewest) {
            best = Some((name, slips));
        }
    }
    best.map_or_else(String::new, |(name, _)| format!("; did you mean `{name}`?"))
}

fn attribute(kinds: &[&ResourceType], written: &str) -> Option<String> {
    if written.len() > MAX_NAME_LENGTH {
        return None;
    }
    let names = without_urn(kinds, written).to_ascii_lowercase();
    let candidates = candidates(kinds);
    // The right name, with the URN missing, wrong, or followed by a dot.
    if let Some(found) = candidates.iter().find(|candidate| candidate.names == names) {
        return Some(found.path.clone());
    }
    for (alias, path) in ALIASES {
        if alias == names && kinds.iter().any(|kind| kind.attribute(path).is_some()) {
            return Some(path.to_owned());
        }
    }
    // A sub-attribute of an attribute that has no such one.
    let parent = names.rsplit_once('.').map(|(parent, _)| parent);
    if let Some(found) = candidates.iter().find(|candidate| Some(candidate.names.as_str()) == parent) {
        return Some(found.path.clone());
    }
    // The name of a sub-attribute alone, if only one attribute has it; `value` and `type` say nothing.
    let mut of_this_name = candidates.iter().filter(|candidate| candidate.last_name() == last_name(&names));
    match (of_this_name.next(), of_this_name.next()) {
        (Some(only), None) => Some(only.path.clone()),
        (Some(_), Some(_)) => most_similar(&candidates, &names, Compared::WholeNames),
        (None, _) => most_similar(&candidates, &names, Compared::WholeAndLastNames),
    }
}

fn candidates(kinds: &[&ResourceType]) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for kind in kinds {
        // The first is the resource itself.
        for id in kind.ids().skip(1) {
            // The URN of an extension is no name, and types share attributes.
            let path = kind.path(id);
            let is_known = candidates.iter().any(|known: &Candidate| known.path == path);
            if !is_known && !kind.get(id).name.contains(':') {
                candidates.push(Candidate::new(kind, id));
            }
        }
    }
    candidates
}

/// What of the candidates is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    WholeNames,
    WholeAndLastNames,
}

/// Returns the one with the fewest slips; of several such ones the first.
fn most_similar(candidates: &[Candidate], names: &str, compared: Compared) -> Option<String> {
    let mut best = None;
    for candidate in candidates {
        let mut slips = spelling::slips(names, &candidate.names);
        if slips.is_none() && compared == Compared::WholeAndLastNames {
            slips = spelling::slips(names, candidate.last_name());
        }
        let Some(slips) = slips else { continue };
        if best.is_none_or(|(_, fewest)| slips < fewest) {
            best = Some((candidate, slips));
        }
    }
    best.map(|(candidate, _)| candidate.path.clone())
}

/// The names in a path that a client wrote, whatever separates them from a URN.
fn without_urn<'w>(kinds: &[&ResourceType], written: &'w str) -> &'w str {
    let urns = kinds.iter().flat_map(|kind| kind.schemas());
    let mut rests = urns.filter_map(|urn| {
        let (start, rest) = written.split_at_checked(urn.len())?;
        start.eq_ignore_ascii_case(urn).then_some(rest)
    });
    match rests.next() {
        Some(rest) => rest.trim_start_matches(['.', ':']),
        None => unqualified(written),
    }
}

fn unqualified(path: &str) -> &str {
    path.rsplit_once(':').map_or(path, |(_, names)| names)
}

fn last_name(names: &str) -> &str {
    names.rsplit_once('.').map_or(names, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{AttributeType, CustomAttribute, Discovery, Locations};

    #[test]
    fn a_name_that_no_schema_has_is_answered_with_one_that_a_schema_has() {
        let custom = [CustomAttribute { name: "badgeNumber".into(), kind: AttributeType::String, multi_valued: false }];
        let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &custom).unwrap();
        let types = discovery.compiled().unwrap();
        let enterprise = |name: &str| format!("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:{name}");
        let ours = |name: &str| format!("urn:ietf:params:scim:schemas:extension:personio:2.0:User:{name}");
        for (written, expected) in [
            ("department", enterprise("department")),
            ("DEPARTMENT", enterprise("department")),
            ("manager", enterprise("manager.value")),
            ("manager.displayName", enterprise("manager.displayName")),
            ("hireDate", ours("hireDate")),
            ("badgeNumber", ours("badgeNumber")),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.department", enterprise("department")),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:Userdepartment", enterprise("department")),
            ("urn:ietf:params:scim:schemas:core:2.0:User.userName", "userName".to_owned()),
            ("urn:ietf:params:scim:schemas:core:2.0:User:department", enterprise("department")),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:hireDate", ours("hireDate")),
            ("urn:scim:schemas:core:1.0:userName", "userName".to_owned()),
            ("enterprise:department", enterprise("department")),
            ("user.department", enterprise("department")),
            ("email", "emails.value".to_owned()),
            ("Mail", "emails.value".to_owned()),
            ("emails.valeu", "emails.value".to_owned()),
            ("givenName", "name.givenName".to_owned()),
            ("firstName", "name.givenName".to_owned()),
            ("lastModified", "meta.lastModified".to_owned()),
            ("created", "meta.created".to_owned()),
            ("usrName", "userName".to_owned()),
            ("user_name", "userName".to_owned()),
            ("userName.value", "userName".to_owned()),
            ("displyaName", "displayName".to_owned()),
            ("depratment", enterprise("department")),
            ("employeeStatus", ours("employmentStatus")),
            ("employee_number", enterprise("employeeNumber")),
        ] {
            assert_eq!(attribute(&[&types.user], written).as_deref(), Some(&*expected), "{written}");
        }
        for written in ["shoeSize", "x", "", ":", ".", "value", "not", "birthday", "salary", "größe", &"a".repeat(5000)]
        {
            assert_eq!(attribute(&[&types.user], written), None, "{written}");
        }
        assert_eq!(attribute(&[&types.group], "department"), None);
        assert_eq!(attribute(&[&types.group], "member").as_deref(), Some("members.value"));
        assert_eq!(attribute(&[&types.user, &types.group], "member").as_deref(), Some("members.value"));
    }

    #[test]
    fn a_sub_attribute_is_suggested_among_its_own() {
        for (written, expected) in [
            ("emails.type", "; did you mean `type`?"),
            ("valeu", "; did you mean `value`?"),
            ("userName", ""),
            ("", ""),
        ] {
            assert_eq!(for_sub_attribute(["value", "type", "primary"].into_iter(), written), expected, "{written}");
        }
    }
}
