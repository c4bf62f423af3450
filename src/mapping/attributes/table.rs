//! Attribute table: the rows, in the order of the schemas in `scim-schemas/`.
//!
//! A new attribute is a row in [`CORE`] or [`EXTENSION`], and its description in the schema. The
//! other rows are those of typed fields of [`User`](crate::scim::User), which other parts of the
//! program read. `mapping::user` fills these fields, and a test compares them with the rows.

use serde_json::{Map, Value};

use crate::mapping::OverridableAttribute;
use crate::mapping::attributes::elements::{
    map_cost_centers, map_employments, map_manager_levels, to_json,
};
use crate::mapping::attributes::fields;
use crate::mapping::attributes::input::MappingInput;
use crate::mapping::attributes::{
    Attribute, Content, Extraction, Leaf, Sensitivity, Source, SubAttribute,
};
use crate::mapping::employment::{
    compare_ids, cost_center_id, job_id, last_working_day, legal_entity, office, termination_date,
    title, unit_id,
};
use crate::mapping::groups;
use crate::mapping::person_header::DisplayNameSource;
use crate::mapping::primary_employment::{ActivityRule, first_start};
use crate::mapping::user;
use crate::personio::LookupKind;
use crate::personio::model::{OrgUnitType, Status};
use crate::scim::{self, AttributeType};

/// Rows of one schema, or a part of them.
pub(crate) struct Section {
    /// URN of the extension. The core schema has none.
    pub(crate) extension: Option<&'static str>,
    pub(crate) attributes: &'static [Attribute],
}

/// All rows, in the order of a resource.
pub(crate) static SECTIONS: [Section; 6] = [
    Section { extension: None, attributes: IDENTITY },
    Section { extension: None, attributes: CORE },
    Section { extension: None, attributes: ACCOUNT },
    Section { extension: Some(scim::ENTERPRISE_USER_SCHEMA), attributes: ENTERPRISE },
    Section { extension: Some(scim::PERSONIO_USER_SCHEMA), attributes: EXTENSION },
    Section { extension: None, attributes: META },
];

/// Attributes of the core schema that identify and name the user.
const IDENTITY: &[Attribute] = &[
    Attribute::simple(
        "schemas",
        Source::SAME_FOR_ALL,
        Extraction::Encoded(AttributeType::Reference),
    )
    .sensitivity(Sensitivity::Fixed),
    Attribute::simple("id", "person.id", Extraction::Text(|it| Some(&it.person.id))),
    Attribute::simple("externalId", "person.id", Extraction::Text(|it| Some(&it.person.id))),
    Attribute::simple(
        "userName",
        "person.email, or `personio-` and person.id",
        Extraction::Text(|it| Some(it.user_name)),
    )
    .described_by(|it, _| user_name_source(it).to_owned())
    .needs(&[fields::EMAIL]),
    Attribute::object("name", &[FULL_NAME, FAMILY_NAME, GIVEN_NAME])
        .needs(&[fields::FIRST_NAME, fields::LAST_NAME]),
    Attribute::simple(
        "displayName",
        "person.preferred_name and person.last_name, or person.first_name and person.last_name, or \
         the userName",
        Extraction::Text(|it| Some(&it.display_name.text)),
    )
    .described_by(|it, _| display_name_source(it).to_owned())
    .needs(&[fields::FIRST_NAME, fields::LAST_NAME, fields::PREFERRED_NAME]),
];

pub(crate) const FULL_NAME: SubAttribute =
    SubAttribute::new("formatted", NAME_SOURCE, Extraction::Composed(|it| it.header.full_name()));
pub(crate) const FAMILY_NAME: SubAttribute = SubAttribute::new(
    "familyName",
    "person.last_name",
    Extraction::Text(|it| it.person.last_name.as_deref()),
);
pub(crate) const GIVEN_NAME: SubAttribute = SubAttribute::new(
    "givenName",
    "person.first_name",
    Extraction::Text(|it| it.person.first_name.as_deref()),
);

