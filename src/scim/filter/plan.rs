//! A condition bound to the columns of many resources: each test is tried on every distinct value once, and
//! what it holds for is a set of resources. Where a column cannot tell, the resource is asked.

use super::check::Check;
use super::condition::Condition;
use crate::scim::bits::Bits;
use crate::scim::column::{Column, Elements};
use crate::scim::{AttributeId, Resources};

/// To ask more resources than this takes longer than to look at the columns.
const MANY: usize = 2000;

/// So many resources are asked before it is asked again whether to go on.
const SOME: usize = 1000;

/// The places of the resources for which the condition holds, in the list's order.
///
/// # Errors
/// Those of `go_on`, which is asked now and then.
pub(in crate::scim) fn matches<E>(
    condition: &Condition,
    resources: &Resources,
    go_on: &impl Fn() -> Result<(), E>,
) -> Result<Vec<u32>, E> {
    if let Some(candidates) = candidates(condition, resources) {
        return Ok(candidates.into_iter().filter(|place| asked(condition, resources, *place as usize)).collect());
    }
    let all = Bits::all(resources.all().len());
    let found = Plan::new(condition, resources).among(&all, go_on)?;
    Ok(found.numbers().filter_map(|place| u32::try_from(place).ok()).collect())
}

/// The few places that the indexes leave: whoever the condition holds for is among them, in the list's order. None if an
/// index is no help.
pub(in crate::scim) fn candidates(condition: &Condition, resources: &Resources) -> Option<Vec<u32>> {
    match condition {
        Condition::All(parts) | Condition::Element(_, _, parts) => {
            let each = parts.iter().filter_map(|part| candidates(part, resources));
            each.min_by_key(Vec::len)
        }
        Condition::Any(parts) => {
            let mut places = Vec::new();
            for part in parts {
                places.append(&mut candidates(part, resources)?);
                if places.len() > MANY {
                    return None;
                }
            }
            places.sort_unstable();
            places.dedup();
            Some(places)
        }
        Condition::Value(attribute) => resources.few_with(attribute.id, attribute.check.equal_to()?),
        Condition::Always(false) => Some(Vec::new()),
        Condition::Not(_) | Condition::Always(true) => None,
    }
}

fn asked(condition: &Condition, resources: &Resources, place: usize) -> bool {
    resources.all().get(place).is_some_and(|resource| condition.holds(resource.value()))
}

