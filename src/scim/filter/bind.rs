//! What a filter means for one type of resources: names are looked up, values are of the attribute's
//! type. Whether it holds for a resource is a question that always has an answer.

use crate::scim::filter::parse::Mistake;
use crate::scim::filter::predicate::Check;
use crate::scim::filter::{Filter, ParseError, Path, Test};
use crate::scim::resource::Value;
use crate::scim::schema::{standard_attributes, suggestion};
use crate::scim::{AttributeId, ResourceType};

/// A filter for one type of resources.
#[derive(Debug)]
pub(in crate::scim) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// A value on the way is as it must be.
    Value(Attribute),
    /// One element of the attribute, which is on this way, is as it must be.
    Element(AttributeId, Box<[AttributeId]>, Vec<Self>),
    /// What does not depend on the resource, since its type has no such attribute.
    Always(bool),
}

/// A test of an attribute's values.
#[derive(Debug)]
pub(in crate::scim) struct Attribute {
    pub(super) id: AttributeId,
    /// From the resource or the element down to it.
    way: Box<[AttributeId]>,
    pub(super) check: Check,
}

impl Condition {
    /// What `filter`, which was written as `text`, means for `kind`. In a query over several `kinds` an
    /// attribute "that is not part of a type has no value there".
    pub(in crate::scim) fn new(
        filter: &Filter,
        text: &str,
        kind: &ResourceType,
        kinds: &[&ResourceType],
    ) -> Result<Self, ParseError> {
        Reader { kind, kinds, element: None }.condition(filter).map_err(|mistake| mistake.within(text))
    }

    pub(in crate::scim) fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(value)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(value)),
            Self::Not(inner) => !inner.holds(value),
            Self::Value(attribute) => attribute.holds(value),
            Self::Element(_, way, parts) => {
                any(value, way, &mut |element| parts.iter().all(|part| part.holds(element)))
            }
            Self::Always(holds) => *holds,
        }
    }

    /// How many tests of values it consists of.
    pub(in crate::scim) fn tests(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) | Self::Element(_, _, parts) => parts.iter().map(Self::tests).sum(),
            Self::Not(inner) => inner.tests(),
            Self::Value(_) => 1,
            Self::Always(_) => 0,
        }
    }
}

impl Attribute {
    /// "If any of the values matches" (RFC 7644 §3.4.2.2); and what is not there differs from everything.
    fn holds(&self, value: Value<'_>) -> bool {
        let mut found = false;
        let matched = any(value, &self.way, &mut |value| {
            let present = !value.is_empty();
            found |= present;
            present && self.check.holds(&value.content())
        });
        matched || (!found && self.check.holds_without_value())
    }
}

/// Whether `holds` for any value on the way from `value`.
fn any<'a>(value: Value<'a>, way: &[AttributeId], holds: &mut impl FnMut(Value<'a>) -> bool) -> bool {
    if value.is_array() {
        return value.parts().any(|element| any(element, way, holds));
    }
    match way {
        [] => holds(value),
        [first, rest @ ..] => value.get(*first).is_some_and(|value| any(value, rest, holds)),
    }
}

/// Looks up names.
struct Reader<'k> {
    kind: &'k ResourceType,
    kinds: &'k [&'k ResourceType],
    /// Within brackets: the attribute in front of them.
    element: Option<AttributeId>,
}

