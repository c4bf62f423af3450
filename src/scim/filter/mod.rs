//! Filters (RFC 7644 §3.4.2.2).
//!
//! A filter passes through four steps:
//!
//! 1. `parse` turns the text into a [`Filter`], a syntax tree. `display` turns it back into text.
//! 2. `bind` resolves the names against a resource type and converts the values to the types of the
//!    attributes. The result is a `BoundFilter`; `predicate` is its test of one value, and
//!    `datetime` parses date-times.
//! 3. `BoundFilter::holds` tests one resource.
//! 4. `evaluate` finds the matches in a whole set by indexes and columns.
//!
//! Steps 1 and 2 can fail, steps 3 and 4 cannot.
//!
//! ```text
//! filter    = term *( SP "or" SP term )
//! term      = factor *( SP "and" SP factor )
//! factor    = [ "not" *SP ] "(" filter ")" / attrExp / valuePath
//! attrExp   = attrPath SP test
//! test      = "pr" / compareOp SP compValue
//! compareOp = "eq" / "ne" / "co" / "sw" / "ew" / "gt" / "ge" / "lt" / "le"
//! compValue = string / number / "true" / "false" / "null"        ; as in JSON
//! valuePath = attrPath "[" filter "]" [ "." subAttr SP test ]
//! ```
//!
//! `and` binds tighter than `or`. A value path cannot contain another value path. The test of a
//! sub-attribute after the brackets is not in the RFC, but clients send it.

mod bind;
mod datetime;
mod display;
mod evaluate;
mod operator;
mod parse;
mod predicate;

use std::borrow::Cow;

use serde_json::Value;

pub(super) use crate::scim::filter::bind::BoundFilter;
pub(super) use crate::scim::filter::evaluate::{candidates, matches};
pub use crate::scim::filter::operator::CompareOp;
pub use crate::scim::filter::parse::{FilterError, FilterLimits};

/// Syntax tree of a filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Conjunction of at least two filters.
    And(Vec<Self>),
    /// Disjunction of at least two filters.
    Or(Vec<Self>),
    /// Negation of a filter.
    Not(Box<Self>),
    /// Test of an attribute (`attrExp`).
    AttrExp(AttrPath, AttrTest),
    /// Filter of the elements of an attribute (`valuePath`). With a last part, one and the same
    /// element must match the filter and pass the test of its sub-attribute.
    ValuePath(AttrPath, Box<Self>, Option<(AttrPath, AttrTest)>),
}

/// Operator of an attribute expression, with its value.
#[derive(Debug, Clone, PartialEq)]
pub enum AttrTest {
    /// `pr`: the attribute has a value.
    Present,
    /// Comparison of the attribute with a value.
    Compare(CompareOp, CompValue),
}

/// Value in a filter (`compValue`).
#[derive(Debug, Clone)]
pub struct CompValue {
    /// String, number, boolean or null.
    pub value: Value,
    /// Offset of the value in the text of the filter, in bytes.
    offset: usize,
    /// Offset of the operator in front of the value, in bytes.
    operator_offset: usize,
}

/// Name of an attribute in a filter (`attrPath`).
#[derive(Debug, Clone)]
pub struct AttrPath {
    /// Name as the client wrote it.
    pub text: String,
    /// Offset of the name in the text of the filter, in bytes.
    offset: usize,
}

impl AttrPath {
    /// Creates a path that has no position in a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), offset: 0 }
    }

    /// Returns the name as an error message repeats it.
    fn shown(&self) -> Cow<'_, str> {
        shortened(&self.text)
    }
}

impl CompValue {
    /// Creates a value that has no position in a text.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value, offset: 0, operator_offset: 0 }
    }
}

/// Returns `name`, or its first and last 50 characters if it has more than 100.
pub(super) fn shortened(name: &str) -> Cow<'_, str> {
    const HALF: usize = 50;
    let length = name.chars().count();
    if length <= 2 * HALF {
        return Cow::Borrowed(name);
    }
    let mut shortened: String = name.chars().take(HALF).collect();
    shortened.push('…');
    shortened.extend(name.chars().skip(length - HALF));
    Cow::Owned(shortened)
}

/// Equality of the names; the positions in the text are ignored.
impl PartialEq for AttrPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Equality of the values; the positions in the text are ignored.
impl PartialEq for CompValue {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
