//! Mapping of the records of a load to users and groups.
//!
//! The mapping is incremental: it compares each person with the base, the sync state of the current
//! snapshot, and decodes and maps only the persons whose user may differ. The other users, and the
//! groups with the same members, are reported as unchanged, and the snapshot takes over their
//! resources. Without a base all persons are mapped; the result is the same.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::directory::{LoadQuality, LoadedContent, LoadedDirectory, SkippedCounts};
use crate::mapping::context::{ManagerCard, MappingContext};
use crate::mapping::employment;
use crate::mapping::groups::{self, GroupMembers, GroupNesting};
use crate::mapping::person_header::PersonHeader;
use crate::mapping::primary_employment::DateRules;
use crate::mapping::user;
use crate::mapping::user_name::{self, AddressClaim, UserNames};
use crate::mapping::validity::ValidityPeriod;
use crate::scim::{Group, ResourceUrls, User, compare_list_keys};
use crate::sync::active_mapping::ActiveMapping;
use crate::sync::completeness_check::{CompletenessCheck, lacks_status};
use crate::sync::lookup_ids::lacks_name;
use crate::sync::record_codec::{CodecError, DecodedRecord};
use crate::sync::records::{PersonRecord, Records, RecordsById};

/// Mapped person: what decides whether the user is the same in the next load, and what the mapping
/// of the other persons needs of this one. It stays in memory as long as the user is served, so it
/// shares its texts with other persons.
#[derive(Debug, Clone)]
pub(crate) struct MappedPerson {
    /// Mapped record, or a later one that gives the same user.
    record: Arc<PersonRecord>,
    /// Source of the `userName`; `None` if the person is not a user.
    user_name: Option<UserNameSource>,
    /// Supervisor of the primary employment, who is a user or not.
    supervisor: Option<Arc<str>>,
    /// Ids of the user's groups.
    groups: Arc<[Box<str>]>,
    /// Days on which the record gives the same user.
    validity: ValidityPeriod,
    lacks_status: bool,
    /// True if the primary employment refers to a name that could not be read.
    lacks_name: bool,
}

/// Source of a `userName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UserNameSource {
    /// E-mail address of the person.
    Address,
    /// Id of the person.
    Id,
}

/// Circumstances of a person in this load, for the comparison with the base.
struct PersonState<'a> {
    record: &'a Arc<PersonRecord>,
    user_name: Option<UserNameSource>,
    today: Date,
    /// Ids of the users who differ from the base as managers.
    changed_managers: &'a HashSet<&'a str>,
}

impl MappedPerson {
    /// Reports whether the person was a user, and `record` gives the same primary employment.
    fn has_same_employment(&self, record: &Arc<PersonRecord>, today: Date) -> bool {
        let is_same = Arc::ptr_eq(&self.record, record)
            || self.record.encoded.has_same_employments(&record.encoded);
        is_same && self.user_name.is_some() && self.validity.contains(today)
    }

    /// Reports whether the person gives the same user as before. This is the only rule of the
    /// mapping for it. The mapping in force and the look-up names must be those of the base.
    fn gives_same_user(&self, now: &PersonState<'_>) -> bool {
        self.record.gives_same_user_as(now.record)
            && self.user_name == now.user_name
            && self.validity.contains(now.today)
            && self.supervisor.as_ref().is_none_or(|id| !now.changed_managers.contains(&**id))
    }
}

/// Replaces the records of mapped persons with those of a later load that gives the same users.
pub(crate) fn with_records(
    persons: &[MappedPerson],
    records: &RecordsById,
) -> Option<Vec<MappedPerson>> {
    let mut replaced = Vec::with_capacity(persons.len());
    for person in persons {
        let record = Arc::clone(records.get(&person.record.id)?);
        replaced.push(MappedPerson { record, ..person.clone() });
    }
    Some(replaced)
}

/// Users and groups of a load, and the persons from which they were mapped.
pub(crate) struct MappedLoad {
    pub(crate) directory: LoadedDirectory,
    /// All persons with a complete record, in list order.
    pub(crate) persons: Vec<MappedPerson>,
}

