//! Filter bound to a resource type: names are resolved, and values have the types of the
//! attributes. Testing a resource cannot fail.

use crate::scim::filter::parse::{FilterResult, LocatedError};
use crate::scim::filter::predicate::Predicate;
use crate::scim::filter::{AttrPath, AttrTest, Filter, FilterError};
use crate::scim::resource::ResourceValue;
use crate::scim::schema::{standard_attributes, suggestion};
use crate::scim::{AttributeId, ResourceType};

/// Filter bound to one resource type.
#[derive(Debug)]
pub(in crate::scim) enum BoundFilter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// Test of the values of an attribute.
    Attribute(BoundAttribute),
    /// Value path: one element of the attribute matches every filter.
    ValuePath {
        attribute: AttributeId,
        /// Attributes from the resource down to `attribute`.
        path: Box<[AttributeId]>,
        filters: Vec<Self>,
    },
    /// Result that is the same for every resource, because the type has no such attribute.
    Constant(bool),
}

/// Test of the values of an attribute.
#[derive(Debug)]
pub(in crate::scim) struct BoundAttribute {
    pub(super) id: AttributeId,
    /// Attributes from the resource, or from the element of a value path, down to the attribute.
    path: Box<[AttributeId]>,
    pub(super) predicate: Predicate,
}

impl BoundFilter {
    /// Binds `filter`, which was parsed from `text`, to `resource_type`.
    ///
    /// `resource_types` are all types of the query. An attribute that only another type has is
    /// without a value here (RFC 7644 §3.4.2.1).
    pub(in crate::scim) fn new(
        filter: &Filter,
        text: &str,
        resource_type: &ResourceType,
        resource_types: &[&ResourceType],
    ) -> Result<Self, FilterError> {
        let binder = Binder { resource_type, resource_types, holder: None };
        binder.bind(filter).map_err(|error| error.into_filter_error(text))
    }

    /// Reports whether the filter matches a resource, or an element of a value path.
    pub(in crate::scim) fn holds(&self, value: ResourceValue<'_>) -> bool {
        match self {
            Self::And(operands) => all_hold(operands, value),
            Self::Or(operands) => operands.iter().any(|operand| operand.holds(value)),
            Self::Not(operand) => !operand.holds(value),
            Self::Attribute(attribute) => attribute.holds(value),
            Self::ValuePath { path, filters, .. } => any_element_matches(value, path, filters),
            Self::Constant(result) => *result,
        }
    }

    /// Returns the number of predicates in the filter.
    pub(in crate::scim) fn predicate_count(&self) -> usize {
        match self {
            Self::And(operands) | Self::Or(operands) => total_predicates(operands),
            Self::ValuePath { filters, .. } => total_predicates(filters),
            Self::Not(operand) => operand.predicate_count(),
            Self::Attribute(_) => 1,
            Self::Constant(_) => 0,
        }
    }
}

fn all_hold(filters: &[BoundFilter], value: ResourceValue<'_>) -> bool {
    filters.iter().all(|filter| filter.holds(value))
}

/// Reports whether one value that `path` leads to matches every filter.
fn any_element_matches(
    value: ResourceValue<'_>,
    path: &[AttributeId],
    filters: &[BoundFilter],
) -> bool {
    any_value(value, path, &mut |element| all_hold(filters, element))
}

fn total_predicates(filters: &[BoundFilter]) -> usize {
    filters.iter().map(BoundFilter::predicate_count).sum()
}

impl BoundAttribute {
    /// Reports whether any value passes the test: "If any of the values matches" (RFC 7644
    /// §3.4.2.2). Without a value, only the tests that hold for an absent value pass, such as `ne`.
    fn holds(&self, value: ResourceValue<'_>) -> bool {
        let mut has_value = false;
        let is_match = any_value(value, &self.path, &mut |value| {
            if value.is_empty() {
                return false;
            }
            has_value = true;
            self.predicate.holds(&value.decode())
        });
        is_match || (!has_value && self.predicate.holds_without_value())
    }
}

