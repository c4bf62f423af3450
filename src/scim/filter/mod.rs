//! Filters (RFC 7644 §3.4.2.2), in four steps: [`Filter::parse`] reads the text, [`Filter`] is what it
//! says and can be written again, `Condition` is what it means for one type of resources, and
//! a condition holds for a resource or does not.
//!
//! ```text
//! filter    = term *( SP "or" SP term )
//! term      = factor *( SP "and" SP factor )
//! factor    = [ "not" *SP ] "(" filter ")" / test
//! test      = path SP "pr"
//!           / path SP ( "eq" / "ne" / "co" / "sw" / "ew" / "gt" / "ge" / "lt" / "le" ) SP value
//!           / path "[" filter "]" [ "." name SP ( "pr" / operator SP value ) ]
//! value     = string / number / "true" / "false" / "null"        ; as JSON writes them
//! ```
//!
//! `and` binds tighter than `or`. Within brackets there are no brackets. The test after the brackets is
//! not in the RFC, but clients send it.

mod bind;
mod datetime;
mod display;
mod evaluate;
mod operator;
mod parse;
mod predicate;

use std::borrow::Cow;

use serde_json::Value;

pub(super) use crate::scim::filter::bind::Condition;
pub(super) use crate::scim::filter::evaluate::{candidates, matches};
pub use crate::scim::filter::operator::CompareOp;
pub use crate::scim::filter::parse::{Limits, ParseError};

/// A filter as a client wrote it.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Every one of at least two.
    And(Vec<Self>),
    /// At least one of at least two.
    Or(Vec<Self>),
    /// Not this one.
    Not(Box<Self>),
    /// What a value of an attribute must be.
    Test(Path, Test),
    /// One element of the attribute that meets the filter, and the test of its member if there is one.
    Element(Path, Box<Self>, Option<(Path, Test)>),
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// There is one.
    Present,
    /// It compares so with this one.
    Compare(CompareOp, Literal),
}

/// A value in a filter.
#[derive(Debug, Clone)]
pub struct Literal {
    /// A text, a number, a boolean or null.
    pub value: Value,
    place: usize,
    operator: usize,
}

/// The name of an attribute.
#[derive(Debug, Clone)]
pub struct Path {
    /// As it was written.
    pub text: String,
    place: usize,
}

impl Path {
    /// A path that was not written anywhere.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), place: 0 }
    }

    /// As much of it as an error repeats.
    fn shown(&self) -> Cow<'_, str> {
        shortened(&self.text)
    }
}

impl Literal {
    /// A value that was not written anywhere.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value, place: 0, operator: 0 }
    }
}

/// A name of at most some hundred characters; the middle of a longer one is left out.
pub(super) fn shortened(name: &str) -> Cow<'_, str> {
    const HALF: usize = 50;
    let length = name.chars().count();
    if length <= 2 * HALF {
        return Cow::Borrowed(name);
    }
    let start = name.chars().take(HALF);
    start.chain(['…']).chain(name.chars().skip(length - HALF)).collect::<String>().into()
}

/// Where it was written makes no difference to what it says.
impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
