//! What one value must be, by the type of its attribute (RFC 7644 table 3).

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use crate::scim::filter::datetime::{EndOfDay, Moment, moment};
use crate::scim::filter::parse::Mistake;
use crate::scim::filter::{CompareOp, Literal, Path, Test};
use crate::scim::resource::Content;
use crate::scim::resource::number;
use crate::scim::store::case_fold::{Case, composed, without_invisible};
use crate::scim::{AttributeId, AttributeType, ResourceType};

/// What a value must be.
#[derive(Debug)]
pub(super) enum Check {
    Present,
    Absent,
    Boolean {
        equal: bool,
        to: bool,
    },
    Number(CompareOp, Number),
    DateTime(CompareOp, Moment),
    /// With a text that is in the case that counts.
    Text(CompareOp, Case, Box<str>),
}

impl Check {
    /// The check that `test` is for the attribute `id`, which was written as `path`; and the attribute
    /// whose values are checked.
    pub(super) fn new(
        kind: &ResourceType,
        id: AttributeId,
        path: &Path,
        test: &Test,
    ) -> Result<(Self, AttributeId), Mistake> {
        let Test::Compare(operator, literal) = test else { return Ok((Self::Present, id)) };
        if literal.value.is_null() {
            return Ok((absent(*operator, literal)?, id));
        }
        let Some(id) = kind.valued(id) else {
            let message = format!("{} is complex: name one of its sub-attributes", path.shown());
            return Err(Mistake::at(path.place, message));
        };
        let attribute = kind.get(id);
        let typed = Typed {
            kind: attribute.kind,
            case: Case::of(attribute.case_exact),
            holds_addresses: kind.holds_addresses(id),
            path,
            literal,
        };
        Ok((typed.check(*operator)?, id))
    }

    /// What is true of a resource whose type has no such attribute, or does not serve it.
    pub(super) fn without_attribute(test: &Test) -> Result<bool, Mistake> {
        match test {
            Test::Present => Ok(false),
            Test::Compare(operator, literal) if literal.value.is_null() => {
                Ok(absent(*operator, literal)?.holds_without_value())
            }
            Test::Compare(operator, _) => Ok(*operator == CompareOp::Ne),
        }
    }

    /// Whether it holds for a value that is there.
    pub(super) fn holds(&self, value: &Content<'_>) -> bool {
        match (self, value) {
            (Self::Text(_, case, _), Content::Text(text)) => self.holds_text(&case.fold(text)),
            (Self::Text(_, case, _), Content::DateTime(_, text)) => self.holds_text(&case.fold(text)),
            _ => self.holds_folded(value),
        }
    }

    /// Whether it holds for a value that is there, whose text is in the case that counts.
    pub(super) fn holds_folded(&self, value: &Content<'_>) -> bool {
        match (self, value) {
            (Self::Present, _) => true,
            (Self::Boolean { equal, to }, Content::Boolean(value)) => (value == to) == *equal,
            (Self::Number(operator, to), Content::Number(value)) => {
                number::compare(value, to).is_some_and(|order| meets(*operator, order))
            }
            (Self::DateTime(operator, to), Content::DateTime(value, _)) => meets(*operator, (*value, false).cmp(to)),
            (Self::Text(..), Content::Text(text)) => self.holds_text(text),
            (Self::Text(..), Content::DateTime(_, text)) => self.holds_text(text),
            (Self::Absent | Self::Boolean { .. } | Self::Number(..) | Self::DateTime(..) | Self::Text(..), _) => false,
        }
    }

    /// Whether it holds for a text in the case that counts.
    fn holds_text(&self, text: &str) -> bool {
        if let Self::Text(operator, _, to) = self { text_meets(*operator, text, to) } else { false }
    }

    /// Whether it holds where there is no value.
    pub(super) fn holds_without_value(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Present => false,
            Self::Boolean { equal, .. } => !equal,
            Self::Number(operator, _) | Self::DateTime(operator, _) | Self::Text(operator, ..) => {
                *operator == CompareOp::Ne
            }
        }
    }

    /// What a value must be equal to, as it is looked up.
    pub(super) fn equal_to(&self) -> Option<&str> {
        if let Self::Boolean { equal: true, to } = self {
            return Some(if *to { "true" } else { "false" });
        }
        self.text_of(CompareOp::Eq)
    }

    /// The text that a value must contain.
    pub(super) fn contained(&self) -> Option<&str> {
        self.text_of(CompareOp::Co)
    }

    fn text_of(&self, wanted: CompareOp) -> Option<&str> {
        if let Self::Text(operator, _, text) = self { (*operator == wanted).then_some(text) } else { None }
    }
}

/// "Unassigned" and null are the same (RFC 7643 §2.5), and nothing comes before or after them.
fn absent(operator: CompareOp, literal: &Literal) -> Result<Check, Mistake> {
    match operator {
        CompareOp::Eq => Ok(Check::Absent),
        CompareOp::Ne => Ok(Check::Present),
        CompareOp::Co
        | CompareOp::Sw
        | CompareOp::Ew
        | CompareOp::Gt
        | CompareOp::Ge
        | CompareOp::Lt
        | CompareOp::Le => {
            Err(Mistake::at(literal.operator, format!("{} does not apply to null, only eq and ne do", operator.word())))
        }
    }
}