/// A condition on many resources, or on the elements of an attribute.
enum Plan<'a> {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Always(bool),
    /// By the one value of the resource or element.
    One(&'a Check, &'a Column),
    /// By the values of the elements, of which any will do.
    Several(&'a Elements, &'a Check, &'a Column),
    /// One of the elements is as it must be.
    Element(&'a Elements, Box<Self>),
    /// The resource is asked.
    Ask(&'a Condition, &'a Resources),
}

/// What a condition is about.
#[derive(Clone, Copy)]
enum About {
    /// Resources, which can be asked.
    Resources,
    /// The one object in each resource that is in front of the brackets.
    Object,
    /// The elements of this attribute.
    Elements(AttributeId),
}

impl<'a> Plan<'a> {
    fn new(condition: &'a Condition, resources: &'a Resources) -> Self {
        Self::of(condition, resources, About::Resources).unwrap_or(Self::Ask(condition, resources))
    }

    /// The plan, or none if columns cannot tell.
    fn of(condition: &'a Condition, resources: &'a Resources, about: About) -> Option<Self> {
        let part = |part| match about {
            About::Resources => Some(Self::new(part, resources)),
            About::Object | About::Elements(_) => Self::of(part, resources, about),
        };
        Some(match condition {
            Condition::All(parts) => Self::All(parts.iter().map(part).collect::<Option<_>>()?),
            Condition::Any(parts) => Self::Any(parts.iter().map(part).collect::<Option<_>>()?),
            Condition::Not(inner) => Self::Not(Box::new(part(inner)?)),
            Condition::Always(holds) => Self::Always(*holds),
            Condition::Value(attribute) => {
                let (check, column) = (&attribute.check, resources.column(attribute.id)?);
                match (resources.resource_type().holder(attribute.id), about) {
                    (Some(holder), About::Elements(id)) if holder == id => Self::One(check, column),
                    (_, About::Elements(_)) => return None,
                    (Some(holder), _) => Self::Several(resources.elements(holder)?, check, column),
                    (None, _) => Self::One(check, column),
                }
            }
            Condition::Element(id, _, parts) => {
                let multi_valued = resources.resource_type().get(*id).multi_valued;
                let about = if multi_valued { About::Elements(*id) } else { About::Object };
                let parts = parts.iter().map(|part| Self::of(part, resources, about));
                let all = Self::All(parts.collect::<Option<_>>()?);
                if multi_valued { Self::Element(resources.elements(*id)?, Box::new(all)) } else { all }
            }
        })
    }

    /// Those among these resources or elements for which it holds.
    fn among<E>(&self, among: &Bits, go_on: &impl Fn() -> Result<(), E>) -> Result<Bits, E> {
        go_on()?;
        Ok(match self {
            Self::All(parts) => {
                let mut left = among.clone();
                // A test that comes after one that left nobody has nothing to say.
                let mut parts = parts.iter();
                while let Some(part) = parts.next().filter(|_| !left.is_empty()) {
                    left = part.among(&left, go_on)?;
                }
                left
            }
            Self::Any(parts) => {
                let (mut found, mut left) = (Bits::none(among.len()), among.clone());
                let mut parts = parts.iter();
                while let Some(part) = parts.next().filter(|_| !left.is_empty()) {
                    let more = part.among(&left, go_on)?;
                    left.remove(&more);
                    found.add(&more);
                }
                found
            }
            Self::Not(inner) => without(among, &inner.among(among, go_on)?),
            Self::Always(true) => among.clone(),
            Self::Always(false) => Bits::none(among.len()),
            Self::One(check, column) => both(among, one(check, column)),
            Self::Several(elements, check, column) => both(among, several(elements, check, column)),
            Self::Element(elements, part) => {
                both(among, elements.holders(&part.among(&Bits::all(elements.count()), go_on)?))
            }
            Self::Ask(condition, resources) => {
                let mut found = Bits::none(among.len());
                for (number, place) in among.numbers().enumerate() {
                    if number % SOME == SOME - 1 {
                        go_on()?;
                    }
                    if asked(condition, resources, place) {
                        found.insert(place);
                    }
                }
                found
            }
        })
    }
}

fn both(among: &Bits, mut found: Bits) -> Bits {
    found.keep(among);
    found
}

fn without(among: &Bits, found: &Bits) -> Bits {
    let mut left = among.clone();
    left.remove(found);
    left
}

fn one(check: &Check, column: &Column) -> Bits {
    let values = holding(check, column);
    let absent = check.holds_without_value();
    if values.is_empty() && !absent {
        return Bits::none(column.len());
    }
    column.having(&values, absent)
}

fn several(elements: &Elements, check: &Check, column: &Column) -> Bits {
    let values = holding(check, column);
    let mut found = if values.is_empty() {
        Bits::none(elements.holder_count())
    } else {
        elements.holders(&column.having(&values, false))
    };
    if check.holds_without_value() {
        let present = column.having(&Bits::all(column.count()), false);
        found.add(&without(&Bits::all(elements.holder_count()), &elements.holders(&present)));
    }
    found
}

/// The codes of the values for which the check holds.
fn holding(check: &Check, column: &Column) -> Bits {
    let searched = check.contained().and_then(|part| column.containing(part));
    searched.unwrap_or_else(|| column.values().map(|value| check.holds_folded(&value)).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::sync::{Arc, LazyLock};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scim::filter::{Filter, Limits};
    use crate::scim::{AttributeType, CustomAttribute, Discovery, EXTENSION_USER, Locations, Resource, ResourceType};

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
        "name[not (familyName eq \"a\")]",
        "title co \"\" or title co \"b\" and active ne true",
        "not (title co \"ab\" or title co \"ba\" or title co \"a\")",
        "schemas co \"A\"",
        "meta.created co \"-05-\"",
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
        "name.givenName sw \"a\" or name.givenName ew \"\\\"\"",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User:badge gt 2",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User:badge ne 3",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User:tags eq \"A\"",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User:tags ne \"a\"",
        "urn:ietf:params:scim:schemas:extension:personio:2.0:User pr",
    ];

    /// Values that an attribute has, or has in an unusual shape.
    fn odd() -> impl Strategy<Value = Value> {
        let scalar = prop::sample::select(vec![
            json!("a"),
            json!("A"),
            json!("b"),
            json!("\"b\""),
            json!(""),
            json!("2026-01-01T00:00:00Z"),
            json!("2026-05-01T00:00:00Z"),
            json!(true),
            json!(false),
            json!(null),
            json!(3),
            json!(3.0),
            json!(1e300),
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
        let tags = prop_oneof![9 => prop::collection::vec(odd(), 0..3).prop_map(Value::from), 1 => odd()];
        let extension = (odd(), tags).prop_map(|(badge, tags)| json!({"badge": badge, "tags": tags}));
        let extension = prop_oneof![14 => extension, 1 => odd()];
        let rest = (odd(), schemas, extension);
        (odd(), odd(), name, emails, rest).prop_map(|(title, active, name, emails, (created, schemas, extension))| {
            let meta = json!({"created": created});
            json!({"title": title, "active": active, "name": name, "emails": emails, "meta": meta, "schemas": schemas,
                EXTENSION_USER: extension})
        })
    }

    static KIND: LazyLock<Arc<ResourceType>> = LazyLock::new(|| {
        let attribute = |name: &str, kind, multi_valued| CustomAttribute { name: name.to_owned(), kind, multi_valued };
        let custom =
            [attribute("badge", AttributeType::Decimal, false), attribute("tags", AttributeType::String, true)];
        let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &custom).unwrap();
        discovery.compiled().unwrap().user
    });

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn columns_say_what_the_resources_say(users in prop::collection::vec(user(), 0..5)) {
            let kind = &*KIND;
            let all: Vec<_> = users.iter().map(|user| Arc::new(Resource::new(kind, user).unwrap())).collect();
            let resources = Resources::new(kind, all.clone());
            let later = Resources::new(kind, all);
            for text in FILTERS {
                let filter = Filter::parse(text, Limits::default()).unwrap();
                let condition = Condition::new(&filter, text, kind, &[kind]).unwrap();
                let go_on = || Ok::<(), Infallible>(());
                let Ok(found) = Plan::new(&condition, &resources).among(&Bits::all(users.len()), &go_on);
                later.prepare_like(&resources);
                let Ok(again) = Plan::new(&condition, &later).among(&Bits::all(users.len()), &go_on);
                prop_assert_eq!(&again, &found);
                for (at, resource) in resources.all().iter().enumerate() {
                    let expected = condition.holds(resource.value());
                    prop_assert_eq!(found.get(at), Some(expected), "{}: {}", text, resource.json());
                }
            }
        }
    }

    #[test]
    fn a_search_ends_when_it_is_to() {
        let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
        let kind = discovery.compiled().unwrap().user;
        // An object instead of a text: only the resources themselves can tell.
        let user = json!({"title": {"a": "b"}, "userName": "a"});
        let all = (0..3 * SOME).map(|_| Arc::new(Resource::new(&kind, &user).unwrap())).collect();
        let resources = Resources::new(&kind, all);
        for text in ["userName co \"x\" or userName co \"y\" or userName co \"z\"", "not (title pr)"] {
            let filter = Filter::parse(text, Limits::default()).unwrap();
            let condition = Condition::new(&filter, text, &kind, &[&kind]).unwrap();
            let asked = Cell::new(0);
            let most = |most: usize| {
                let asked = &asked;
                asked.set(0);
                move || {
                    asked.set(asked.get() + 1);
                    if asked.get() > most { Err(()) } else { Ok(()) }
                }
            };
            assert!(matches(&condition, &resources, &most(usize::MAX)).is_ok());
            let times = asked.get();
            assert!(times > 1, "{text}: {times}");
            for fewer in 0..times {
                assert_eq!(matches(&condition, &resources, &most(fewer)), Err(()), "{text}");
                assert_eq!(asked.get(), fewer + 1, "{text}");
            }
        }
    }

    #[test]
    fn what_has_an_index_is_answered_without_a_scan() {
        let discovery = Discovery::new(&Locations::new("https://scim.example.com"), 1000, &[]).unwrap();
        let kind = discovery.compiled().unwrap().user;
        let user = |id: &str, email: &str| {
            let emails = json!([{"value": email, "type": "work"}]);
            let user = json!({"id": id, "userName": id, "externalId": id, "title": "x", "emails": emails});
            Arc::new(Resource::new(&kind, &user).unwrap())
        };
        let resources = Resources::new(&kind, vec![user("a", "a@x"), user("b", "b@x"), user("c", "c@x")]);
        for (text, expected) in [
            ("id eq \"b\"", Some(vec![1])),
            ("userName eq \"B\"", Some(vec![1])),
            ("externalId eq \"b\"", Some(vec![1])),
            ("emails eq \"B@x\"", Some(vec![1])),
            ("emails.value eq \"b@x\"", Some(vec![1])),
            ("title eq \"x\" and id eq \"b\"", Some(vec![1])),
            ("not (title pr) and (title eq \"x\" and id eq \"b\")", Some(vec![1])),
            ("emails[type eq \"work\" and value eq \"b@x\"]", Some(vec![1])),
            ("emails[type eq \"work\"].value eq \"b@x\"", Some(vec![1])),
            ("id eq \"c\" or id eq \"a\" or userName eq \"a\"", Some(vec![0, 2])),
            ("id eq \"c\" or emails[value eq \"a@x\" or value eq \"b@x\"]", Some(vec![0, 1, 2])),
            ("title pr and (id eq \"c\" or title pr and id eq \"nobody\")", Some(vec![2])),
            ("id eq \"c\" or title eq \"x\"", None),
            ("not (id eq \"c\")", None),
            ("id ne \"c\"", None),
            ("id sw \"c\"", None),
            ("title eq \"x\"", None),
        ] {
            let filter = Filter::parse(text, Limits::default()).unwrap();
            let condition = Condition::new(&filter, text, &kind, &[&kind]).unwrap();
            assert_eq!(candidates(&condition, &resources), expected, "{text}");
        }
    }
}