/// Attributes of the core schema that this program only serves. The JSON has them between
/// `displayName` and `active`.
pub(crate) const CORE: &[Attribute] = &[
    Attribute::simple(
        "nickName",
        "person.preferred_name",
        Extraction::Text(|it| it.person.preferred_name.as_deref()),
    )
    .overridable(OverridableAttribute::NickName)
    .needs(&[fields::PREFERRED_NAME]),
    Attribute::simple(
        "title",
        "employment.position.title",
        Extraction::Text(|it| title(it.employment()?)),
    )
    .overridable(OverridableAttribute::Title)
    .needs(&[fields::POSITION]),
    Attribute::simple("userType", "employment.type", Extraction::Text(user_type))
        .overridable(OverridableAttribute::UserType)
        .sensitivity(Sensitivity::SmallSet)
        .needs(&[fields::EMPLOYMENT_TYPE]),
    Attribute::simple("preferredLanguage", Source::MAPPING_FILE, Extraction::Text(|_| None))
        .overridable(OverridableAttribute::PreferredLanguage)
        .sensitivity(Sensitivity::SmallSet),
    Attribute::simple("locale", Source::MAPPING_FILE, Extraction::Text(|_| None))
        .overridable(OverridableAttribute::Locale)
        .sensitivity(Sensitivity::SmallSet),
    Attribute::simple("timezone", Source::MAPPING_FILE, Extraction::Text(|_| None))
        .overridable(OverridableAttribute::Timezone)
        .sensitivity(Sensitivity::SmallSet),
];

/// Attributes of the core schema about the user's access.
const ACCOUNT: &[Attribute] = &[
    Attribute::simple(
        "active",
        "employment.status, or person.status, and the dates of the employments",
        Extraction::Boolean(|it| it.primary.activity.is_active),
    )
    .described_by(|it, _| active_source(it))
    .sensitivity(Sensitivity::SmallSet)
    .needs(&[fields::STATUS, fields::EMPLOYMENT_STATUS]),
    Attribute::list("emails", EMAIL, |it| to_json(&user::map_emails(it.person)))
        .needs(&[fields::EMAIL]),
    Attribute::list("groups", GROUP, |it| {
        to_json(&groups::map_memberships(it.employment(), it.context))
    })
    .needs(&[
        fields::DEPARTMENT,
        fields::TEAM,
        fields::LEGAL_ENTITY,
        fields::OFFICE,
        fields::COST_CENTER,
        fields::JOB,
    ])
    .with_names_of(&LookupKind::ALL),
];

const EMAIL: &[SubAttribute] = &[
    SubAttribute::new("value", "person.email", Extraction::Element(AttributeType::String)),
    SubAttribute::fixed("type", Extraction::Element(AttributeType::String)),
    SubAttribute::fixed("primary", Extraction::Element(AttributeType::Boolean)),
];

const GROUP: &[SubAttribute] = &[
    SubAttribute::new(
        "value",
        "the units in the employment of which the company makes groups",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "$ref",
        "the public URL and the units in the employment",
        Extraction::Element(AttributeType::Reference),
    ),
    SubAttribute::new(
        "display",
        "the names of the units in the employment",
        Extraction::Element(AttributeType::String),
    )
    .described_by(group_name_source),
    SubAttribute::fixed("type", Extraction::Element(AttributeType::String)),
];

/// Attributes of the enterprise extension.
const ENTERPRISE: &[Attribute] = &[
    EMPLOYEE_NUMBER,
    COST_CENTER,
    ORGANIZATION,
    DIVISION,
    DEPARTMENT,
    Attribute::object("manager", &[MANAGER_ID, MANAGER_REFERENCE, MANAGER_NAME]).needs(&[
        fields::SUPERVISOR,
        fields::FIRST_NAME,
        fields::LAST_NAME,
        fields::PREFERRED_NAME,
    ]),
];

pub(crate) const EMPLOYEE_NUMBER: Attribute =
    Attribute::simple("employeeNumber", "person.id", Extraction::Text(|it| Some(&it.person.id)))
        .overridable(OverridableAttribute::EmployeeNumber);
pub(crate) const COST_CENTER: Attribute = Attribute::simple(
    "costCenter",
    "the name of employment.cost_centers",
    Extraction::NameOf(LookupKind::CostCenter, |it| cost_center_id(it.employment()?)),
)
.overridable(OverridableAttribute::CostCenter)
.needs(&[fields::COST_CENTER]);
pub(crate) const ORGANIZATION: Attribute = Attribute::simple(
    "organization",
    "the name of employment.legal_entity",
    Extraction::NameOf(LookupKind::LegalEntity, |it| legal_entity(it.employment()?)),
)
.overridable(OverridableAttribute::Organization)
.needs(&[fields::LEGAL_ENTITY]);
pub(crate) const DIVISION: Attribute = Attribute::simple(
    "division",
    "the name of employment.org_units of type team",
    Extraction::NameOf(LookupKind::Team, division_id),
)
.overridable(OverridableAttribute::Division)
.needs(&[fields::TEAM]);
pub(crate) const DEPARTMENT: Attribute = Attribute::simple(
    "department",
    "the name of employment.org_units of type department",
    Extraction::NameOf(LookupKind::Department, |it| {
        unit_id(it.employment()?, &OrgUnitType::Department)
    }),
)
.overridable(OverridableAttribute::Department)
.needs(&[fields::DEPARTMENT]);