/// A comparison of an attribute of this type with a value.
struct Typed<'a> {
    kind: AttributeType,
    case: Case,
    holds_addresses: bool,
    path: &'a Path,
    literal: &'a Literal,
}

impl Typed<'_> {
    fn check(&self, operator: CompareOp) -> Result<Check, Mistake> {
        let textual = matches!(operator, CompareOp::Co | CompareOp::Sw | CompareOp::Ew);
        let equality = matches!(operator, CompareOp::Eq | CompareOp::Ne);
        match self.kind {
            AttributeType::Boolean if !equality => Err(self.inapplicable(operator)),
            AttributeType::Boolean => Ok(Check::Boolean { equal: operator == CompareOp::Eq, to: self.boolean()? }),
            AttributeType::Decimal | AttributeType::Integer if textual => Err(self.inapplicable(operator)),
            AttributeType::Decimal | AttributeType::Integer => match &self.literal.value {
                Json::Number(number) => Ok(Check::Number(operator, number.clone())),
                Json::Null | Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                    Err(self.expected("a number"))
                }
            },
            AttributeType::DateTime if !textual => {
                let expected = "a date-time in quotes, such as \"2026-01-31T08:00:00Z\"";
                // A change must not be missed: with `gt` and `ge` the earlier midnight finds more.
                let end_of_day = match operator {
                    CompareOp::Gt | CompareOp::Ge => EndOfDay::Earlier,
                    CompareOp::Eq
                    | CompareOp::Ne
                    | CompareOp::Co
                    | CompareOp::Sw
                    | CompareOp::Ew
                    | CompareOp::Lt
                    | CompareOp::Le => EndOfDay::Iso,
                };
                let moment = self.literal.value.as_str().and_then(|text| moment(text, end_of_day));
                Ok(Check::DateTime(operator, moment.ok_or_else(|| self.expected(expected))?))
            }
            AttributeType::DateTime | AttributeType::String | AttributeType::Reference | AttributeType::Complex => {
                let text = self.literal.value.as_str().ok_or_else(|| self.expected("text in double quotes"))?;
                let text = self.normalized(operator, text);
                Ok(Check::Text(operator, self.case, self.case.fold(&text).into()))
            }
        }
    }

    /// The text as values are: composed, and in a look-up of an address without what cannot be seen. An address that
    /// was copied from a document often has a zero-width space or a byte order mark in it. Ids and references are
    /// compared as they are.
    fn normalized<'t>(&self, operator: CompareOp, text: &'t str) -> Cow<'t, str> {
        let text = match self.case {
            Case::Exact => Cow::Borrowed(text),
            Case::Ignored => composed(text),
        };
        match operator {
            CompareOp::Eq | CompareOp::Ne if self.holds_addresses => without_invisible(text),
            CompareOp::Eq
            | CompareOp::Ne
            | CompareOp::Co
            | CompareOp::Sw
            | CompareOp::Ew
            | CompareOp::Gt
            | CompareOp::Ge
            | CompareOp::Lt
            | CompareOp::Le => text,
        }
    }

    /// There are clients that put it in quotes.
    fn boolean(&self) -> Result<bool, Mistake> {
        match &self.literal.value {
            Json::Bool(value) => Ok(*value),
            Json::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Json::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Json::String(_) | Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                Err(self.expected("true or false"))
            }
        }
    }

    fn inapplicable(&self, operator: CompareOp) -> Mistake {
        let message = format!("{} is {}: {} does not apply", self.path.shown(), self.kind.described(), operator.word());
        Mistake::at(self.literal.operator, message)
    }

    fn expected(&self, what: &str) -> Mistake {
        // The text is not repeated: it may be somebody's name.
        let value = &self.literal.value;
        let found = if value.is_string() { "other text".to_owned() } else { format!("`{value}`") };
        let message = format!("{} is {}: expected {what}, found {found}", self.path.shown(), self.kind.described());
        Mistake::at(self.literal.place, message)
    }
}

fn meets(operator: CompareOp, order: Ordering) -> bool {
    match operator {
        CompareOp::Eq => order.is_eq(),
        CompareOp::Ne => order.is_ne(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::Ge => order.is_ge(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::Le => order.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

/// Both texts are in the case that counts.
fn text_meets(operator: CompareOp, text: &str, to: &str) -> bool {
    match operator {
        CompareOp::Eq => text == to,
        CompareOp::Ne => text != to,
        CompareOp::Co => text.contains(to),
        CompareOp::Sw => text.starts_with(to),
        CompareOp::Ew => text.ends_with(to),
        CompareOp::Gt | CompareOp::Ge | CompareOp::Lt | CompareOp::Le => meets(operator, text.cmp(to)),
    }
}
