//! A condition bound to the columns of many resources: each test is tried on every distinct value once, and
//! what it holds for is a set of resources. Where a column cannot tell, the resource is asked.

#[cfg(test)]
mod tests;

use crate::scim::filter::bind::Condition;
use crate::scim::filter::predicate::Check;
use crate::scim::store::bit_set::Bits;
use crate::scim::store::column::{Column, Elements};
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
        let mut found = Vec::new();
        for place in candidates {
            go_on()?;
            if asked(condition, resources, place as usize) {
                found.push(place);
            }
        }
        return Ok(found);
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