pub(crate) const MANAGER_ID: SubAttribute = SubAttribute::new(
    "value",
    "employment.supervisor.id",
    Extraction::Text(|it| Some(it.manager?.id)),
);
pub(crate) const MANAGER_REFERENCE: SubAttribute = SubAttribute::new(
    "$ref",
    "the public URL and employment.supervisor.id",
    Extraction::Reference(|it| Some(it.context.urls.user(it.manager?.id))),
);
pub(crate) const MANAGER_NAME: SubAttribute = SubAttribute::new(
    "displayName",
    "the displayName of employment.supervisor",
    Extraction::Composed(|it| Some(it.manager?.card.display_name(it.context.policy))),
);

/// Attributes of the project's own extension. They hold HR data that identity systems need and that
/// the standard schemas lack.
pub(crate) const EXTENSION: &[Attribute] = &[
    Attribute::simple(
        "employmentId",
        "employment.id",
        Extraction::Text(|it| Some(&it.employment()?.id)),
    ),
    Attribute::simple(
        "employmentStatus",
        "employment.status",
        Extraction::Text(|it| it.employment()?.status.as_ref().map(Status::value)),
    )
    .sensitivity(Sensitivity::SmallSet)
    .needs(&[fields::EMPLOYMENT_STATUS]),
    Attribute::simple(
        "employmentType",
        "employment.type",
        Extraction::Text(|it| it.employment()?.employment_type.as_deref()),
    )
    .sensitivity(Sensitivity::SmallSet)
    .needs(&[fields::EMPLOYMENT_TYPE]),
    Attribute::simple(
        "hireDate",
        "employment.employment_start_date",
        Extraction::Date(|it| it.employment()?.employment_start_date),
    )
    .needs(&[fields::HIRE_DATE]),
    Attribute::simple(
        "endDate",
        "employment.employment_end_date",
        Extraction::Date(|it| it.employment()?.employment_end_date),
    )
    .needs(&[fields::END_DATE]),
    Attribute::simple(
        "terminationDate",
        "employment.termination.termination_date",
        Extraction::Date(|it| termination_date(it.employment()?)),
    )
    .needs(&[fields::TERMINATION]),
    Attribute::simple(
        "lastWorkingDay",
        "employment.termination.last_working_day",
        Extraction::Date(|it| last_working_day(it.employment()?)),
    )
    .needs(&[fields::TERMINATION]),
    Attribute::simple(
        "probationEndDate",
        "employment.probation_end_date",
        Extraction::Date(|it| it.employment()?.probation_end_date),
    )
    .needs(&[fields::PROBATION_END]),
    Attribute::simple(
        "contractEndDate",
        "employment.contract_end_date",
        Extraction::Date(|it| it.employment()?.contract_end_date),
    )
    .needs(&[fields::CONTRACT_END]),
    Attribute::simple(
        "team",
        "the name of employment.org_units of type team",
        Extraction::NameOf(LookupKind::Team, |it| unit_id(it.employment()?, &OrgUnitType::Team)),
    )
    .needs(&[fields::TEAM]),
    Attribute::simple(
        "office",
        "the name of employment.office",
        Extraction::NameOf(LookupKind::Workplace, |it| office(it.employment()?)),
    )
    .needs(&[fields::OFFICE]),
    Attribute::simple(
        "legalEntity",
        "the name of employment.legal_entity",
        Extraction::NameOf(LookupKind::LegalEntity, |it| legal_entity(it.employment()?)),
    )
    .needs(&[fields::LEGAL_ENTITY]),
    Attribute::list("orgUnits", ORG_UNIT, map_org_units)
        .needs(&[fields::DEPARTMENT, fields::TEAM])
        .with_names_of(&[LookupKind::Department, LookupKind::Team]),
    Attribute::simple(
        "managerEmail",
        "the person.email of employment.supervisor",
        Extraction::Text(|it| it.manager?.card.header.email),
    )
    .needs(&[fields::SUPERVISOR, fields::EMAIL]),
    Attribute::simple(
        "departmentId",
        "employment.org_units of type department",
        Extraction::Text(|it| unit_id(it.employment()?, &OrgUnitType::Department)),
    )
    .needs(&[fields::DEPARTMENT]),
    Attribute::simple(
        "teamId",
        "employment.org_units of type team",
        Extraction::Text(|it| unit_id(it.employment()?, &OrgUnitType::Team)),
    )
    .needs(&[fields::TEAM]),
    Attribute::simple(
        "officeId",
        "employment.office.id",
        Extraction::Text(|it| office(it.employment()?)),
    )
    .needs(&[fields::OFFICE]),
    Attribute::simple(
        "legalEntityId",
        "employment.legal_entity.id",
        Extraction::Text(|it| legal_entity(it.employment()?)),
    )
    .needs(&[fields::LEGAL_ENTITY]),
    Attribute::simple(
        "costCenterId",
        "employment.cost_centers",
        Extraction::Text(|it| cost_center_id(it.employment()?)),
    )
    .needs(&[fields::COST_CENTER]),
    Attribute::simple(
        "jobId",
        "employment.job.id",
        Extraction::Text(|it| job_id(it.employment()?)),
    )
    .needs(&[fields::JOB]),
    Attribute::simple(
        "job",
        "the name of employment.job",
        Extraction::NameOf(LookupKind::Job, |it| job_id(it.employment()?)),
    )
    .needs(&[fields::JOB]),
    Attribute::list("costCenters", COST_CENTER_SHARE, map_cost_centers)
        .needs(&[fields::COST_CENTER])
        .with_names_of(&[LookupKind::CostCenter]),
    Attribute::simple(
        "originalHireDate",
        "the earliest employment.employment_start_date",
        Extraction::Date(|it| first_start(it.employments)),
    )
    .needs(&[fields::HIRE_DATE]),
    Attribute::simple(
        "nextHireDate",
        "the employment.employment_start_date of the next employment",
        Extraction::Date(|it| it.primary.next_start),
    )
    .needs(&[fields::HIRE_DATE, fields::EMPLOYMENT_STATUS]),
    Attribute::list("managerLevels", MANAGER_LEVEL, map_manager_levels).needs(&[
        fields::SUPERVISOR,
        fields::FIRST_NAME,
        fields::LAST_NAME,
        fields::PREFERRED_NAME,
    ]),
    Attribute::list("employments", EMPLOYMENT, map_employments)
        .needs(&[
            fields::EMPLOYMENT_STATUS,
            fields::EMPLOYMENT_TYPE,
            fields::HIRE_DATE,
            fields::END_DATE,
            fields::POSITION,
            fields::LEGAL_ENTITY,
        ])
        .with_names_of(&[LookupKind::LegalEntity]),
];