/// Mapper of the records of one load.
pub(crate) struct RecordMapper<'a> {
    pub(crate) mapping: &'a ActiveMapping,
    pub(crate) urls: &'a ResourceUrls,
    pub(crate) records: &'a Records,
    pub(crate) now: Timestamp,
}

/// Person with a complete record, in list order.
struct CompletePerson<'a> {
    header: PersonHeader<'a>,
    record: &'a Arc<PersonRecord>,
    /// `userName`; `None` if the person is not a user.
    user_name: Option<Cow<'a, str>>,
    /// Supervisor of the primary employment, if the person is a user and manager levels are served.
    supervisor: Option<Cow<'a, str>>,
    /// Same person in the base.
    earlier: Option<&'a MappedPerson>,
}

impl<'a> CompletePerson<'a> {
    /// Determines the supervisor. A record that gives the same user as in the base has the same.
    fn find_supervisor(&mut self, rules: &DateRules<'_>) -> Result<(), CodecError> {
        self.supervisor = match self.earlier {
            _ if self.user_name.is_none() => None,
            Some(earlier) if earlier.has_same_employment(self.record, rules.today) => {
                earlier.supervisor.as_deref().map(Cow::Borrowed)
            }
            Some(_) | None => {
                let employments = self.record.encoded.decode_employments()?.unwrap_or_default();
                let supervisor =
                    rules.primary_employment(&employments).and_then(employment::supervisor);
                supervisor.map(|id| Cow::Owned(id.to_owned()))
            }
        };
        Ok(())
    }

    fn user_name_source(&self) -> Option<UserNameSource> {
        let user_name = self.user_name.as_deref()?;
        let is_address = self.header.email == Some(user_name);
        Some(if is_address { UserNameSource::Address } else { UserNameSource::Id })
    }

    /// Reports whether a user has the same supervisor as in the base.
    fn has_same_supervisor(&self) -> bool {
        match self.earlier {
            Some(earlier) if self.user_name.is_some() => {
                earlier.supervisor.as_deref() == self.supervisor.as_deref()
            }
            Some(_) | None => true,
        }
    }

    /// Reports whether the person appears as a manager as in the base.
    fn is_same_manager(&self) -> Result<bool, CodecError> {
        let Some(earlier) = self.earlier else { return Ok(self.user_name.is_none()) };
        if earlier.user_name != self.user_name_source() {
            return Ok(false);
        }
        Ok(Arc::ptr_eq(&earlier.record, self.record)
            || earlier.record.encoded.decode_header()? == self.header)
    }
}

/// Differences from the base that concern other persons.
#[derive(Default)]
struct Changes<'a> {
    /// Ids of the users who differ as managers: their name or address differs, or they came or
    /// left. With manager levels, their supervisor differs, or one of the managers above them.
    managers: HashSet<&'a str>,
    /// Ids of the groups with a member that differs, came or left.
    groups: HashSet<Box<str>>,
}

