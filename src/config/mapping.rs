//! Configuration file (TOML): the mapping of the company, its clients, issuers and trusted proxies.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::path::Path;
use std::sync::LazyLock;

use jiff::tz::TimeZone;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::auth::AuthSettings;
use crate::config::clients;
use crate::config::clients::{CheckedClients, ClientScope, ClientTable, IssuerTable};
use crate::config::{Error, suggestion};
use crate::mapping;
use crate::mapping::{
    AttributeOverride, CustomAttributePolicy, CustomSource, DisplayNameRule, GroupKind,
    MappingPolicy, OptionalContent, OverridableAttribute, ServedEmployments,
    StandardAttributePolicy, personal_data,
};
use crate::scim;
use crate::scim::AttributeType;

/// Keys that belong above all tables. Below a table, TOML reads them as keys of that table.
const TOP_LEVEL_KEYS: &[&str] = &[
    "active_before_start_days",
    "active_until",
    "time_zone",
    "employee_number",
    "division",
    "display_name",
    "trusted_proxies",
];
/// Keys that belong to one table only, with the heading of that table.
const TABLE_KEYS: &[(&str, &str)] = &[
    ("require", "[users]"),
    ("employments", "[users]"),
    ("manager_levels", "[users]"),
    ("from", "[groups]"),
    ("nested", "[groups]"),
    ("token", "a [[client]]"),
    ("token_sha256", "a [[client]]"),
    ("expires", "a [[client]]"),
    ("paging", "a [[client]]"),
    ("filter", "a [[client]]"),
    ("excluded_attributes", "a [[client]]"),
    ("audience", "an [[issuer]]"),
    ("jwks_url", "an [[issuer]]"),
    ("scope", "an [[issuer]]"),
    ("algorithms", "an [[issuer]]"),
    ("global_id", "a [[custom_attribute]]"),
    ("multi_valued", "a [[custom_attribute]]"),
    ("fallback", "an attribute in [attributes]"),
];

/// Configuration file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    active_before_start_days: Option<u16>,
    active_until: Option<ActiveUntilSetting>,
    time_zone: Option<String>,
    employee_number: Option<String>,
    division: Option<DivisionSource>,
    display_name: Option<DisplayNameSetting>,
    #[serde(default)]
    attributes: BTreeMap<AttributeKey, SourceSetting>,
    #[serde(default)]
    values: BTreeMap<AttributeKey, BTreeMap<String, String>>,
    #[serde(default)]
    users: UsersTable,
    #[serde(default)]
    groups: GroupsTable,
    #[serde(default, deserialize_with = "deserialize_tables")]
    custom_attribute: Vec<CustomAttributeTable>,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    #[serde(default, deserialize_with = "deserialize_tables")]
    client: Vec<ClientTable>,
    #[serde(default, deserialize_with = "deserialize_tables")]
    issuer: Vec<IssuerTable>,
}

/// Reads tables of which there may be several. The parser's own error for `[client]` instead of
/// `[[client]]` does not say what to write.
fn deserialize_tables<'de, D, T>(file: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Tables<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Tables<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                "tables of which there may be several: two brackets, for example `[[client]]`",
            )
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