const MANAGER_LEVEL: &[SubAttribute] = &[
    SubAttribute::new(
        "value",
        "the employment.supervisor of the person and of each manager",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "display",
        "the displayName of each manager",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "level",
        "the distance to the manager",
        Extraction::Element(AttributeType::Integer),
    )
    .sensitivity(Sensitivity::SmallSet),
];

const EMPLOYMENT: &[SubAttribute] = &[
    SubAttribute::new(
        "value",
        "the employment.id of each",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "status",
        "the employment.status of each",
        Extraction::Element(AttributeType::String),
    )
    .sensitivity(Sensitivity::SmallSet),
    SubAttribute::new(
        "type",
        "the employment.type of each",
        Extraction::Element(AttributeType::String),
    )
    .sensitivity(Sensitivity::SmallSet),
    SubAttribute::new(
        "startDate",
        "the employment.employment_start_date of each",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "endDate",
        "the employment.employment_end_date of each",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "title",
        "the employment.position.title of each",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "legalEntity",
        "the name of the employment.legal_entity of each",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "primary",
        "the status and the dates of the employments",
        Extraction::Element(AttributeType::Boolean),
    )
    .sensitivity(Sensitivity::SmallSet),
];

const COST_CENTER_SHARE: &[SubAttribute] = &[
    SubAttribute::new(
        "value",
        "employment.cost_centers",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "display",
        "the names of employment.cost_centers",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new(
        "weight",
        "employment.cost_centers",
        Extraction::Element(AttributeType::Decimal),
    ),
];

const ORG_UNIT: &[SubAttribute] = &[
    SubAttribute::new("value", "employment.org_units", Extraction::Element(AttributeType::String)),
    SubAttribute::new(
        "display",
        "the names of employment.org_units",
        Extraction::Element(AttributeType::String),
    ),
    SubAttribute::new("type", "employment.org_units", Extraction::Element(AttributeType::String)),
];

/// Metadata of the resource.
const META: &[Attribute] = &[Attribute::object(
    "meta",
    &[
        SubAttribute::fixed("resourceType", Extraction::Text(|_| Some("User"))),
        SubAttribute::new(
            "created",
            "person.created_at",
            Extraction::Timestamp(|it| it.person.created_at),
        ),
        SubAttribute::new(
            "lastModified",
            "the later of person.updated_at and employment.updated_at",
            Extraction::Timestamp(|it| it.last_modified()),
        )
        .described_by(|it, _| last_modified_source(it).to_owned()),
        SubAttribute::new(
            "location",
            "the public URL and person.id",
            Extraction::Reference(|it| Some(it.context.urls.user(&it.person.id))),
        ),
        SubAttribute::new(
            "version",
            "a hash of everything else",
            Extraction::Encoded(AttributeType::String),
        ),
    ],
)];

const NAME_SOURCE: &str = "person.first_name, person.last_name";

/// Returns the rows of all schemas.
pub(crate) fn all() -> impl Iterator<Item = &'static Attribute> {
    SECTIONS.iter().flat_map(|section| section.attributes)
}