impl Reader<'_> {
    fn condition(&self, filter: &Filter) -> Result<Condition, Mistake> {
        let all = |parts: &[Filter]| parts.iter().map(|part| self.condition(part)).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::And(parts) => Condition::All(all(parts)?),
            Filter::Or(parts) => Condition::Any(all(parts)?),
            Filter::Not(inner) => Condition::Not(Box::new(self.condition(inner)?)),
            Filter::Test(path, test) => self.value(path, test)?,
            Filter::Element(path, inner, last) => self.element(path, inner, last.as_ref())?,
        })
    }

    fn value(&self, path: &Path, test: &Test) -> Result<Condition, Mistake> {
        let Some(id) = self.attribute(path)? else { return Ok(Condition::Always(Check::without_attribute(test)?)) };
        let (check, id) = Check::new(self.kind, id, path, test)?;
        let way = self.kind.way(id);
        let above = self.element.map_or(0, |element| self.kind.way(element).len());
        Ok(Condition::Value(Attribute { id, way: way.get(above..).unwrap_or_default().into(), check }))
    }

    fn element(&self, path: &Path, inner: &Filter, last: Option<&(Path, Test)>) -> Result<Condition, Mistake> {
        let Some(id) = self.attribute(path)? else {
            self.check_unserved(path, inner, last)?;
            return Ok(Condition::Always(false));
        };
        if self.kind.get(id).sub_attributes.is_empty() {
            return Err(without_sub_attributes(path));
        }
        let within = Reader { element: Some(id), ..*self };
        let mut parts = Vec::new();
        if !self.kind.get(id).multi_valued {
            // An object without anything in it is not there (RFC 7643 §2.5): nothing can be said of it.
            parts.push(Condition::Value(Attribute { id, way: Box::default(), check: Check::Present }));
        }
        parts.push(within.condition(inner)?);
        if let Some((path, test)) = last {
            parts.push(within.value(path, test)?);
        }
        Ok(Condition::Element(id, self.kind.way(id), parts))
    }

    /// The attribute of that name, or none if no resource of this type has one: only another type has it, or it is
    /// one of RFC 7643 that is not served.
    fn attribute(&self, path: &Path) -> Result<Option<AttributeId>, Mistake> {
        if let Some(element) = self.element {
            let found = self.kind.sub_attribute(element, &path.text);
            if found.is_none() && !standard_attributes::has_sub_attribute(self.kind, element, &path.text) {
                let holder = self.kind.get(element);
                let names = holder.sub_attributes.iter().map(|id| &*self.kind.get(*id).name);
                return Err(no_sub_attribute(path, &holder.name, names));
            }
            return Ok(found);
        }
        let found = self.kind.attribute(&path.text);
        let is_known =
            |kind: &&ResourceType| kind.attribute(&path.text).is_some() || standard_attributes::has(kind, &path.text);
        if found.is_none() && !self.kinds.iter().any(is_known) {
            let names: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
            let suggestion = suggestion::for_attribute(self.kinds, &path.text);
            let message = format!("there is no attribute `{}` in {}{suggestion}", path.shown(), names.join(" or "));
            return Err(Mistake::at(path.place, message));
        }
        Ok(found)
    }

    /// Checks the names behind an attribute that no resource of this type has. If another type serves it, they are
    /// checked there.
    fn check_unserved(&self, path: &Path, inner: &Filter, last: Option<&(Path, Test)>) -> Result<(), Mistake> {
        let Some(names) = standard_attributes::sub_attributes(self.kind, &path.text) else { return Ok(()) };
        if names.is_empty() {
            return Err(without_sub_attributes(path));
        }
        let unserved = Unserved { path, names };
        unserved.check(inner)?;
        match last {
            Some((sub, test)) => unserved.check_test(sub, test),
            None => Ok(()),
        }
    }
}

/// An attribute of RFC 7643 that is not served.
struct Unserved<'a> {
    path: &'a Path,
    /// Its sub-attributes.
    names: &'static [&'static str],
}

impl Unserved<'_> {
    fn check(&self, filter: &Filter) -> Result<(), Mistake> {
        match filter {
            Filter::And(parts) | Filter::Or(parts) => parts.iter().try_for_each(|part| self.check(part)),
            Filter::Not(inner) => self.check(inner),
            Filter::Test(path, test) => self.check_test(path, test),
            // The parser has refused brackets within brackets.
            Filter::Element(..) => Ok(()),
        }
    }

    fn check_test(&self, path: &Path, test: &Test) -> Result<(), Mistake> {
        if !self.names.iter().any(|name| name.eq_ignore_ascii_case(&path.text)) {
            return Err(no_sub_attribute(path, &self.path.shown(), self.names.iter().copied()));
        }
        Check::without_attribute(test).map(|_| ())
    }
}

fn without_sub_attributes(path: &Path) -> Mistake {
    let message = format!("{} has no sub-attributes, so there is nothing for brackets to name", path.shown());
    Mistake::at(path.place, message)
}

fn no_sub_attribute<'n>(path: &Path, holder: &str, names: impl Iterator<Item = &'n str>) -> Mistake {
    let suggestion = suggestion::for_sub_attribute(names, &path.text);
    Mistake::at(path.place, format!("there is no sub-attribute `{}` in {holder}{suggestion}", path.shown()))
}
