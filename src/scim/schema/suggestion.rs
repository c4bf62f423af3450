//! "Did you mean": suggests an existing attribute for a name that no schema has. The most common
//! mistake is a name without the URN of its extension. Such a name never means an attribute of an
//! extension (RFC 7644 §3.10), so the right name is suggested, not assumed.

use crate::scim::{AttributeId, AttributeType, ResourceType};
use crate::spelling;

/// Longest name, in bytes, for which a similar one is searched.
const MAX_NAME_BYTES: usize = 120;

/// Attribute names of other systems, in lower case, and the paths here.
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

/// Attribute that can be suggested.
struct SuggestedAttribute {
    /// Path as a client writes it.
    path: String,
    /// Path without the URN, in lower case.
    names: String,
}

impl SuggestedAttribute {
    fn new(resource_type: &ResourceType, id: AttributeId) -> Self {
        let mut path = resource_type.path(id);
        let names = unqualified(&path).to_ascii_lowercase();
        // A complex attribute cannot be compared, but its value can.
        let is_complex = resource_type.get(id).attribute_type == AttributeType::Complex;
        if is_complex && resource_type.sub_attribute(id, "value").is_some() {
            path.push_str(".value");
        }
        Self { path, names }
    }

    fn last_name(&self) -> &str {
        last_name(&self.names)
    }
}

/// Returns the end of an error text that suggests another attribute name, or an empty text.
pub(in crate::scim) fn for_attribute(resource_types: &[&ResourceType], written: &str) -> String {
    phrase(suggested_path(resource_types, written).as_deref())
}

/// Returns the end of an error text that suggests one of these names of sub-attributes, or an empty
/// text.
pub(in crate::scim) fn for_sub_attribute<'n>(
    names: impl Iterator<Item = &'n str>,
    written: &str,
) -> String {
    let written = last_name(written).to_ascii_lowercase();
    let mut best = None;
    for name in names {
        let Some(mistakes) = spelling::count_mistakes(&written, &name.to_ascii_lowercase()) else {
            continue;
        };
        if best.is_none_or(|(_, fewest)| mistakes < fewest) {
            best = Some((name, mistakes));
        }
    }
    phrase(best.map(|(name, _)| name))
}

fn phrase(suggested: Option<&str>) -> String {
    match suggested {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

fn suggested_path(resource_types: &[&ResourceType], written: &str) -> Option<String> {
    if written.len() > MAX_NAME_BYTES {
        return None;
    }
    let names = without_urn(resource_types, written).to_ascii_lowercase();
    let candidates = candidates(resource_types);
    // The right name, with a URN that is missing, wrong, or followed by a dot.
    if let Some(candidate) = candidates.iter().find(|candidate| candidate.names == names) {
        return Some(candidate.path.clone());
    }
    for (alias, path) in ALIASES {
        if alias == names && resource_types.iter().any(|known| known.attribute(path).is_some()) {
            return Some(path.to_owned());
        }
    }
    // A sub-attribute that does not exist, of an attribute that does.
    if let Some((parent, _)) = names.rsplit_once('.')
        && let Some(candidate) = candidates.iter().find(|candidate| candidate.names == parent)
    {
        return Some(candidate.path.clone());
    }
    // The name of a sub-attribute alone, if only one attribute has it. Several attributes have a
    // `value` and a `type`, so these names do not identify one.
    let last = last_name(&names);
    let mut with_last_name = candidates.iter().filter(|candidate| candidate.last_name() == last);
    match (with_last_name.next(), with_last_name.next()) {
        (Some(only), None) => Some(only.path.clone()),
        (Some(_), Some(_)) => most_similar(&candidates, &names, ComparedNames::Whole),
        (None, _) => most_similar(&candidates, &names, ComparedNames::WholeAndLast),
    }
}

/// Returns all attributes of these types, each path once, without the extensions themselves.
fn candidates(resource_types: &[&ResourceType]) -> Vec<SuggestedAttribute> {
    let mut candidates: Vec<SuggestedAttribute> = Vec::new();
    for resource_type in resource_types {
        // The first id is the resource itself.
        for id in resource_type.ids().skip(1) {
            // Types share attributes.
            let path = resource_type.path(id);
            let is_known = candidates.iter().any(|known| known.path == path);
            let is_extension = resource_type.get(id).name.contains(':');
            if !is_known && !is_extension {
                candidates.push(SuggestedAttribute::new(resource_type, id));
            }
        }
    }
    candidates
}

/// Part of each candidate's names that is compared with the name of the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ComparedNames {
    Whole,
    WholeAndLast,
}

/// Returns the path of the candidate with the fewest misspelled letters, the first one if several
/// have equally few.
fn most_similar(
    candidates: &[SuggestedAttribute],
    names: &str,
    compared: ComparedNames,
) -> Option<String> {
    let mut best = None;
    for candidate in candidates {
        let mut mistakes = spelling::count_mistakes(names, &candidate.names);
        if mistakes.is_none() && compared == ComparedNames::WholeAndLast {
            mistakes = spelling::count_mistakes(names, candidate.last_name());
        }
        let Some(mistakes) = mistakes else { continue };
        if best.is_none_or(|(_, fewest)| mistakes < fewest) {
            best = Some((candidate, mistakes));
        }
    }
    best.map(|(candidate, _)| candidate.path.clone())
}

/// Returns the names in a client's path. Any separator may follow the URN of a known schema.
fn without_urn<'w>(resource_types: &[&ResourceType], written: &'w str) -> &'w str {
    for resource_type in resource_types {
        for urn in resource_type.schemas() {
            if let Some((start, rest)) = written.split_at_checked(urn.len())
                && start.eq_ignore_ascii_case(urn)
            {
                return rest.trim_start_matches(['.', ':']);
            }
        }
    }
    unqualified(written)
}

