//! Mapping of a person and the primary employment to a SCIM User.

use crate::mapping::context::Context;
use crate::mapping::employment::{cost_center, legal_entity, supervisor, title, unit};
use crate::mapping::groups;
use crate::mapping::person_header::Head;
use crate::personio::Kind;
use crate::personio::model::{Employment, Person};
use crate::scim::{Email, EnterpriseUser, Manager, Meta, Name, User};

/// Maps a person to a SCIM User. Without readable `employments`, the user has only the attributes
/// that come from the person.
pub(crate) fn user(
    person: &Person,
    user_name: String,
    employments: &[Employment],
    context: &Context<'_>,
) -> User {
    let primary = context.rules().primary(person, employments);
    let employment = primary.employment;
    let head = Head::of(person);
    User {
        external_id: person.id.clone(),
        display_name: head.display_name(&user_name),
        name: Name {
            formatted: head.full_name(),
            family_name: person.last_name.clone(),
            given_name: person.first_name.clone(),
        },
        title: employment.and_then(title).map(str::to_owned),
        user_type: match employment.and_then(|employment| employment.kind.as_deref()) {
            Some("INTERNAL") => Some("Employee"),
            Some("EXTERNAL") => Some("Contractor"),
            _ => None,
        },
        active: primary.standing.is_active,
        emails: emails(person),
        groups: groups::memberships(employment, context),
        enterprise: enterprise(person, employment, context),
        extension: context.attributes.extension(person, employment, context),
        meta: Meta::of_user(
            context.locations.user(&person.id),
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

fn enterprise(
    person: &Person,
    employment: Option<&Employment>,
    context: &Context<'_>,
) -> EnterpriseUser {
    let cost_center = employment.and_then(cost_center);
    let legal_entity = employment.and_then(legal_entity);
    let department = employment.and_then(|employment| unit(employment, "DEPARTMENT"));
    let division = match employment {
        Some(employment) if context.policy.team_is_division => unit(employment, "TEAM"),
        Some(_) | None => None,
    };
    EnterpriseUser {
        employee_number: match &context.policy.employee_number {
            None => Some(person.id.clone()),
            Some(id) => context.attributes.employee_number(person, id),
        },
        cost_center: name(Kind::CostCenter, cost_center, context),
        organization: name(Kind::LegalEntity, legal_entity, context),
        division: name(Kind::Team, division, context),
        department: name(Kind::Department, department, context),
        manager: manager(employment, context),
    }
}

fn name(kind: Kind, id: Option<&str>, context: &Context<'_>) -> Option<String> {
    context.name(kind, id).map(str::to_owned)
}

fn manager(employment: Option<&Employment>, context: &Context<'_>) -> Option<Manager> {
    let id = supervisor(employment?)?;
    let display_name = context.people.get(id)?.display_name();
    Some(Manager {
        value: id.to_owned(),
        reference: context.locations.user(id),
        display_name: Some(display_name),
    })
}