impl RecordMapper<'_> {
    /// Maps the records. Users and groups that are the same as in `base` are not mapped again. The
    /// base must have the same mapping in force and the same look-up names.
    pub(crate) fn map(&self, base: Option<&[MappedPerson]>) -> Result<MappedLoad, CodecError> {
        let mut listed = listed_persons(&self.records.by_id, base.unwrap_or_default())?;
        let mut changes = Changes::default();
        find_earlier(&mut listed, base.unwrap_or_default(), &mut changes)?;
        let claims = AddressClaims { mapper: self, decoded: RefCell::default() };
        self.assign_user_names(&mut listed, &claims)?;
        self.find_changed_managers(&mut listed, &mut changes)?;
        let context = self.context(&listed);
        let today = context.today;
        let mut mapped = MappedPersons::new(listed.len(), base.unwrap_or_default());
        let mut decoded = claims.decoded.into_inner();
        for person in &listed {
            let now = PersonState {
                record: person.record,
                user_name: person.user_name_source(),
                today,
                changed_managers: &changes.managers,
            };
            if let Some(earlier) = person.earlier
                && earlier.gives_same_user(&now)
            {
                mapped.add_unchanged(person, earlier);
                continue;
            }
            let decoded = match decoded.remove(person.header.id) {
                Some(decoded) => decoded,
                None => person.record.encoded.decode()?,
            };
            mapped.add_mapped(person, decoded, &context, &mut changes);
        }
        let groups = self.groups(&listed, &mapped.persons, &changes);
        Ok(self.finish(mapped, groups, &listed))
    }

    /// Finds the users who differ from the base as managers. With manager levels, the name and the
    /// id of a manager are in the users of all persons below.
    fn find_changed_managers<'a>(
        &self,
        listed: &mut [CompletePerson<'a>],
        changes: &mut Changes<'a>,
    ) -> Result<(), CodecError> {
        let serves_levels = self.mapping.policy.optional.manager_levels;
        if serves_levels {
            let rules = self.date_rules();
            for person in &mut *listed {
                person.find_supervisor(&rules)?;
            }
        }
        for person in &*listed {
            let has_same_supervisor = !serves_levels || person.has_same_supervisor();
            if !has_same_supervisor || !person.is_same_manager()? {
                changes.managers.insert(person.header.id);
            }
        }
        if serves_levels {
            changes.add_managers_below(listed);
        }
        Ok(())
    }

    /// Determines who is a user, and assigns the user names.
    fn assign_user_names<'a>(
        &'a self,
        listed: &mut [CompletePerson<'a>],
        claims: &AddressClaims<'a>,
    ) -> Result<(), CodecError> {
        let mut headers = Vec::with_capacity(listed.len());
        for person in &*listed {
            if self.mapping.serves(&person.header) {
                headers.push(person.header);
            }
        }
        let UserNames { names, fallback_count } =
            user_name::assign_user_names(&headers, |header| claims.claim(header.id))?;
        let skipped = SkippedCounts { without_email: listed.len() - headers.len() };
        log_skipped_and_fallbacks(skipped, fallback_count);
        let mut names = names.into_iter();
        for person in listed {
            if self.mapping.serves(&person.header) {
                person.user_name = names.next();
            }
        }
        Ok(())
    }

    /// Returns the input of the mapping in addition to the person.
    fn context<'a>(&'a self, listed: &'a [CompletePerson<'a>]) -> MappingContext<'a> {
        let mut managers = HashMap::with_capacity(listed.len());
        for person in listed {
            let Some(user_name) = &person.user_name else { continue };
            let user_name = Cow::Borrowed(&**user_name);
            let header = person.header;
            let supervisor = person.supervisor.as_deref();
            managers.insert(header.id, ManagerCard { header, user_name, supervisor });
        }
        self.mapping.context(self.urls, &self.records.names, managers, self.now)
    }

    /// Returns all groups in the order of the list. Only those that differ from the base are made.
    fn groups(
        &self,
        listed: &[CompletePerson<'_>],
        persons: &[MappedPerson],
        changes: &Changes<'_>,
    ) -> Vec<LoadedContent<Group>> {
        let rule = self.mapping.policy.standard_attributes.display_name;
        let nested = self.nested_groups(persons);
        let changed = self.with_groups_above(&changes.groups);
        let mut members = GroupMembers::default();
        let mut unchanged: HashSet<&str> = HashSet::new();
        for (listed, person) in listed.iter().zip(persons) {
            let Some(user_name) = &listed.user_name else { continue };
            for id in &*person.groups {
                if changed.contains(id) {
                    members.add(id, &listed.header, user_name, rule, self.urls);
                } else {
                    unchanged.insert(id);
                }
            }
        }
        for NestedGroup { id, parent } in &nested {
            if changed.contains(parent) {
                members.add_group(parent, id, &self.records.names, self.urls);
            } else {
                unchanged.insert(parent);
            }
        }
        let mut groups = Vec::with_capacity(unchanged.len());
        for group in members.into_groups(&self.records.names, self.urls) {
            groups.push(LoadedContent::Mapped(Box::new(group)));
        }
        for id in unchanged {
            groups.push(LoadedContent::Unchanged(id.into()));
        }
        groups.sort_by(|one, other| groups::compare_group_ids(one.id(), other.id()));
        groups
    }

    fn nesting(&self) -> GroupNesting<'_> {
        GroupNesting { names: &self.records.names, policy: &self.mapping.policy }
    }

    /// Returns the groups that belong to the group of a unit above, in the order of the list. A
    /// group without users has some below.
    fn nested_groups(&self, persons: &[MappedPerson]) -> Vec<NestedGroup> {
        let nesting = self.nesting();
        let mut known: HashSet<Box<str>> = HashSet::new();
        let mut pending: Vec<Box<str>> = Vec::new();
        for person in persons.iter().filter(|person| person.user_name.is_some()) {
            for id in &*person.groups {
                if !known.contains(id) {
                    known.insert(id.clone());
                    pending.push(id.clone());
                }
            }
        }
        let mut nested = Vec::new();
        while let Some(id) = pending.pop() {
            let Some(parent) = nesting.parent(&id) else { continue };
            let parent: Box<str> = parent.into();
            if known.insert(parent.clone()) {
                pending.push(parent.clone());
            }
            nested.push(NestedGroup { id, parent });
        }
        nested.sort_by(|one, other| groups::compare_group_ids(&one.id, &other.id));
        nested
    }

    /// Returns these groups, and all those of the units above.
    fn with_groups_above(&self, groups: &HashSet<Box<str>>) -> HashSet<Box<str>> {
        let nesting = self.nesting();
        let mut all = groups.clone();
        for id in groups {
            let mut next = nesting.parent(id);
            while let Some(parent) = next {
                next = nesting.parent(&parent);
                all.insert(parent.into());
            }
        }
        all
    }

    fn finish(
        &self,
        mapped: MappedPersons,
        groups: Vec<LoadedContent<Group>>,
        listed: &[CompletePerson<'_>],
    ) -> MappedLoad {
        let MappedPersons { persons, users, .. } = mapped;
        let mut completeness = CompletenessCheck::default();
        let mut validity = ValidityPeriod::default();
        let mut quality = LoadQuality { defects: self.records.defects(), ..LoadQuality::default() };
        for (listed, person) in listed.iter().zip(&persons) {
            completeness.count(listed.header.email.is_none(), person.lacks_status);
            if person.user_name.is_none() {
                quality.skipped.without_email += 1;
                continue;
            }
            validity.limit_to(&person.validity);
            quality.without_lookup_name += usize::from(person.lacks_name);
            quality.outdated += usize::from(person.record.is_outdated());
            if person.record.is_unverified {
                quality.unverified.insert(person.record.id.clone());
            }
        }
        let directory = LoadedDirectory {
            schema_registry: Arc::clone(&self.mapping.schema_registry),
            users,
            groups,
            quality,
            completeness_error: completeness.error(),
            valid_during: validity.time_range(&self.mapping.policy.time_zone),
        };
        MappedLoad { directory, persons }
    }

    fn date_rules(&self) -> DateRules<'_> {
        self.mapping.date_rules(self.now)
    }
}