/// Returns the part of a path after its last colon.
fn unqualified(path: &str) -> &str {
    match path.rsplit_once(':') {
        Some((_, names)) => names,
        None => path,
    }
}

/// Returns the part of a path after its last dot.
fn last_name(names: &str) -> &str {
    match names.rsplit_once('.') {
        Some((_, last)) => last,
        None => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{
        CustomAttributeDefinition, Discovery, ENTERPRISE_USER_SCHEMA, PERSONIO_USER_SCHEMA,
        ResourceUrls, USER_SCHEMA,
    };

    fn enterprise(name: &str) -> String {
        format!("{ENTERPRISE_USER_SCHEMA}:{name}")
    }

    fn personio(name: &str) -> String {
        format!("{PERSONIO_USER_SCHEMA}:{name}")
    }

    #[test]
    fn unknown_name_suggests_an_attribute_of_a_schema() {
        let (name, attribute_type) = ("badgeNumber".to_owned(), AttributeType::String);
        let badge_number = CustomAttributeDefinition { name, attribute_type, multi_valued: false };
        let urls = ResourceUrls::new("https://scim.example.com");
        let discovery = Discovery::new(&urls, 1000, &[badge_number]).unwrap();
        let types = discovery.compile_types().unwrap();
        for (written, expected) in [
            ("department", enterprise("department")),
            ("DEPARTMENT", enterprise("department")),
            ("manager", enterprise("manager.value")),
            ("manager.displayName", enterprise("manager.displayName")),
            ("hireDate", personio("hireDate")),
            ("badgeNumber", personio("badgeNumber")),
            (&format!("{ENTERPRISE_USER_SCHEMA}.department"), enterprise("department")),
            (&format!("{ENTERPRISE_USER_SCHEMA}department"), enterprise("department")),
            (&format!("{USER_SCHEMA}.userName"), "userName".to_owned()),
            (&format!("{USER_SCHEMA}:department"), enterprise("department")),
            (&format!("{ENTERPRISE_USER_SCHEMA}:hireDate"), personio("hireDate")),
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
            ("employeeStatus", personio("employmentStatus")),
            ("employee_number", enterprise("employeeNumber")),
        ] {
            let suggested = suggested_path(&[&types.user], written);
            assert_eq!(suggested.as_deref(), Some(&*expected), "{written}");
        }
        let too_long = "a".repeat(5000);
        let words = ["shoeSize", "value", "not", "birthday", "salary", "größe"];
        for written in words.into_iter().chain(["x", "", ":", ".", &too_long]) {
            assert_eq!(suggested_path(&[&types.user], written), None, "{written}");
        }
        assert_eq!(suggested_path(&[&types.group], "department"), None);
        let suggested = suggested_path(&[&types.group], "member");
        assert_eq!(suggested.as_deref(), Some("members.value"));
        let suggested = suggested_path(&[&types.user, &types.group], "member");
        assert_eq!(suggested.as_deref(), Some("members.value"));
    }

    #[test]
    fn sub_attribute_suggests_one_of_the_same_attribute() {
        for (written, expected) in [
            ("emails.type", "; did you mean `type`?"),
            ("valeu", "; did you mean `value`?"),
            ("userName", ""),
            ("", ""),
        ] {
            let names = ["value", "type", "primary"].into_iter();
            assert_eq!(for_sub_attribute(names, written), expected, "{written}");
        }
    }
}
