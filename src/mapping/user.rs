//! Mapping of a person and the primary employment to a SCIM User.

use crate::mapping::context::Context;
use crate::mapping::employment::{cost_center, unit};
use crate::mapping::groups;
use crate::mapping::person_header::Head;
use crate::personio::Kind;
use crate::personio::model::{Employment, Person};
use crate::scim::{Email, EnterpriseUser, Manager, Meta, Name, User};

/// Maps a person to a SCIM User. Without readable `employments`, the user has only the attributes
/// that come from the person.
pub(crate) fn user(person: &Person, user_name: String, employments: &[Employment], context: &Context<'_>) -> User {
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
        title: employment.and_then(|employment| employment.position.as_ref()?.title.clone()),
        user_type: match employment.and_then(|employment| employment.kind.as_deref()) {
            Some("INTERNAL") => Some("Employee"),
            Some("EXTERNAL") => Some("Contractor"),
            _ => None,
        },
        active: primary.standing.is_active,
        emails: person.email.iter().map(|value| Email { value: value.clone(), kind: "work", primary: true }).collect(),
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

fn enterprise(person: &Person, employment: Option<&Employment>, context: &Context<'_>) -> EnterpriseUser {
    let named = |kind, id: Option<&str>| id.and_then(|id| context.names.get(kind, id)).map(str::to_owned);
    let team = || named(Kind::Team, employment.and_then(|employment| unit(employment, "TEAM")));
    let legal_entity = employment.and_then(|employment| employment.legal_entity.as_ref()?.id.as_deref());
    EnterpriseUser {
        employee_number: match &context.policy.employee_number {
            None => Some(person.id.clone()),
            Some(id) => context.attributes.employee_number(person, id),
        },
        cost_center: named(Kind::CostCenter, employment.and_then(cost_center)),
        organization: named(Kind::LegalEntity, legal_entity),
        division: if context.policy.team_is_division { team() } else { None },
        department: named(Kind::Department, employment.and_then(|employment| unit(employment, "DEPARTMENT"))),
        manager: manager(employment, context),
    }
}

fn manager(employment: Option<&Employment>, context: &Context<'_>) -> Option<Manager> {
    let id = employment?.supervisor.as_ref()?.id.as_deref()?;
    let display_name = context.people.get(id)?.display_name();
    Some(Manager { value: id.to_owned(), reference: context.locations.user(id), display_name: Some(display_name) })
}
