//! A condition bound to the columns of many resources: for each distinct value it is worked out once
//! whether it is as it must be. Where a column cannot tell, the resource is asked.

use super::condition::{Attribute, Condition};
use crate::scim::column::{ABSENT, Column, Elements};
use crate::scim::{AttributeId, Resources};

/// A condition on many resources.
pub(in crate::scim) enum Plan<'a> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Always(bool),
    /// By the one value of the resource or element.
    One(Table<'a>),
    /// By the values of the elements, of which any will do.
    Several(&'a Elements, Table<'a>),
    /// One of the elements is as it must be.
    Element(&'a Elements, Vec<Self>),
    /// The resource is asked.
    Ask(&'a Condition, &'a Resources),
}

/// For whom a test holds, by the code of the value.
pub(in crate::scim) struct Table<'a> {
    codes: &'a [u32],
    holds: Box<[bool]>,
    without: bool,
}

impl Table<'_> {
    fn has_value(&self, at: usize) -> bool {
        self.codes.get(at).is_some_and(|code| *code != ABSENT)
    }

    /// Whether it holds for the value; there must be one.
    fn holds(&self, at: usize) -> bool {
        self.codes.get(at).and_then(|code| self.holds.get(*code as usize)).copied().unwrap_or_default()
    }
}

impl<'a> Plan<'a> {
    pub(in crate::scim) fn new(condition: &'a Condition, resources: &'a Resources) -> Self {
        Self::of(condition, resources, None).unwrap_or(Self::Ask(condition, resources))
    }

    /// The plan for resources, or for the elements of an attribute. None if columns cannot tell.
    fn of(condition: &'a Condition, resources: &'a Resources, element: Option<AttributeId>) -> Option<Self> {
        let part = |part| match element {
            None => Some(Self::new(part, resources)),
            Some(_) => Self::of(part, resources, element),
        };
        Some(match condition {
            Condition::All(parts) => Self::All(parts.iter().map(part).collect::<Option<_>>()?),
            Condition::Any(parts) => Self::Any(parts.iter().map(part).collect::<Option<_>>()?),
            Condition::Not(inner) => Self::Not(Box::new(part(inner)?)),
            Condition::Always(holds) => Self::Always(*holds),
            Condition::Value(attribute) => {
                let table = table(attribute, resources.columns().column(attribute.id)?);
                match resources.resource_type().holder(attribute.id) {
                    holder if holder == element => Self::One(table),
                    Some(holder) if element.is_none() => Self::Several(resources.columns().elements(holder)?, table),
                    Some(_) | None => return None,
                }
            }
            Condition::Element(id, _, parts) => {
                let elements = resources.columns().elements(*id)?;
                let parts = parts.iter().map(|part| Self::of(part, resources, Some(*id)));
                Self::Element(elements, parts.collect::<Option<_>>()?)
            }
        })
    }

    /// Whether the condition holds for the resource or element of this number.
    pub(in crate::scim) fn holds(&self, at: usize) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(at)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(at)),
            Self::Not(inner) => !inner.holds(at),
            Self::Always(holds) => *holds,
            Self::One(table) => {
                if table.has_value(at) {
                    table.holds(at)
                } else {
                    table.without
                }
            }
            Self::Several(elements, table) => {
                let mut found = false;
                let mut values = elements.of(at).filter(|&at| table.has_value(at)).inspect(|_| found = true);
                values.any(|at| table.holds(at)) || (!found && table.without)
            }
            Self::Element(elements, parts) => elements.of(at).any(|at| parts.iter().all(|part| part.holds(at))),
            Self::Ask(condition, resources) => {
                resources.all().get(at).is_some_and(|resource| condition.holds(resource.value()))
            }
        }
    }
}

fn table<'a>(attribute: &Attribute, column: &'a Column) -> Table<'a> {
    Table {
        codes: column.codes(),
        holds: column.values().map(|value| attribute.check.holds(value)).collect(),
        without: attribute.check.holds_without_value(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scim::filter::{Filter, Limits};
    use crate::scim::{Discovery, Locations, Resource};

    const FILTERS: &[&str] = &[
        "title pr",
        "title eq \"a\"",
        "title ne \"a\"",
        "title co \"A\"",
        "title eq null",
        "title gt \"a\" or title lt \"a\"",
        "active eq true",
        "active ne true",
        "name pr",
        "name.familyName eq \"a\"",
        "not (name.familyName ne \"a\" and title pr)",
        "name[familyName eq \"a\"]",
        "name[familyName ne \"a\" or givenName eq null]",
        "meta.created gt \"2026-01-01T00:00:00Z\"",
        "meta.created ne \"2026-01-01T00:00:00Z\"",
        "meta.created sw \"2026\"",
        "emails pr",
        "emails eq null",
        "emails co \"a\"",
        "emails.value ne \"a\"",
        "emails.primary eq true",
        "emails.primary ne true",
        "emails[value eq \"a\"]",
        "emails[value ne \"a\"]",
        "emails[not (value eq \"a\")]",
        "emails[value eq \"a\" and primary eq true]",
        "emails[value eq null or primary ne false]",
        "emails[primary eq true].value ne \"a\"",
        "emails[value pr] and not (emails[primary pr] or active eq false)",
        "schemas eq \"a\"",
        "schemas ne \"a\"",
        "schemas pr",
    ];

    /// Values that an attribute has, or has in an unusual shape.
    fn odd() -> impl Strategy<Value = Value> {
        let scalar = prop::sample::select(vec![
            json!("a"),
            json!("A"),
            json!("b"),
            json!(""),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-05-01T00:00:00Z"),
            json!(true),
            json!(false),
            json!(null),
            json!(3),
            json!({}),
            json!([]),
        ]);
        let list = prop::collection::vec(scalar.clone(), 0..3).prop_map(Value::from);
        prop_oneof![12 => scalar, 1 => list]
    }

    fn user() -> impl Strategy<Value = Value> {
        let email = prop_oneof![
            9 => (odd(), odd()).prop_map(|(value, primary)| json!({"value": value, "primary": primary})),
            1 => odd(),
        ];
        let emails = prop::collection::vec(email, 0..3).prop_map(Value::from);
        let emails = prop_oneof![14 => emails, 1 => odd()];
        let name = (odd(), odd()).prop_map(|(family, given)| json!({"familyName": family, "givenName": given}));
        let name = prop_oneof![9 => name, 1 => odd()];
        let schemas = prop::collection::vec(odd(), 0..3).prop_map(Value::from);
        (odd(), odd(), name, emails, odd(), schemas).prop_map(|(title, active, name, emails, created, schemas)| {
            let meta = json!({"created": created});
            json!({"title": title, "active": active, "name": name, "emails": emails, "meta": meta, "schemas": schemas})
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn columns_say_what_the_resources_say(users in prop::collection::vec(user(), 0..5)) {
            let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
            let kind = discovery.compiled().unwrap().user;
            let all = users.iter().map(|user| Arc::new(Resource::new(&kind, user).unwrap())).collect();
            let resources = Resources::new(&kind, all);
            for text in FILTERS {
                let filter = Filter::parse(text, Limits::default()).unwrap();
                let condition = Condition::new(&filter, text, &kind, &[&kind]).unwrap();
                let plan = Plan::new(&condition, &resources);
                for (at, resource) in resources.all().iter().enumerate() {
                    prop_assert_eq!(plan.holds(at), condition.holds(resource.value()), "{}: {}", text, resource.json());
                }
            }
        }
    }
}