/// Reports whether `matches` returns true for any value that `path` leads to from `value`. A path
/// through an array leads to all its elements.
fn any_value<'a, F>(value: ResourceValue<'a>, path: &[AttributeId], matches: &mut F) -> bool
where
    F: FnMut(ResourceValue<'a>) -> bool,
{
    if value.is_array() {
        return value.children().any(|element| any_value(element, path, matches));
    }
    match path {
        [] => matches(value),
        [first, rest @ ..] => match value.member(*first) {
            Some(value) => any_value(value, rest, matches),
            None => false,
        },
    }
}

/// Parts of a value path: `path[inner].last`.
#[derive(Clone, Copy)]
struct ValuePathParts<'f> {
    path: &'f AttrPath,
    inner: &'f Filter,
    last: Option<&'f (AttrPath, AttrTest)>,
}

/// Resolver of names for one resource type.
struct Binder<'k> {
    resource_type: &'k ResourceType,
    /// All types of the query.
    resource_types: &'k [&'k ResourceType],
    /// Attribute in front of the brackets, within a value path.
    holder: Option<AttributeId>,
}

impl Binder<'_> {
    fn bind(&self, filter: &Filter) -> FilterResult<BoundFilter> {
        match filter {
            Filter::And(operands) => Ok(BoundFilter::And(self.bind_all(operands)?)),
            Filter::Or(operands) => Ok(BoundFilter::Or(self.bind_all(operands)?)),
            Filter::Not(operand) => Ok(BoundFilter::Not(Box::new(self.bind(operand)?))),
            Filter::AttrExp(path, test) => self.bind_attribute(path, test),
            Filter::ValuePath(path, inner, last) => {
                let last = last.as_ref();
                self.bind_value_path(ValuePathParts { path, inner, last })
            }
        }
    }

    fn bind_all(&self, filters: &[Filter]) -> FilterResult<Vec<BoundFilter>> {
        filters.iter().map(|filter| self.bind(filter)).collect()
    }

    fn bind_attribute(&self, path: &AttrPath, test: &AttrTest) -> FilterResult<BoundFilter> {
        let Some(id) = self.resolve(path)? else {
            return Ok(BoundFilter::Constant(Predicate::without_attribute(test)?));
        };
        let (predicate, id) = Predicate::new(self.resource_type, id, path, test)?;
        let steps = self.resource_type.path_ids(id);
        let holder_length = match self.holder {
            Some(holder) => self.resource_type.path_ids(holder).len(),
            None => 0,
        };
        let path = steps.get(holder_length..).unwrap_or_default().into();
        Ok(BoundFilter::Attribute(BoundAttribute { id, path, predicate }))
    }

    fn bind_value_path(&self, parts: ValuePathParts<'_>) -> FilterResult<BoundFilter> {
        let ValuePathParts { path, inner, last } = parts;
        let Some(id) = self.resolve(path)? else {
            self.check_unserved(parts)?;
            return Ok(BoundFilter::Constant(false));
        };
        if self.resource_type.get(id).sub_attributes.is_empty() {
            return Err(without_sub_attributes(path));
        }
        let within = Binder { holder: Some(id), ..*self };
        let mut filters = Vec::new();
        if !self.resource_type.get(id).multi_valued {
            // An object without members is not present (RFC 7643 §2.5), so no filter matches it.
            let (path, predicate) = (Box::default(), Predicate::Present);
            filters.push(BoundFilter::Attribute(BoundAttribute { id, path, predicate }));
        }
        filters.push(within.bind(inner)?);
        if let Some((path, test)) = last {
            filters.push(within.bind_attribute(path, test)?);
        }
        let path = self.resource_type.path_ids(id);
        Ok(BoundFilter::ValuePath { attribute: id, path, filters })
    }

    /// Returns the attribute that `path` names. Returns none for a known attribute without a value
    /// in this type: another type of the query has it, or RFC 7643 defines it and it is not served.
    fn resolve(&self, path: &AttrPath) -> FilterResult<Option<AttributeId>> {
        match self.holder {
            Some(holder) => self.resolve_sub(holder, path),
            None => self.resolve_attribute(path),
        }
    }

    fn resolve_sub(
        &self,
        holder: AttributeId,
        path: &AttrPath,
    ) -> FilterResult<Option<AttributeId>> {
        let resource_type = self.resource_type;
        if let Some(id) = resource_type.sub_attribute(holder, &path.text) {
            return Ok(Some(id));
        }
        if standard_attributes::has_sub_attribute(resource_type, holder, &path.text) {
            return Ok(None);
        }
        let holder = resource_type.get(holder);
        let names = holder.sub_attributes.iter().map(|id| &*resource_type.get(*id).name);
        Err(unknown_sub_attribute(path, &holder.name, names))
    }

    fn resolve_attribute(&self, path: &AttrPath) -> FilterResult<Option<AttributeId>> {
        if let Some(id) = self.resource_type.attribute(&path.text) {
            return Ok(Some(id));
        }
        for resource_type in self.resource_types {
            let is_served = resource_type.attribute(&path.text).is_some();
            if is_served || standard_attributes::has_attribute(resource_type, &path.text) {
                return Ok(None);
            }
        }
        let names: Vec<_> = self.resource_types.iter().map(|it| it.name()).collect();
        let message = format!(
            "there is no attribute `{}` in {}{}",
            path.shown(),
            names.join(" or "),
            suggestion::for_attribute(self.resource_types, &path.text),
        );
        Err(LocatedError::new(path.offset, message))
    }

    /// Checks the names within a value path whose attribute has no value in this type. If another
    /// type of the query serves the attribute, binding to that type checks them.
    fn check_unserved(&self, parts: ValuePathParts<'_>) -> FilterResult<()> {
        let ValuePathParts { path, inner, last } = parts;
        let sub_attributes = standard_attributes::sub_attributes(self.resource_type, &path.text);
        let Some(sub_attributes) = sub_attributes else { return Ok(()) };
        if sub_attributes.is_empty() {
            return Err(without_sub_attributes(path));
        }
        let unserved = UnservedAttribute { path, sub_attributes };
        unserved.check(inner)?;
        match last {
            Some((sub_attribute, test)) => unserved.check_test(sub_attribute, test),
            None => Ok(()),
        }
    }
}