/// Returns the simple attribute or sub-attribute with this path, as clients write it.
pub(crate) fn find_leaf(path: &str) -> Option<&'static Leaf> {
    let (extension, path) = match path.rsplit_once(':') {
        Some((urn, path)) => (Some(urn), path),
        None => (None, path),
    };
    let (name, sub_name) = match path.split_once('.') {
        Some((name, sub_name)) => (name, Some(sub_name)),
        None => (path, None),
    };
    for section in SECTIONS.iter().filter(|section| section.extension == extension) {
        let Some(attribute) = section.attributes.iter().find(|it| it.name == name) else {
            continue;
        };
        return match (&attribute.content, sub_name) {
            (Content::Simple(leaf), None) => Some(leaf),
            (Content::Simple(_), Some(_)) | (_, None) => None,
            (_, Some(sub_name)) => {
                let sub_attributes = attribute.sub_attributes();
                Some(&sub_attributes.iter().find(|it| it.name == sub_name)?.leaf)
            }
        };
    }
    None
}

/// Returns the names of the attributes whose value is the name of a unit of this kind.
pub(crate) fn attributes_with_name_of(kind: LookupKind) -> Vec<&'static str> {
    let mut names = Vec::new();
    for attribute in all() {
        if let Content::Simple(Leaf { extraction: Extraction::NameOf(of, _), .. }) =
            attribute.content
            && of == kind
        {
            names.push(attribute.name);
        }
    }
    names
}