/// Configuration file, checked.
#[derive(Debug, Default)]
pub(super) struct CheckedConfigFile {
    pub(super) policy: MappingPolicy,
    pub(super) auth_settings: AuthSettings,
    pub(super) scopes: Vec<ClientScope>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DivisionSource {
    Team,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DisplayNameSetting {
    Preferred,
    Legal,
}

/// Name of an attribute of the standard schemas that the file can override.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AttributeKey(OverridableAttribute);

impl<'de> Deserialize<'de> for AttributeKey {
    fn deserialize<D: Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        static NAMES: LazyLock<Vec<&str>> =
            LazyLock::new(|| OverridableAttribute::ALL.map(OverridableAttribute::name).to_vec());
        let name = String::deserialize(file)?;
        match OverridableAttribute::from_name(&name) {
            Some(attribute) => Ok(Self(attribute)),
            None => Err(D::Error::unknown_field(&name, &NAMES)),
        }
    }
}

/// Custom attribute in `[attributes]`: its id, or a table.
#[derive(Debug)]
struct SourceSetting {
    id: Option<String>,
    global_id: Option<String>,
    fallback: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    id: Option<String>,
    global_id: Option<String>,
    fallback: Option<bool>,
}

impl<'de> Deserialize<'de> for SourceSetting {
    fn deserialize<D: Deserializer<'de>>(file: D) -> Result<Self, D::Error> {
        struct IdOrTable;
        impl<'de> Visitor<'de> for IdOrTable {
            type Value = SourceSetting;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "the id of a custom attribute, for example \"dynamic_12\", or a table, for \
                     example { id = \"dynamic_12\", fallback = false }",
                )
            }

