//! Mapping of a person and the primary employment to a SCIM User.

use crate::mapping::context::MappingContext;
use crate::mapping::employment::{cost_center_id, legal_entity, supervisor, title, unit_id};
use crate::mapping::groups;
use crate::mapping::person_header::PersonHeader;
use crate::personio::LookupKind;
use crate::personio::model::{Employment, Person};
use crate::scim::{Email, EnterpriseUser, Manager, PersonName, ResourceMeta, User};

/// Maps a person to a SCIM User. Without readable `employments`, the user has only the attributes
/// that come from the person.
pub(crate) fn map_user(
    person: &Person,
    user_name: String,
    employments: &[Employment],
    context: &MappingContext<'_>,
) -> User {
    let primary = context.date_rules().evaluate(person, employments);
    let employment = primary.employment;
    let header = PersonHeader::from_person(person);
    User {
        external_id: person.id.clone(),
        display_name: header.display_name(&user_name),
        name: PersonName {
            formatted: header.full_name(),
            family_name: person.last_name.clone(),
            given_name: person.first_name.clone(),
        },
        title: employment.and_then(title).map(str::to_owned),
        user_type: match employment.and_then(|employment| employment.employment_type.as_deref()) {
            Some("INTERNAL") => Some("Employee"),
            Some("EXTERNAL") => Some("Contractor"),
            _ => None,
        },
        active: primary.activity.is_active,
        emails: emails(person),
        groups: groups::map_memberships(employment, context),
        enterprise: map_enterprise_user(person, employment, context),
        extension: context.extension_mapper.map_extension(person, employment, context),
        meta: ResourceMeta::of_user(
            context.urls.user(&person.id),
            person.created_at,
            person.updated_at.max(employment.and_then(|employment| employment.updated_at)),
        ),
        id: person.id.clone(),
        user_name,
    }
}

fn emails(person: &Person) -> Vec<Email> {
    match &person.email {
        Some(email) => vec![Email { value: email.clone(), kind: "work", primary: true }],
        None => Vec::new(),
    }
}

fn map_enterprise_user(
    person: &Person,
    employment: Option<&Employment>,
    context: &MappingContext<'_>,
) -> EnterpriseUser {
    let cost_center = employment.and_then(cost_center_id);
    let legal_entity = employment.and_then(legal_entity);
    let department = employment.and_then(|employment| unit_id(employment, "DEPARTMENT"));
    let division = match employment {
        Some(employment) if context.policy.team_is_division => unit_id(employment, "TEAM"),
        Some(_) | None => None,
    };
    EnterpriseUser {
        employee_number: match &context.policy.employee_number {
            None => Some(person.id.clone()),
            Some(id) => context.extension_mapper.employee_number(person, id),
        },
        cost_center: name(LookupKind::CostCenter, cost_center, context),
        organization: name(LookupKind::LegalEntity, legal_entity, context),
        division: name(LookupKind::Team, division, context),
        department: name(LookupKind::Department, department, context),
        manager: map_manager(employment, context),
    }
}

fn name(kind: LookupKind, id: Option<&str>, context: &MappingContext<'_>) -> Option<String> {
    context.name(kind, id).map(str::to_owned)
}

fn map_manager(employment: Option<&Employment>, context: &MappingContext<'_>) -> Option<Manager> {
    let id = supervisor(employment?)?;
    let display_name = context.managers.get(id)?.display_name();
    Some(Manager {
        value: id.to_owned(),
        reference: context.urls.user(id),
        display_name: Some(display_name),
    })
}