/// Group that is a member of the group of the unit above.
struct NestedGroup {
    id: Box<str>,
    parent: Box<str>,
}

/// Source of the claims of persons to an e-mail address that several have. The claims need the
/// employments; the records that it decodes are kept for the mapping.
struct AddressClaims<'a> {
    mapper: &'a RecordMapper<'a>,
    decoded: RefCell<HashMap<Box<str>, DecodedRecord>>,
}

impl AddressClaims<'_> {
    fn claim(&self, id: &str) -> Result<AddressClaim, CodecError> {
        let mut all = self.decoded.borrow_mut();
        if !all.contains_key(id) {
            let record = self.mapper.records.by_id.get(id).ok_or(CodecError::INVALID)?;
            all.insert(id.into(), record.encoded.decode()?);
        }
        let Some(DecodedRecord { person, employments }) = all.get(id) else {
            return Err(CodecError::INVALID);
        };
        let employments = employments.as_deref().unwrap_or_default();
        let rules = self.mapper.date_rules();
        Ok(AddressClaim::from_primary(&rules.evaluate(person, employments)))
    }
}

/// Persons and users of a load, in list order, while they are mapped.
struct MappedPersons {
    persons: Vec<MappedPerson>,
    users: Vec<LoadedContent<User>>,
    /// Supervisors and sets of groups, each of which many persons share.
    supervisors: HashSet<Arc<str>>,
    group_sets: HashSet<Arc<[Box<str>]>>,
}

