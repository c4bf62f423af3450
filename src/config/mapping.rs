//! The configuration file (TOML): what a company may choose about its translation, and who may ask.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::mem;

use jiff::tz::TimeZone;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::clients::{self, ClientTable, IssuerTable};
use super::{Error, value};
use crate::access::Rules;
use crate::scim::{self, AttributeType};
use crate::translate::{Custom, GroupKind, Policy, personal};

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    active_before_start_days: Option<u16>,
    time_zone: Option<String>,
    employee_number: Option<String>,
    division: Option<Division>,
    #[serde(default)]
    users: Users,
    #[serde(default)]
    groups: Groups,
    #[serde(default, deserialize_with = "tables")]
    custom_attribute: Vec<Attribute>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    #[serde(default, deserialize_with = "tables")]
    client: Vec<ClientTable>,
    #[serde(default, deserialize_with = "tables")]
    issuer: Vec<IssuerTable>,
}

/// Tables of which there may be several. `[client]` would be the only one, and the parser's complaint about that helps nobody.
fn tables<'de, D, T>(file: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Tables<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("tables of which there may be several: two brackets, for example `[[client]]`")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut tables: A) -> Result<Vec<T>, A::Error> {
            let mut all = Vec::new();
            while let Some(table) = tables.next_element()? {
                all.push(table);
            }
            Ok(all)
        }
    }
    file.deserialize_seq(Tables(PhantomData))
}