/// Attribute that RFC 7643 defines and this server does not serve.
struct UnservedAttribute<'a> {
    path: &'a AttrPath,
    sub_attributes: &'static [&'static str],
}

impl UnservedAttribute<'_> {
    fn check(&self, filter: &Filter) -> FilterResult<()> {
        match filter {
            Filter::And(operands) | Filter::Or(operands) => {
                for operand in operands {
                    self.check(operand)?;
                }
                Ok(())
            }
            Filter::Not(operand) => self.check(operand),
            Filter::AttrExp(path, test) => self.check_test(path, test),
            // The parser refuses brackets within brackets.
            Filter::ValuePath(..) => Ok(()),
        }
    }

    fn check_test(&self, path: &AttrPath, test: &AttrTest) -> FilterResult<()> {
        if !self.sub_attributes.iter().any(|name| name.eq_ignore_ascii_case(&path.text)) {
            let names = self.sub_attributes.iter().copied();
            return Err(unknown_sub_attribute(path, &self.path.shown(), names));
        }
        Predicate::without_attribute(test)?;
        Ok(())
    }
}

fn without_sub_attributes(path: &AttrPath) -> LocatedError {
    let name = path.shown();
    let message = format!("{name} has no sub-attributes, so brackets cannot follow it");
    LocatedError::new(path.offset, message)
}

fn unknown_sub_attribute<'n, N>(path: &AttrPath, holder: &str, names: N) -> LocatedError
where
    N: Iterator<Item = &'n str>,
{
    let name = path.shown();
    let suggestion = suggestion::for_sub_attribute(names, &path.text);
    let message = format!("there is no sub-attribute `{name}` in {holder}{suggestion}");
    LocatedError::new(path.offset, message)
}
