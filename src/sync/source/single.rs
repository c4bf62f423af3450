//! Single-user fetch while there is no snapshot. The user equals the one that the list will hold.
//! Data that cannot be read completely is an error, and so is a `userName` that another person may
//! have.

use std::collections::HashMap;

use crate::mapping::ServedEmployments;
use crate::mapping::context::ManagerCard;
use crate::mapping::person_header::PersonHeader;
use crate::mapping::user;
use crate::mapping::user_name;
use crate::personio::model::{Employment, Person};
use crate::personio::{Endpoint, Error, LookupKind, LookupNames, ParsedEntry};
use crate::scim::User;
use crate::sync::error::LoadError;
use crate::sync::lookup_ids::LookupIds;
use crate::sync::refresh::{check_response, earlier_employments};
use crate::sync::source::{ActiveMapping, PersonioSource};

impl PersonioSource {
    /// Reads one person and maps it to a user. Returns `None` if Personio reports that there is no
    /// such person.
    pub(crate) async fn fetch_single_user(&self, id: &str) -> Result<Option<User>, LoadError> {
        let mapping = self.mapping.load_full();
        let person = self.client.person(id, &mapping.custom_attributes);
        let (person, employments) = tokio::join!(person, self.client.employments(id));
        let Some(ParsedEntry { value: person, .. }) = person? else { return Ok(None) };
        let known = earlier_employments(self.unserved_record(id).as_deref())?;
        let employments = check_response(employments?, &person, &known)?.employments;
        let now = self.clock.now();
        let employment = mapping.date_rules(now).primary_employment(&employments);
        let email = require_status_and_email(&person, employment)?;
        let mut lookup_ids = LookupIds::default();
        if let Some(employment) = employment {
            lookup_ids.add_one(employment);
        }
        if mapping.policy.optional.employments == ServedEmployments::All {
            lookup_ids.add_legal_entities(&employments);
        }
        let supervisor = employment.and_then(|it| it.supervisor.as_ref()?.id.as_deref());
        if mapping.policy.optional.manager_levels && supervisor.is_some() {
            let reason = "the managers of a person are known after the first load";
            return Err(unreadable_error(Endpoint::Employments, reason).into());
        }
        let (unique, names, manager) = tokio::join!(
            self.require_unique(&person.id, email),
            self.read_all_names(&lookup_ids),
            self.read_manager(supervisor, &mapping)
        );
        unique?;
        let (names, manager) = (names?, manager?);
        let mut cards = HashMap::new();
        if let Some(manager) = &manager {
            let user_name = user_name::fallback_user_name(&manager.id).into();
            cards.insert(
                manager.id.as_str(),
                ManagerCard {
                    header: PersonHeader::from_person(manager),
                    user_name,
                    supervisor: None,
                },
            );
        }
        let context = mapping.context(&self.urls, &names, cards, now);
        Ok(Some(user::map_user(&person, email.to_owned(), &employments, &context)))
    }

    /// Fails unless this person alone has the e-mail address, which becomes the `userName`.
    async fn require_unique(&self, id: &str, email: &str) -> Result<(), Error> {
        if user_name::has_fallback_prefix(email) {
            return Err(unreadable_error(
                Endpoint::Persons,
                "an e-mail address has the form of a userName that this program makes of an id",
            ));
        }
        let ids = self.client.ids_with_email(email).await?;
        if ids.len() == 1 && ids.iter().all(|found| found == id) {
            return Ok(());
        }
        Err(unreadable_error(
            Endpoint::Persons,
            "the search by e-mail address does not find this person alone",
        ))
    }

    /// Reads the names for all look-up ids. Fails if one of them is missing, unless the right to
    /// read these names is optional and missing.
    async fn read_all_names(&self, lookup_ids: &LookupIds) -> Result<LookupNames, Error> {
        let names = self.client.look_up_names(lookup_ids.by_kind()).await;
        for (kind, ids) in lookup_ids.by_kind() {
            if ids.iter().any(|id| is_name_missing(&names, *kind, id)) {
                return Err(unreadable_error(
                    lookup_endpoint(*kind),
                    "a name to which the employment refers is missing",
                ));
            }
        }
        Ok(names)
    }

    /// Reads the supervisor. Returns `None` without an id, or if Personio has no such person.
    async fn read_manager(
        &self,
        id: Option<&str>,
        mapping: &ActiveMapping,
    ) -> Result<Option<Person>, Error> {
        let Some(id) = id else { return Ok(None) };
        let manager = self.client.person(id, &mapping.custom_attributes).await?;
        let Some(ParsedEntry { value: manager, .. }) = manager else { return Ok(None) };
        let rule = mapping.policy.standard_attributes.display_name;
        let has_name = PersonHeader::from_person(&manager).name_to_display(rule).is_some();
        if manager.email.is_none() || !has_name {
            return Err(unreadable_error(
                Endpoint::Person,
                "a supervisor has no e-mail address or no name",
            ));
        }
        Ok(Some(manager))
    }
}

/// Returns the e-mail address of a person. Fails if the status or the address is absent, since the
/// credential may lack the permission to read it.
fn require_status_and_email<'p>(
    person: &'p Person,
    employment: Option<&Employment>,
) -> Result<&'p str, Error> {
    let status =
        employment.and_then(|employment| employment.status.as_ref()).or(person.status.as_ref());
    if status.is_none() {
        let reason = "the person has no status; the API credential must be allowed to read Status";
        return Err(unreadable_error(Endpoint::Person, reason));
    }
    let Some(email) = person.email.as_deref() else {
        let reason =
            "the person has no e-mail address; the API credential must be allowed to read Email";
        return Err(unreadable_error(Endpoint::Person, reason));
    };
    Ok(email)
}

/// Reports whether the list can have a name that is missing here. Without the right to read names,
/// the list lacks them too, if this right is optional.
fn is_name_missing(names: &LookupNames, kind: LookupKind, id: &str) -> bool {
    if kind.is_optional() { names.is_name_unread(kind, id) } else { names.get(kind, id).is_none() }
}

fn lookup_endpoint(kind: LookupKind) -> Endpoint {
    match kind {
        LookupKind::Department | LookupKind::Team => Endpoint::OrgUnits,
        LookupKind::LegalEntity => Endpoint::LegalEntities,
        LookupKind::Workplace => Endpoint::Workplaces,
        LookupKind::CostCenter => Endpoint::CostCenters,
        LookupKind::Job => Endpoint::Jobs,
    }
}

fn unreadable_error(endpoint: Endpoint, reason: &str) -> Error {
    Error::Unreadable { endpoint, reason: reason.to_owned() }
}