/// The file as it is meant.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) policy: Policy,
    pub(super) rules: Rules,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Division {
    Team,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Users {
    #[serde(default)]
    require: Vec<Required>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Groups {
    #[serde(default)]
    from: Vec<Unit>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Unit {
    Department,
    Team,
    LegalEntity,
    Office,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Required {
    Email,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    id: Option<String>,
    global_id: Option<String>,
    name: String,
    #[serde(default, rename = "type")]
    kind: Kind,
    #[serde(default)]
    multi_valued: bool,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    String,
    Boolean,
    Decimal,
    Integer,
}

/// Reads and checks the file.
pub(super) fn read(path: &str) -> Result<Chosen, Error> {
    let text = value::file(path)?;
    parse(&text).map_err(|what| Error(format!("{path}: {}", what.split_whitespace().collect::<Vec<_>>().join(" "))))
}

pub(super) fn parse(text: &str) -> Result<Chosen, String> {
    let mut file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        let place = line.map_or_else(String::new, |line| format!("line {line}: "));
        format!("{place}{}", error.message())
    })?;
    let (clients, issuers) = (mem::take(&mut file.client), mem::take(&mut file.issuer));
    let rules = clients::rules(clients, issuers, &file.trusted_proxies)?;
    Ok(Chosen { policy: policy(file)?, rules })
}

fn policy(file: File) -> Result<Policy, String> {
    let mut policy = Policy {
        active_before_start_days: file.active_before_start_days,
        team_is_division: matches!(file.division, Some(Division::Team)),
        require_email: file.users.require.iter().any(|Required::Email| true),
        groups: file.groups.from.into_iter().map(group_kind).collect(),
        ..Policy::default()
    };
    if let Some(name) = file.time_zone {
        policy.time_zone = TimeZone::get(&name)
            .map_err(|_| format!("time_zone: `{name}` is no time zone; write for example Europe/Berlin"))?;
    }
    if let Some(id) = &file.employee_number {
        refuse_personal("employee_number", id)?;
    }
    policy.employee_number = file.employee_number;
    let mut names: HashSet<String> = scim::extension_attributes()
        .map_err(|error| error.to_string())?
        .iter()
        .map(|name| name.to_lowercase())
        .collect();
    policy.custom =
        file.custom_attribute.into_iter().map(|attribute| custom(attribute, &mut names)).collect::<Result<_, _>>()?;
    Ok(policy)
}

fn group_kind(unit: Unit) -> GroupKind {
    match unit {
        Unit::Department => GroupKind::Department,
        Unit::Team => GroupKind::Team,
        Unit::LegalEntity => GroupKind::LegalEntity,
        Unit::Office => GroupKind::Office,
    }
}

fn custom(attribute: Attribute, names: &mut HashSet<String>) -> Result<Custom, String> {
    let Attribute { id, global_id, name, kind, multi_valued } = attribute;
    if !scim::is_attribute_name(&name) {
        return Err(format!(
            "custom_attribute: `{name}` cannot name an attribute; begin with a letter, go on with letters and digits"
        ));
    }
    if !names.insert(name.to_lowercase()) {
        return Err(format!("custom_attribute `{name}`: this name is taken"));
    }
    let id = match (id, global_id) {
        (Some(id), None) | (None, Some(id)) if !id.trim().is_empty() => id,
        _ => return Err(format!("custom_attribute `{name}`: give either its id or its global_id in Personio")),
    };
    refuse_personal(&format!("custom_attribute `{name}`"), &id)?;
    refuse_personal("custom_attribute", &name)?;
    let kind = match kind {
        Kind::String => AttributeType::String,
        Kind::Boolean => AttributeType::Boolean,
        Kind::Decimal => AttributeType::Decimal,
        Kind::Integer => AttributeType::Integer,
    };
    Ok(Custom { id, attribute: scim::CustomAttribute { name, kind, multi_valued } })
}

fn refuse_personal(place: &str, text: &str) -> Result<(), String> {
    if personal::is_personal(text) {
        return Err(format!("{place}: `{text}` is personal data, which is never served"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_understood() {
        let policy = parse(
            r#"
            active_before_start_days = 14
            time_zone = "Asia/Tokyo"
            employee_number = "dynamic_777"
            division = "team"
            [users]
            require = ["email"]
            [groups]
            from = ["office", "legalEntity"]
            [[custom_attribute]]
            id = "dynamic_778"
            name = "badges"
            type = "integer"
            multi_valued = true
            [[custom_attribute]]
            global_id = "job_level"
            name = "jobLevel"
            "#,
        )
        .unwrap()
        .policy;
        assert_eq!(policy.active_before_start_days, Some(14));
        assert_eq!(policy.time_zone.iana_name(), Some("Asia/Tokyo"));
        assert!(policy.team_is_division && policy.require_email);
        assert_eq!(policy.groups, [GroupKind::Office, GroupKind::LegalEntity]);
        assert_eq!(policy.wanted_attributes(), ["dynamic_777", "dynamic_778", "job_level"]);
        let expected =
            scim::CustomAttribute { name: "badges".into(), kind: AttributeType::Integer, multi_valued: true };
        assert_eq!(policy.served_attributes().first(), Some(&expected));
        assert!(parse("").is_ok());
    }

    #[test]
    fn the_examples_in_the_documents_are_right() {
        let pages = [include_str!("../../docs/clients-and-tokens.md"), include_str!("../../docs/mapping.md")].concat();
        let examples: Vec<&str> =
            pages.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let chosen: Vec<Chosen> = examples.iter().map(|example| parse(example).unwrap()).collect();
        let [clients, mapping] = &chosen[..] else { panic!("{examples:?}") };
        assert_eq!((clients.rules.clients.len(), clients.rules.issuers.len()), (1, 1));
        assert_eq!(mapping.policy.custom.len(), 1);
        // Both are one file: what has no table comes first.
        assert!(examples.iter().all(|example| !example.trim_start().starts_with('[')), "{examples:?}");
    }

    #[test]
    fn a_mistake_is_named() {
        let attribute = |line: &str| format!("[[custom_attribute]]\n{line}\n");
        for (text, part) in [
            ("active_before_start_day = 3".to_owned(), "line 1: unknown field `active_before_start_day`"),
            ("\n\ntime_zone = 3".to_owned(), "line 3: invalid type"),
            ("time_zone = \"Europe/Bärlin\"".to_owned(), "`Europe/Bärlin` is no time zone"),
            ("division = \"office\"".to_owned(), "unknown variant `office`"),
            ("[users]\nrequire = [\"phone\"]".to_owned(), "unknown variant `phone`"),
            ("[groups]\nfrom = [\"room\"]".to_owned(), "unknown variant `room`"),
            ("active_before_start_days = -1".to_owned(), "line 1"),
            ("x = ".to_owned(), "line 1"),
            ("time_zone = \"UTC\"\n[client]\nname = \"okta\"".to_owned(), "line 2: invalid type: map, expected tables"),
            ("[issuer]".to_owned(), "two brackets, for example `[[client]]`"),
            ("[custom_attribute]\nname = \"x\"".to_owned(), "of which there may be several"),
            ("employee_number = \"date_of_birth\"".to_owned(), "`date_of_birth` is personal data"),
            (attribute("id = \"dynamic_1\""), "missing field `name`"),
            (attribute("name = \"x\""), "either its id or its global_id"),
            (attribute("name = \"x\"\nid = \"a\"\nglobal_id = \"b\""), "either its id or its global_id"),
            (attribute("name = \"x\"\nid = \"iban\""), "`iban` is personal data"),
            (attribute("name = \"homeAddress\"\nid = \"dynamic_1\""), "`homeAddress` is personal data"),
            (attribute("name = \"größe\"\nid = \"dynamic_1\""), "cannot name an attribute"),
            (attribute("name = \"hiredate\"\nid = \"dynamic_1\""), "this name is taken"),
            (
                attribute("name = \"a\"\nid = \"d1\"\n[[custom_attribute]]\nname = \"A\"\nid = \"d2\""),
                "`A`: this name is taken",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