impl MappedPersons {
    /// Creates an empty list that shares texts with `base`.
    fn new(capacity: usize, base: &[MappedPerson]) -> Self {
        let mut supervisors = HashSet::new();
        let mut group_sets = HashSet::new();
        for person in base {
            if let Some(id) = &person.supervisor
                && !supervisors.contains(id)
            {
                supervisors.insert(Arc::clone(id));
            }
            if !group_sets.contains(&person.groups) {
                group_sets.insert(Arc::clone(&person.groups));
            }
        }
        let (persons, users) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { persons, users, supervisors, group_sets }
    }

    /// Adds a person whose user is the same as in the base.
    fn add_unchanged(&mut self, listed: &CompletePerson<'_>, earlier: &MappedPerson) {
        if earlier.user_name.is_some() {
            self.users.push(LoadedContent::Unchanged(listed.header.id.into()));
        }
        let record = Arc::clone(listed.record);
        self.persons.push(MappedPerson { record, ..earlier.clone() });
    }

    /// Maps a person and adds the user.
    fn add_mapped(
        &mut self,
        listed: &CompletePerson<'_>,
        decoded: DecodedRecord,
        context: &MappingContext<'_>,
        changes: &mut Changes<'_>,
    ) {
        let rules = context.date_rules();
        let lacks_status = lacks_status(&decoded, &rules);
        let DecodedRecord { person, employments } = decoded;
        let employments = employments.unwrap_or_default();
        let mut validity = ValidityPeriod::default();
        rules.limit_validity(&person, &employments, &mut validity);
        let primary = rules.primary_employment(&employments);
        let mut mapped = MappedPerson {
            record: Arc::clone(listed.record),
            user_name: listed.user_name_source(),
            supervisor: None,
            groups: self.share_groups(Vec::new()),
            validity,
            lacks_status,
            lacks_name: lacks_name(primary, context.lookup_names),
        };
        if let Some(user_name) = &listed.user_name {
            let user = user::map_user(&person, user_name.to_string(), &employments, context);
            let supervisor = primary.and_then(employment::supervisor);
            mapped.supervisor = supervisor.map(|id| self.share_supervisor(id));
            let groups = user.groups.iter().map(|group| group.value.as_str().into());
            mapped.groups = self.share_groups(groups.collect());
            self.users.push(LoadedContent::Mapped(Box::new(user)));
        }
        if let Some(earlier) = listed.earlier {
            changes.groups.extend(earlier.groups.iter().cloned());
        }
        changes.groups.extend(mapped.groups.iter().cloned());
        self.persons.push(mapped);
    }

    fn share_supervisor(&mut self, id: &str) -> Arc<str> {
        if let Some(known) = self.supervisors.get(id) {
            return Arc::clone(known);
        }
        let id: Arc<str> = id.into();
        self.supervisors.insert(Arc::clone(&id));
        id
    }

    fn share_groups(&mut self, ids: Vec<Box<str>>) -> Arc<[Box<str>]> {
        if let Some(known) = self.group_sets.get(&*ids) {
            return Arc::clone(known);
        }
        let ids: Arc<[Box<str>]> = ids.into();
        self.group_sets.insert(Arc::clone(&ids));
        ids
    }
}