fn user_name_source(input: &MappingInput<'_>) -> &'static str {
    if input.person.email.as_deref() == Some(input.user_name) {
        "person.email"
    } else {
        "`personio-` and person.id, because the person has no unique e-mail address"
    }
}

fn display_name_source(input: &MappingInput<'_>) -> &'static str {
    match input.display_name.source {
        DisplayNameSource::Preferred => "person.preferred_name",
        DisplayNameSource::PreferredAndLast => "person.preferred_name, person.last_name",
        DisplayNameSource::Full => NAME_SOURCE,
        DisplayNameSource::UserName => user_name_source(input),
    }
}

fn user_type<'i>(input: &'i MappingInput<'i>) -> Option<&'i str> {
    match input.employment()?.employment_type.as_deref()? {
        "INTERNAL" => Some("Employee"),
        "EXTERNAL" => Some("Contractor"),
        _ => None,
    }
}

/// Returns the status and the date rule that decided `active`.
fn active_source(input: &MappingInput<'_>) -> String {
    let status = match (input.employment(), &input.person.status) {
        (Some(employment), _) if employment.status.is_some() => "employment.status",
        (_, Some(_)) => "person.status",
        (_, None) => return "no status that can be read".to_owned(),
    };
    match input.primary.activity.rule {
        ActivityRule::Status => status.to_owned(),
        ActivityRule::ChangeOfEmployment => {
            format!(
                "{status}, employment.employment_start_date and the end of the employment before"
            )
        }
        ActivityRule::BeforeStart => {
            format!("{status}, employment.employment_start_date and active_before_start_days")
        }
        ActivityRule::Withdrawn => format!("{status} and an end before the start, or before today"),
        ActivityRule::ActiveUntil => format!("{status}, employment.termination and active_until"),
    }
}

/// Returns the source of `name`, the name of a group of the user.
fn group_name_source(input: &MappingInput<'_>, name: &Value) -> String {
    let units = "the units in the employment";
    let mut groups = groups::map_memberships(input.employment(), input.context).into_iter();
    if groups.any(|group| group.value == group.display && *name == *group.display) {
        return format!("{units}, without a name");
    }
    format!("the names of {units}")
}

/// Returns the id of the team, if the company chose to serve it as the division.
fn division_id<'i>(input: &'i MappingInput<'i>) -> Option<&'i str> {
    if !input.context.policy.standard_attributes.team_is_division {
        return None;
    }
    unit_id(input.employment()?, &OrgUnitType::Team)
}

fn map_org_units(input: &MappingInput<'_>) -> Vec<Value> {
    let Some(employment) = input.employment() else { return Vec::new() };
    let mut units: Vec<_> = employment.org_units.iter().collect();
    // Personio guarantees no order, and a different order must not change the user.
    units.sort_by(|one, other| {
        one.unit_type.cmp(&other.unit_type).then_with(|| compare_ids(&one.id, &other.id))
    });
    units.dedup_by(|one, other| one.unit_type == other.unit_type && one.id == other.id);
    let mut values = Vec::with_capacity(units.len());
    for unit in units {
        let mut members = Map::new();
        members.insert("value".to_owned(), unit.id.as_str().into());
        if let Some(unit_type) = &unit.unit_type {
            let kind = unit_type.lookup_kind();
            if let Some(name) = kind.and_then(|kind| input.context.name(kind, Some(&unit.id))) {
                members.insert("display".to_owned(), name.into());
            }
            members.insert("type".to_owned(), unit_type.value().to_lowercase().into());
        }
        values.push(Value::Object(members));
    }
    values
}

fn last_modified_source(input: &MappingInput<'_>) -> &'static str {
    if input.person.updated_at == input.last_modified() {
        "person.updated_at"
    } else {
        "employment.updated_at"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::mapping::attributes::custom::AttributeMapper;
    use crate::mapping::context::{ManagerCard, MappingContext};
    use crate::mapping::person_header::PersonHeader;
    use crate::mapping::{
        AttributeOverride, GroupKind, MappingPolicy, OptionalContent, OverridableAttribute,
        ServedEmployments, StandardAttributePolicy,
    };
    use crate::personio::LookupNames;
    use crate::personio::model::{Employment, Person};
    use crate::scim::{Discovery, EncodedContent, ResourceUrls};

    const COMMON_ATTRIBUTES: &str = include_str!("../../../scim-schemas/common.json");

    fn urls() -> ResourceUrls {
        ResourceUrls::new("https://scim.example.com")
    }

    /// Returns name, type and number of values of an attribute and its sub-attributes.
    fn describe(definition: &Value) -> Vec<String> {
        let name = definition["name"].as_str().unwrap();
        let several = if definition["multiValued"] == true { ", several" } else { "" };
        let mut all = vec![format!("{name}: {}{several}", definition["type"].as_str().unwrap())];
        for sub_attribute in definition["subAttributes"].as_array().into_iter().flatten() {
            for described in describe(sub_attribute) {
                all.push(format!("{name}.{described}"));
            }
        }
        all
    }

    /// Returns the same for a row.
    fn describe_row(attribute: &Attribute) -> Vec<String> {
        let name = attribute.name;
        let value_type = match attribute.content {
            // The only simple attribute with several values.
            Content::Simple(_) if name == "schemas" => "reference, several",
            Content::Simple(leaf) => leaf.extraction.attribute_type().name(),
            Content::Object(_) => "complex",
            Content::List { .. } => "complex, several",
        };
        let mut all = vec![format!("{name}: {value_type}")];
        for SubAttribute { name: sub_name, leaf } in attribute.sub_attributes() {
            all.push(format!("{name}.{sub_name}: {}", leaf.extraction.attribute_type().name()));
        }
        all
    }

    #[test]
    fn every_attribute_is_described_in_the_schema() {
        let discovery = Discovery::new(&urls(), 1000, &[]).unwrap();
        let of_schema = |urn: &str| discovery.schema(urn).unwrap()["attributes"].clone();
        let common: Value = serde_json::from_str(COMMON_ATTRIBUTES).unwrap();
        let mut core = common["attributes"].as_array().unwrap().clone();
        let meta = core.pop().unwrap();
        core.extend(of_schema(scim::USER_SCHEMA).as_array().unwrap().clone());
        core.push(meta);
        for (extension, attributes) in [
            (None, Value::Array(core)),
            (Some(scim::ENTERPRISE_USER_SCHEMA), of_schema(scim::ENTERPRISE_USER_SCHEMA)),
            (Some(scim::PERSONIO_USER_SCHEMA), of_schema(scim::PERSONIO_USER_SCHEMA)),
        ] {
            let sections = SECTIONS.iter().filter(|section| section.extension == extension);
            let rows = sections.flat_map(|section| section.attributes).flat_map(describe_row);
            let described = attributes.as_array().unwrap().iter().flat_map(describe);
            assert_eq!(rows.collect::<Vec<_>>(), described.collect::<Vec<_>>());
        }
    }

    /// Person with a value of every attribute.
    fn full_person() -> Value {
        json!({
            "id": "7", "email": "ann@example.com", "first_name": "Ann", "last_name": "Lee",
            "preferred_name": "Annie", "status": "ACTIVE", "created_at": "2020-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "custom_attributes": [
                {"id": "dynamic_1", "value": "de"}, {"id": "dynamic_2", "value": "UTC"},
            ],
        })
    }

    fn full_employment() -> Value {
        json!({
            "id": "e", "status": "ACTIVE", "type": "EXTERNAL", "position": {"title": "Pilot"},
            "supervisor": {"id": "8"}, "office": {"id": "4"}, "legal_entity": {"id": "3"},
            "org_units": [
                {"id": "2", "type": "team"}, {"id": "1", "type": "department"},
                {"id": "2", "type": "team"}, {"id": "9", "type": "guild"}, {"id": "6"},
            ],
            "cost_centers": [{"id": "5", "weight": 100}], "job": {"id": "6"},
            "employment_start_date": "2020-02-29", "employment_end_date": "2027-01-01",
            "probation_end_date": "2020-08-01", "contract_end_date": "2028-01-01",
            "termination": {
                "termination_date": "2027-01-01", "last_working_day": "2026-12-01",
            },
            "updated_at": "2026-02-01T00:00:00Z",
        })
    }

    /// Asserts that the rows yield the values of the user that [`user::map_user`] makes. Returns
    /// the paths of all values.
    fn check(
        person: &Person,
        user_name: &str,
        employments: &[Employment],
        policy: &MappingPolicy,
    ) -> BTreeSet<String> {
        let manager = json!({"id": "8", "email": "bo@example.com", "last_name": "Bo"});
        let manager: Person = serde_json::from_value(manager).unwrap();
        let card = ManagerCard {
            header: PersonHeader::from_person(&manager),
            user_name: "bo@example.com".into(),
            supervisor: Some("9"),
        };
        let names: LookupNames = [
            (LookupKind::Department, "1", "Research"),
            (LookupKind::Team, "2", "Rockets"),
            (LookupKind::LegalEntity, "3", "Example Ltd"),
            (LookupKind::CostCenter, "5", "Fuel"),
            (LookupKind::Workplace, "4", "Berlin"),
            (LookupKind::Job, "6", "Aviation"),
        ]
        .map(|(kind, id, name)| (kind, id.to_owned(), name.to_owned()))
        .into_iter()
        .collect();
        let (attribute_mapper, urls) = (AttributeMapper::new(policy), urls());
        let context = MappingContext {
            policy,
            attribute_mapper: &attribute_mapper,
            urls: &urls,
            lookup_names: &names,
            managers: HashMap::from([("8", card)]),
            today: date(2026, 11, 30),
        };
        let user = user::map_user(person, user_name.to_owned(), employments, &context);
        let types = Discovery::new(&urls, 1000, &[]).unwrap().compile_types().unwrap();
        let encoded = EncodedContent::new(&types.user, &user).unwrap();
        let resource = encoded.into_resource(&user.meta).unwrap();
        let user: Value = serde_json::from_str(resource.json()).unwrap();
        let input = MappingInput::new(person, user_name, employments, &context);
        let mut paths = BTreeSet::new();
        for section in &SECTIONS {
            let members = match section.extension {
                Some(urn) => &user[urn],
                None => &user,
            };
            for attribute in section.attributes {
                // A user without names has an empty `name`.
                let empty_name = json!({});
                let mut served = members.get(attribute.name).cloned();
                served.take_if(|value| *value == empty_name);
                let mut extracted = attribute.value(&input);
                if attribute.name == "meta"
                    && let (Some(extracted), Some(served)) = (&mut extracted, &served)
                {
                    extracted["version"] = served["version"].clone();
                }
                if attribute.name != "schemas" {
                    assert_eq!(extracted, served, "{}", attribute.name);
                }
                let Some(served) = served else { continue };
                paths.insert(attribute.name.to_owned());
                let element = served.as_array().map_or(&served, |list| list.last().unwrap());
                for SubAttribute { name, .. } in attribute.sub_attributes() {
                    if element.get(*name).is_some() {
                        paths.insert(format!("{}.{name}", attribute.name));
                    }
                }
            }
        }
        paths
    }

    /// Policy that overrides every attribute: those with an even index by a custom attribute of the
    /// full person, the others by one that no person has.
    fn overriding(has_fallback: bool) -> MappingPolicy {
        let mut policy = MappingPolicy::default();
        for (index, attribute) in OverridableAttribute::ALL.into_iter().enumerate() {
            let id = if index % 2 == 0 { "dynamic_1" } else { "dynamic_9" };
            let mut chosen = AttributeOverride::with_source(attribute, id, has_fallback);
            chosen.new_values.insert("Fuel".to_owned(), "Kerosene".to_owned());
            policy.standard_attributes.overrides.push(chosen);
        }
        policy
    }

    #[test]
    fn overridable_attributes_are_those_that_their_rows_name() {
        let mut overridable = Vec::new();
        for attribute in all() {
            if let Content::Simple(Leaf { overridable: Some(name), .. }) = attribute.content {
                assert_eq!(name.name(), attribute.name);
                overridable.push(name);
            }
        }
        assert_eq!(overridable, OverridableAttribute::ALL);
    }

    #[test]
    fn rows_yield_the_values_of_the_user() {
        let full: Person = serde_json::from_value(full_person()).unwrap();
        let nameless: Person = serde_json::from_value(json!({"id": "7"})).unwrap();
        let employment: Employment = serde_json::from_value(full_employment()).unwrap();
        let bare: Employment = serde_json::from_value(json!({"id": "e"})).unwrap();
        let standard_attributes = StandardAttributePolicy {
            team_is_division: true,
            ..StandardAttributePolicy::default()
                .with_source(OverridableAttribute::PreferredLanguage, "dynamic_1", true)
                .with_source(OverridableAttribute::Locale, "dynamic_1", true)
                .with_source(OverridableAttribute::Timezone, "dynamic_2", true)
        };
        let policy = MappingPolicy {
            standard_attributes,
            optional: OptionalContent {
                employments: ServedEmployments::All,
                manager_levels: true,
                nested_groups: true,
            },
            groups: vec![GroupKind::Department, GroupKind::Office, GroupKind::Job],
            ..MappingPolicy::default()
        };
        let (full_employments, bare_employments) = ([employment], [bare]);
        let mut paths = check(&full, "ann@example.com", &full_employments, &policy);
        let planned =
            json!({"id": "f", "status": "ONBOARDING", "employment_start_date": "2027-02-01"});
        let planned_employments = [serde_json::from_value(planned).unwrap()];
        paths.extend(check(&full, "ann@example.com", &planned_employments, &policy));
        for attribute in all() {
            assert!(paths.contains(attribute.name), "{}", attribute.name);
            for SubAttribute { name, .. } in attribute.sub_attributes() {
                let path = format!("{}.{name}", attribute.name);
                assert!(paths.contains(&path), "{path}");
            }
        }
        for policy in [policy, overriding(true), overriding(false), MappingPolicy::default()] {
            for person in [&full, &nameless] {
                for employments in
                    [&full_employments[..], &bare_employments, &planned_employments, &[]]
                {
                    check(person, "personio-7", employments, &policy);
                }
            }
        }
    }

    #[test]
    fn paths_find_their_leaves() {
        let hire_date = format!("{}:hireDate", scim::PERSONIO_USER_SCHEMA);
        for (path, source) in [
            ("title", Some("employment.position.title")),
            ("name.familyName", Some("person.last_name")),
            (hire_date.as_str(), Some("employment.employment_start_date")),
            ("meta.version", Some("a hash of everything else")),
            ("hireDate", None),
            ("name", None),
            ("title.x", None),
            ("name.x", None),
            ("urn:x:title", None),
        ] {
            assert_eq!(find_leaf(path).map(|leaf| leaf.source.summary()), source, "{path}");
        }
    }
}
