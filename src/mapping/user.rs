//! Mapping of a person and the primary employment to a SCIM User.

use crate::mapping::attributes::input::MappingInput;
use crate::mapping::attributes::table;
use crate::mapping::context::MappingContext;
use crate::mapping::groups;
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
    let input = MappingInput::new(person, &user_name, employments, context);
    let last_modified = input.last_modified();
    User {
        id: person.id.clone(),
        external_id: person.id.clone(),
        name: PersonName {
            formatted: table::FULL_NAME.text(&input),
            family_name: table::FAMILY_NAME.text(&input),
            given_name: table::GIVEN_NAME.text(&input),
        },
        attributes: context.attribute_mapper.map_core(&input),
        active: input.primary.activity.is_active,
        emails: map_emails(person),
        groups: groups::map_memberships(input.employment(), context),
        enterprise: map_enterprise_user(&input),
        extension: context.attribute_mapper.map_extension(&input),
        meta: ResourceMeta::of_user(
            context.urls.user(&person.id),
            person.created_at,
            last_modified,
        ),
        display_name: input.display_name.text.into_owned(),
        user_name,
    }
}

/// Returns the e-mail addresses of a person: at most one.
pub(crate) fn map_emails(person: &Person) -> Vec<Email> {
    match &person.email {
        Some(email) => vec![Email { value: email.clone(), kind: "work", primary: true }],
        None => Vec::new(),
    }
}

fn map_enterprise_user(input: &MappingInput<'_>) -> EnterpriseUser {
    EnterpriseUser {
        employee_number: table::EMPLOYEE_NUMBER.text(input),
        cost_center: table::COST_CENTER.text(input),
        organization: table::ORGANIZATION.text(input),
        division: table::DIVISION.text(input),
        department: table::DEPARTMENT.text(input),
        manager: map_manager(input),
    }
}

fn map_manager(input: &MappingInput<'_>) -> Option<Manager> {
    Some(Manager {
        value: table::MANAGER_ID.text(input)?,
        reference: table::MANAGER_REFERENCE.text(input)?,
        display_name: table::MANAGER_NAME.text(input),
    })
}