/// Returns all persons with a complete record, in list order.
fn listed_persons<'a>(
    records: &'a RecordsById,
    base: &[MappedPerson],
) -> Result<Vec<CompletePerson<'a>>, CodecError> {
    let mut listed = Vec::with_capacity(records.iter().len());
    // In the order of the base nearly all are sorted already, which sorting uses.
    let mut known = HashSet::with_capacity(base.len());
    for person in base {
        if let Some(record) = records.get(&person.record.id) {
            known.insert(&*record.id);
            add_listed(record, &mut listed)?;
        }
    }
    if known.len() < records.iter().len() {
        for record in records.iter() {
            if !known.contains(&*record.id) {
                add_listed(record, &mut listed)?;
            }
        }
    }
    listed.sort_by(|one, other| compare_in_list(&one.header, &other.header));
    Ok(listed)
}

/// Adds the person of a record, if it is complete.
fn add_listed<'a>(
    record: &'a Arc<PersonRecord>,
    listed: &mut Vec<CompletePerson<'a>>,
) -> Result<(), CodecError> {
    if record.is_complete() {
        let header = record.encoded.decode_header()?;
        listed.push(CompletePerson {
            header,
            record,
            user_name: None,
            supervisor: None,
            earlier: None,
        });
    }
    Ok(())
}

fn compare_in_list(one: &PersonHeader<'_>, other: &PersonHeader<'_>) -> Ordering {
    compare_list_keys((one.created_at, one.id), (other.created_at, other.id))
}

/// Finds the listed persons in the base. Both are in list order, so they are compared side by side.
/// A person with another creation time is not found, and counts as having left and come.
fn find_earlier<'a>(
    listed: &mut [CompletePerson<'a>],
    base: &'a [MappedPerson],
    changes: &mut Changes<'a>,
) -> Result<(), CodecError> {
    let mut base = base.iter().peekable();
    for person in listed {
        while let Some(&earlier) = base.peek() {
            let order = if Arc::ptr_eq(&earlier.record, person.record) {
                Ordering::Equal
            } else {
                compare_in_list(&earlier.record.encoded.decode_header()?, &person.header)
            };
            if order.is_gt() {
                break;
            }
            base.next();
            if order.is_eq() {
                person.earlier = Some(earlier);
                break;
            }
            changes.add_left(earlier);
        }
    }
    for earlier in base {
        changes.add_left(earlier);
    }
    Ok(())
}

impl<'a> Changes<'a> {
    /// Adds the users below the managers that differ, at any distance.
    fn add_managers_below(&mut self, listed: &[CompletePerson<'a>]) {
        if self.managers.is_empty() {
            return;
        }
        let mut reports: HashMap<&str, Vec<&'a str>> = HashMap::new();
        for person in listed {
            if let Some(supervisor) = person.supervisor.as_deref() {
                reports.entry(supervisor).or_default().push(person.header.id);
            }
        }
        let mut pending: Vec<&'a str> = self.managers.iter().copied().collect();
        while let Some(manager) = pending.pop() {
            for report in reports.remove(manager).unwrap_or_default() {
                if self.managers.insert(report) {
                    pending.push(report);
                }
            }
        }
    }

    /// Notes a person of the base who is not found among the listed persons.
    fn add_left(&mut self, earlier: &'a MappedPerson) {
        self.managers.insert(&earlier.record.id);
        self.groups.extend(earlier.groups.iter().cloned());
    }
}

/// Logs the persons that are left out, and those whose user name is not their e-mail address.
fn log_skipped_and_fallbacks(skipped: SkippedCounts, fallback_count: usize) {
    let SkippedCounts { without_email } = skipped;
    if without_email > 0 {
        tracing::info!(
            without_email,
            "{without_email} persons without an e-mail address are left out, as configured"
        );
    }
    if fallback_count > 0 {
        tracing::warn!(
            shared = fallback_count,
            "{fallback_count} persons have an e-mail address that another person has, or that has \
             the form of a userName made of an id; their userName is made of their id"
        );
    }
}