            fn visit_str<E>(self, id: &str) -> Result<SourceSetting, E> {
                Ok(SourceSetting { id: Some(id.to_owned()), global_id: None, fallback: true })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<SourceSetting, A::Error> {
                let SourceTable { id, global_id, fallback } =
                    SourceTable::deserialize(MapAccessDeserializer::new(table))?;
                Ok(SourceSetting { id, global_id, fallback: fallback.unwrap_or(true) })
            }
        }
        file.deserialize_any(IdOrTable)
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActiveUntilSetting {
    LastWorkingDay,
    TerminationDate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersTable {
    #[serde(default)]
    require: Vec<RequiredAttribute>,
    #[serde(default)]
    employments: EmploymentsSetting,
    #[serde(default)]
    manager_levels: bool,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EmploymentsSetting {
    #[default]
    Primary,
    All,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupsTable {
    #[serde(default)]
    from: Vec<GroupKindSetting>,
    #[serde(default)]
    nested: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
enum GroupKindSetting {
    Department,
    Team,
    LegalEntity,
    Office,
    CostCenter,
    Job,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RequiredAttribute {
    Email,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CustomAttributeTable {
    id: Option<String>,
    global_id: Option<String>,
    name: String,
    #[serde(default, rename = "type")]
    attribute_type: CustomAttributeKind,
    #[serde(default)]
    multi_valued: bool,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CustomAttributeKind {
    #[default]
    String,
    Boolean,
    Decimal,
    Integer,
}

/// Parses and checks the text of the file at `path`.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<CheckedConfigFile, Error> {
    parse(text)
        .map_err(|message| Error(format!("{}: {}", path.display(), suggestion::one_line(&message))))
}

pub(super) fn parse(text: &str) -> Result<CheckedConfigFile, String> {
    let mut file: ConfigFile =
        toml::from_str(text).map_err(|error| describe_error(text, &error))?;
    let clients = mem::take(&mut file.client);
    let issuers = mem::take(&mut file.issuer);
    let checked = clients::check_tables(clients, issuers, &file.trusted_proxies)?;
    let policy = check_policy(file)?;
    clients::check_scopes(&checked, &policy)?;
    let CheckedClients { auth_settings, scopes } = checked;
    Ok(CheckedConfigFile { policy, auth_settings, scopes })
}

/// Returns the error with its line and, if possible, the key or word that was probably meant.
fn describe_error(text: &str, error: &toml::de::Error) -> String {
    let message = error.message();
    let Some(span) = error.span() else { return message.to_owned() };
    let before = text.get(..span.start).unwrap_or_default();
    let line = format!("line {}", before.matches('\n').count() + 1);
    let Some((what, rest)) = message.split_once(", expected") else {
        return format!("{line}: {message}");
    };
    // The rest names the accepted words, such as `email`.
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let Some(key) = unknown_key(what) else {
        let word = what.split('`').nth(1).unwrap_or_default();
        return format!("{line}: {message}{}", suggestion::did_you_mean(word, &known));
    };
    if TOP_LEVEL_KEYS.contains(&key)
        && let Some(heading) = last_heading(before)
    {
        return format!(
            "{line}: `{key}` is read as a key of {heading}: it belongs above the first [heading] \
             of the file"
        );
    }
    for (own, table) in TABLE_KEYS {
        if *own == key && !known.contains(own) {
            return format!("{line}: `{key}` belongs below {table}");
        }
    }
    if OverridableAttribute::from_name(key).is_some() {
        return format!("{line}: `{key}` belongs below [attributes]");
    }
    match suggestion::nearest(key, &known) {
        Some(known) => format!("{line}: unknown field `{key}`; did you mean `{known}`?"),
        None => format!("{line}: {message}"),
    }
}

/// Returns the key that the parser reports as unknown, if its message is about one.
fn unknown_key(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.strip_suffix('`')
}

/// Returns the last heading of a table in the text.
fn last_heading(text: &str) -> Option<&str> {
    for line in text.lines().rev() {
        let line = line.trim();
        if line.starts_with('[') {
            return Some(line);
        }
    }
    None
}

fn check_policy(mut file: ConfigFile) -> Result<MappingPolicy, String> {
    let standard_attributes = check_standard_attributes(&mut file)?;
    let mut policy = MappingPolicy {
        active_before_start_days: file.active_before_start_days,
        active_until: file.active_until.map(active_until),
        standard_attributes,
        require_email: file.users.require.iter().any(|RequiredAttribute::Email| true),
        optional: OptionalContent {
            employments: served_employments(file.users.employments),
            manager_levels: file.users.manager_levels,
            nested_groups: file.groups.nested,
        },
        groups: file.groups.from.into_iter().map(group_kind).collect(),
        ..MappingPolicy::default()
    };
    if policy.optional.nested_groups && !policy.groups.iter().copied().any(GroupKind::is_nestable) {
        return Err("groups.nested: needs \"department\" or \"team\" in groups.from".to_owned());
    }
    if let Some(name) = file.time_zone {
        policy.time_zone = time_zone(&name)?;
    }
    let mut names = HashSet::new();
    for name in scim::extension_attribute_names().map_err(|error| error.to_string())? {
        names.insert(name.to_lowercase());
    }
    for attribute in file.custom_attribute {
        policy.custom_attributes.push(check_custom_attribute(attribute, &mut names)?);
    }
    Ok(policy)
}

fn check_standard_attributes(file: &mut ConfigFile) -> Result<StandardAttributePolicy, String> {
    let mut sources = BTreeMap::new();
    for (AttributeKey(attribute), setting) in mem::take(&mut file.attributes) {
        sources.insert(attribute, check_source(attribute, setting)?);
    }
    if let Some(id) = file.employee_number.take() {
        refuse_personal("employee_number: the id", &id)?;
        let source = CustomSource { id, has_fallback: false };
        if sources.insert(OverridableAttribute::EmployeeNumber, source).is_some() {
            return Err(
                "employee_number and attributes.employeeNumber are the same setting: remove one"
                    .to_owned(),
            );
        }
    }
    let mut new_values = BTreeMap::new();
    for (AttributeKey(attribute), values) in mem::take(&mut file.values) {
        check_new_values(attribute, &values)?;
        new_values.insert(attribute, values);
    }
    let mut overrides = Vec::new();
    for attribute in OverridableAttribute::ALL {
        let source = sources.remove(&attribute);
        let new_values = new_values.remove(&attribute).unwrap_or_default();
        if source.is_some() || !new_values.is_empty() {
            overrides.push(AttributeOverride { attribute, source, new_values });
        }
    }
    let display_name = match file.display_name {
        None => DisplayNameRule::Completed,
        Some(DisplayNameSetting::Preferred) => DisplayNameRule::Preferred,
        Some(DisplayNameSetting::Legal) => DisplayNameRule::Legal,
    };
    let team_is_division = matches!(file.division, Some(DivisionSource::Team));
    Ok(StandardAttributePolicy { display_name, team_is_division, overrides })
}

fn check_source(
    attribute: OverridableAttribute,
    setting: SourceSetting,
) -> Result<CustomSource, String> {
    let name = attribute.name();
    let SourceSetting { id, global_id, fallback } = setting;
    let Some(id) = either_id(id, global_id) else {
        return Err(format!("attributes.{name}: give either its id or its global_id in Personio"));
    };
    refuse_personal(&format!("attributes.{name}: the id"), &id)?;
    Ok(CustomSource { id, has_fallback: fallback })
}

/// Checks the new values of an attribute. The messages quote the new values only: the values in
/// Personio are data of persons.
fn check_new_values(
    attribute: OverridableAttribute,
    values: &BTreeMap<String, String>,
) -> Result<(), String> {
    let name = attribute.name();
    for (value, new_value) in values {
        if value.trim().is_empty() || new_value.trim().is_empty() {
            return Err(format!(
                "values.{name}: a value is empty: write \"value in Personio\" = \"new value\""
            ));
        }
        let form = attribute.form();
        if form.check(new_value).is_none() {
            let expected = form.description();
            return Err(format!(
                "values.{name}: invalid new value `{new_value}`: expected {expected}"
            ));
        }
    }
    Ok(())
}

/// Returns the one id that is given, if it is not empty.
fn either_id(id: Option<String>, global_id: Option<String>) -> Option<String> {
    match (id, global_id) {
        (Some(id), None) | (None, Some(id)) if !id.trim().is_empty() => Some(id),
        _ => None,
    }
}

fn time_zone(name: &str) -> Result<TimeZone, String> {
    match TimeZone::get(name) {
        Ok(zone) => Ok(zone),
        Err(_) => Err(format!(
            "time_zone: invalid time zone `{name}`: expected an IANA name, for example \
             `Europe/Berlin`"
        )),
    }
}

fn active_until(date: ActiveUntilSetting) -> mapping::ActiveUntil {
    match date {
        ActiveUntilSetting::LastWorkingDay => mapping::ActiveUntil::LastWorkingDay,
        ActiveUntilSetting::TerminationDate => mapping::ActiveUntil::TerminationDate,
    }
}

fn served_employments(setting: EmploymentsSetting) -> ServedEmployments {
    match setting {
        EmploymentsSetting::Primary => ServedEmployments::Primary,
        EmploymentsSetting::All => ServedEmployments::All,
    }
}

fn group_kind(unit: GroupKindSetting) -> GroupKind {
    match unit {
        GroupKindSetting::Department => GroupKind::Department,
        GroupKindSetting::Team => GroupKind::Team,
        GroupKindSetting::LegalEntity => GroupKind::LegalEntity,
        GroupKindSetting::Office => GroupKind::Office,
        GroupKindSetting::CostCenter => GroupKind::CostCenter,
        GroupKindSetting::Job => GroupKind::Job,
    }
}

fn check_custom_attribute(
    attribute: CustomAttributeTable,
    names: &mut HashSet<String>,
) -> Result<CustomAttributePolicy, String> {
    let CustomAttributeTable { id, global_id, name, attribute_type, multi_valued } = attribute;
    if !scim::is_attribute_name(&name) {
        return Err(format!(
            "custom_attribute: invalid name `{name}`: expected a letter, followed by letters and \
             digits"
        ));
    }
    if !names.insert(name.to_lowercase()) {
        return Err(format!("custom_attribute `{name}`: this name is taken"));
    }
    let Some(id) = either_id(id, global_id) else {
        return Err(format!(
            "custom_attribute `{name}`: give either its id or its global_id in Personio"
        ));
    };
    refuse_personal(&format!("custom_attribute `{name}`: its id"), &id)?;
    refuse_personal(&format!("custom_attribute with the id `{id}`: its name"), &name)?;
    let attribute_type = match attribute_type {
        CustomAttributeKind::String => AttributeType::String,
        CustomAttributeKind::Boolean => AttributeType::Boolean,
        CustomAttributeKind::Decimal => AttributeType::Decimal,
        CustomAttributeKind::Integer => AttributeType::Integer,
    };
    Ok(CustomAttributePolicy {
        id,
        definition: scim::CustomAttributeDefinition { name, attribute_type, multi_valued },
    })
}

/// Refuses a `text` that is recognised as personal data. `part` names the text and its attribute.
fn refuse_personal(part: &str, text: &str) -> Result<(), String> {
    if personal_data::is_personal(text) {
        return Err(format!(
            "{part} `{text}` is recognised as personal data, which is never served"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an override in words.
    fn described(chosen: &AttributeOverride) -> String {
        let mut words = chosen.attribute.name().to_owned();
        if let Some(CustomSource { id, has_fallback }) = &chosen.source {
            words += &format!(" from {id}{}", if *has_fallback { "" } else { " only" });
        }
        for (value, new_value) in &chosen.new_values {
            words += &format!(", {value} = {new_value}");
        }
        words
    }

    #[test]
    fn full_file_is_parsed() {
        let policy = parse(
            r#"
            active_before_start_days = 14
            active_until = "last_working_day"
            time_zone = "Asia/Tokyo"
            employee_number = "dynamic_777"
            division = "team"
            display_name = "preferred"
            [attributes]
            userType = "dynamic_12"
            title = { id = "dynamic_9", fallback = false }
            timezone = { global_id = "zone" }
            [values.userType]
            "Werkstudent" = "Working student"
            [values.department]
            "R & D" = "Research"
            [users]
            require = ["email"]
            employments = "all"
            manager_levels = true
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
        assert_eq!(policy.active_until, Some(mapping::ActiveUntil::LastWorkingDay));
        assert_eq!(policy.time_zone.iana_name(), Some("Asia/Tokyo"));
        assert!(policy.standard_attributes.team_is_division && policy.require_email);
        assert!(policy.optional.manager_levels);
        assert_eq!(policy.optional.employments, ServedEmployments::All);
        assert_eq!(policy.groups, [GroupKind::Office, GroupKind::LegalEntity]);
        assert_eq!(
            policy.required_custom_attribute_ids(),
            ["dynamic_9", "dynamic_12", "zone", "dynamic_777", "dynamic_778", "job_level"]
        );
        let standard = &policy.standard_attributes;
        assert_eq!(standard.display_name, DisplayNameRule::Preferred);
        let overrides: Vec<_> = standard.overrides.iter().map(described).collect();
        assert_eq!(
            overrides,
            [
                "title from dynamic_9 only",
                "userType from dynamic_12, Werkstudent = Working student",
                "timezone from zone",
                "employeeNumber from dynamic_777 only",
                "department, R & D = Research",
            ]
        );
        let expected = scim::CustomAttributeDefinition {
            name: "badges".into(),
            attribute_type: AttributeType::Integer,
            multi_valued: true,
        };
        assert_eq!(policy.custom_attribute_definitions().first(), Some(&expected));
        assert!(parse("").is_ok());
    }

    #[test]
    fn examples_in_the_documents_are_valid() {
        let pages = [
            include_str!("../../docs/clients-and-tokens.md"),
            include_str!("../../docs/mapping.md"),
        ]
        .concat();
        let examples: Vec<&str> =
            pages.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let chosen: Vec<CheckedConfigFile> =
            examples.iter().map(|example| parse(example).unwrap()).collect();
        let [clients, mapping] = &chosen[..] else { panic!("{examples:?}") };
        assert_eq!(
            (clients.auth_settings.clients.len(), clients.auth_settings.issuers.len()),
            (2, 1)
        );
        assert_eq!(mapping.policy.custom_attributes.len(), 1);
        // Both examples belong to one file, in which keys without a table come first.
        assert!(
            examples.iter().all(|example| !example.trim_start().starts_with('[')),
            "{examples:?}"
        );
    }

    #[test]
    fn errors_about_standard_attributes_name_the_mistake() {
        for (text, part) in [
            (
                "display_name = \"first\"".to_owned(),
                "unknown variant `first`, expected `preferred` or `legal`",
            ),
            (
                "[attributes]\n\nuserTyp = \"dynamic_1\"".to_owned(),
                "line 3: unknown field `userTyp`; did you mean `userType`?",
            ),
            (
                "[attributes]\nemails = \"dynamic_1\"".to_owned(),
                "line 2: unknown field `emails`, expected one of `nickName`",
            ),
            (
                "[attributes]\nactive_until = \"termination_date\"".to_owned(),
                "`active_until` is read as a key of [attributes]",
            ),
            (
                "userType = \"dynamic_1\"".to_owned(),
                "line 1: `userType` belongs below [attributes]",
            ),
            (
                "[attributes]\ntitle = 12".to_owned(),
                "line 2: invalid type: integer `12`, expected the id of a custom attribute, for \
                 example \"dynamic_12\", or a table",
            ),
            (
                "[attributes]\ntitle = { id = \"dynamic_1\", fallbak = true }".to_owned(),
                "unknown field `fallbak`; did you mean `fallback`?",
            ),
            (
                "fallback = false".to_owned(),
                "`fallback` belongs below an attribute in [attributes]",
            ),
            (
                "[attributes]\ntitle = { fallback = false }".to_owned(),
                "attributes.title: give either its id or its global_id in Personio",
            ),
            (
                "[attributes]\ntitle = \" \"".to_owned(),
                "attributes.title: give either its id or its global_id in Personio",
            ),
            (
                "[attributes]\ntitle = \"date_of_birth\"".to_owned(),
                "attributes.title: the id `date_of_birth` is recognised as personal data",
            ),
            (
                "[attributes]\ntitle = { global_id = \"iban\" }".to_owned(),
                "attributes.title: the id `iban` is recognised as personal data",
            ),
            (
                "employee_number = \"dynamic_1\"\n[attributes]\nemployeeNumber = \"dynamic_1\""
                    .to_owned(),
                "employee_number and attributes.employeeNumber are the same setting: remove one",
            ),
            (
                "[values.userTyp]\n\"a\" = \"b\"".to_owned(),
                "unknown field `userTyp`; did you mean `userType`?",
            ),
            ("[values.userType]\n\"a\" = 3".to_owned(), "line 2: invalid type: integer"),
            ("[values.userType]\n\"a\" = \" \"".to_owned(), "values.userType: a value is empty"),
            ("[values.userType]\n\"\" = \"a\"".to_owned(), "values.userType: a value is empty"),
            (
                "[values.timezone]\n\"MEZ\" = \"Berlin\"".to_owned(),
                "values.timezone: invalid new value `Berlin`: expected an IANA name, for example \
                 `Europe/Berlin`",
            ),
            (
                "[values.locale]\n\"Deutsch\" = \"German\"".to_owned(),
                "values.locale: invalid new value `German`: expected a language tag (BCP 47)",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn errors_name_the_mistake() {
        let attribute = |line: &str| format!("[[custom_attribute]]\n{line}\n");
        for (text, part) in [
            (
                "active_before_start_day = 3".to_owned(),
                "line 1: unknown field `active_before_start_day`; did you mean `active_before_start_days`?",
            ),
            (
                "colour = 3".to_owned(),
                "line 1: unknown field `colour`, expected one of `active_before_start_days`",
            ),
            (
                "[[client]]\nname = \"a\"\ntoken = \"0123456789abcdef\"\n\ntime_zone = \"UTC\""
                    .to_owned(),
                "line 5: `time_zone` is read as a key of [[client]]: it belongs above the first [heading]",
            ),
            (
                "[users]\nactive_until = \"termination_date\"".to_owned(),
                "`active_until` is read as a key of [users]",
            ),
            (
                "[users]\ntrusted_proxies = []".to_owned(),
                "`trusted_proxies` is read as a key of [users]",
            ),
            ("require = [\"email\"]".to_owned(), "line 1: `require` belongs below [users]"),
            ("nested = true".to_owned(), "line 1: `nested` belongs below [groups]"),
            (
                "[groups]\nfrom = [\"office\"]\nnested = true".to_owned(),
                "groups.nested: needs \"department\" or \"team\" in groups.from",
            ),
            ("manager_levels = true".to_owned(), "line 1: `manager_levels` belongs below [users]"),
            ("employments = \"all\"".to_owned(), "line 1: `employments` belongs below [users]"),
            ("[users]\nemployments = \"every\"".to_owned(), "unknown variant `every`"),
            (
                "token = \"0123456789abcdef\"".to_owned(),
                "line 1: `token` belongs below a [[client]]",
            ),
            (
                attribute("name = \"x\"\nid = \"a\"\ntyp = \"integer\""),
                "unknown field `typ`; did you mean `type`?",
            ),
            (attribute("name = \"x\"\nid = \"a\"\ntype = \"int\""), "unknown variant `int`"),
            ("[groups]\nfrom = [\"departments\"]".to_owned(), "did you mean `department`?"),
            ("[clients]".to_owned(), "unknown field `clients`; did you mean `client`?"),
            ("\n\ntime_zone = 3".to_owned(), "line 3: invalid type"),
            ("time_zone = \"Europe/Bärlin\"".to_owned(), "invalid time zone `Europe/Bärlin`"),
            (
                "active_until = \"end_date\"".to_owned(),
                "unknown variant `end_date`, expected `last_working_day`",
            ),
            ("active_until = true".to_owned(), "line 1"),
            ("division = \"office\"".to_owned(), "unknown variant `office`"),
            ("[users]\nrequire = [\"phone\"]".to_owned(), "unknown variant `phone`"),
            ("[groups]\nfrom = [\"room\"]".to_owned(), "unknown variant `room`"),
            ("active_before_start_days = -1".to_owned(), "line 1"),
            ("x = ".to_owned(), "line 1"),
            (
                "time_zone = \"UTC\"\n[client]\nname = \"okta\"".to_owned(),
                "line 2: invalid type: map, expected tables",
            ),
            ("[issuer]".to_owned(), "two brackets, for example `[[client]]`"),
            ("[custom_attribute]\nname = \"x\"".to_owned(), "of which there may be several"),
            (
                "employee_number = \"date_of_birth\"".to_owned(),
                "employee_number: the id `date_of_birth` is recognised as personal data",
            ),
            (attribute("id = \"dynamic_1\""), "missing field `name`"),
            (attribute("name = \"x\""), "either its id or its global_id"),
            (
                attribute("name = \"x\"\nid = \"a\"\nglobal_id = \"b\""),
                "either its id or its global_id",
            ),
            (
                attribute("name = \"x\"\nid = \"iban\""),
                "custom_attribute `x`: its id `iban` is recognised as personal data",
            ),
            (
                attribute("name = \"homeAddress\"\nid = \"dynamic_1\""),
                "custom_attribute with the id `dynamic_1`: its name `homeAddress` is recognised as personal data",
            ),
            (attribute("name = \"größe\"\nid = \"dynamic_1\""), "invalid name `größe`"),
            (attribute("name = \"hiredate\"\nid = \"dynamic_1\""), "this name is taken"),
            (
                attribute(
                    "name = \"a\"\nid = \"d1\"\n[[custom_attribute]]\nname = \"A\"\nid = \"d2\"",
                ),
                "`A`: this name is taken",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
