//! Test of one value, by the type of its attribute (RFC 7644 table 3).

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Number, Value as Json};

use crate::scim::filter::datetime::{DateTimeLiteral, EndOfDay};
use crate::scim::filter::parse::{FilterResult, LocatedError};
use crate::scim::filter::{AttrPath, AttrTest, CompValue, CompareOp};
use crate::scim::resource::DecodedValue;
use crate::scim::resource::number_order;
use crate::scim::store::case_fold::{CaseSensitivity, strip_invisible, to_nfc};
use crate::scim::{AttributeId, AttributeType, ResourceType};

/// Test of one value.
#[derive(Debug)]
pub(super) enum Predicate {
    Present,
    Absent,
    Boolean {
        /// Result for a value that is equal to `to`.
        equal: bool,
        to: bool,
    },
    Number(CompareOp, Number),
    DateTime(CompareOp, DateTimeLiteral),
    /// Comparison with a text that is already case-folded.
    Text(CompareOp, CaseSensitivity, Box<str>),
}

impl Predicate {
    /// Creates the predicate of `test` for the attribute `id`, which the client wrote as `path`.
    /// Returns it with the attribute whose values it tests: for a complex attribute, that is one of
    /// its sub-attributes.
    pub(super) fn new(
        resource_type: &ResourceType,
        id: AttributeId,
        path: &AttrPath,
        test: &AttrTest,
    ) -> FilterResult<(Self, AttributeId)> {
        let AttrTest::Compare(operator, literal) = test else { return Ok((Self::Present, id)) };
        if literal.value.is_null() {
            return Ok((Self::of_null(*operator, literal)?, id));
        }
        let Some(id) = resource_type.comparable_attribute(id) else {
            let message = format!("{} is complex: name one of its sub-attributes", path.shown());
            return Err(LocatedError::new(path.offset, message));
        };
        let attribute = resource_type.get(id);
        let comparison = TypedComparison {
            attribute_type: attribute.attribute_type,
            case: CaseSensitivity::from_case_exact(attribute.case_exact),
            holds_addresses: resource_type.holds_email_addresses(id),
            path,
            literal,
        };
        Ok((comparison.predicate(*operator)?, id))
    }

    /// Creates the predicate of a comparison with null, which equals "unassigned" (RFC 7643 §2.5).
    /// Null has no order and no text, so only `eq` and `ne` apply.
    fn of_null(operator: CompareOp, literal: &CompValue) -> FilterResult<Self> {
        if operator == CompareOp::Eq {
            return Ok(Self::Absent);
        }
        if operator == CompareOp::Ne {
            return Ok(Self::Present);
        }
        let operator = operator.keyword();
        let message = format!("{operator} does not apply to null, only eq and ne do");
        Err(LocatedError::new(literal.operator_offset, message))
    }

    /// Returns the result of `test` for every resource whose type has no such attribute, or does
    /// not serve it.
    pub(super) fn without_attribute(test: &AttrTest) -> FilterResult<bool> {
        match test {
            AttrTest::Present => Ok(false),
            AttrTest::Compare(operator, literal) if literal.value.is_null() => {
                Ok(Self::of_null(*operator, literal)?.holds_without_value())
            }
            AttrTest::Compare(operator, _) => Ok(*operator == CompareOp::Ne),
        }
    }

    /// Reports whether the predicate holds for a value that is present.
    pub(super) fn holds(&self, value: &DecodedValue<'_>) -> bool {
        match (self, value) {
            (Self::Text(_, case, _), DecodedValue::Text(text)) => self.holds_text(&case.fold(text)),
            (Self::Text(_, case, _), DecodedValue::DateTime(_, text)) => {
                let folded = case.fold(text);
                self.holds_text(&folded)
            }
            _ => self.holds_folded(value),
        }
    }

    /// Reports whether the predicate holds for a value that is present and already case-folded.
    pub(super) fn holds_folded(&self, value: &DecodedValue<'_>) -> bool {
        match (self, value) {
            (Self::Present, _) => true,
            (Self::Boolean { equal, to }, DecodedValue::Boolean(value)) => (value == to) == *equal,
            (Self::Number(operator, to), DecodedValue::Number(value)) => {
                let Some(ordering) = number_order::compare(value, to) else { return false };
                meets(*operator, ordering)
            }
            (Self::DateTime(operator, to), DecodedValue::DateTime(value, _)) => {
                meets(*operator, DateTimeLiteral::from(*value).cmp(to))
            }
            (Self::Text(..), DecodedValue::Text(text)) => self.holds_text(text),
            (Self::Text(..), DecodedValue::DateTime(_, text)) => self.holds_text(text),
            (Self::Absent | Self::Boolean { .. } | Self::Number(..), _) => false,
            (Self::DateTime(..) | Self::Text(..), _) => false,
        }
    }

    /// Reports whether the predicate holds for a case-folded text.
    fn holds_text(&self, text: &str) -> bool {
        match self {
            Self::Text(operator, _, to) => text_meets(*operator, text, to),
            Self::Present | Self::Absent | Self::Boolean { .. } => false,
            Self::Number(..) | Self::DateTime(..) => false,
        }
    }

    /// Reports whether the predicate holds for an attribute without a value.
    pub(super) fn holds_without_value(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Present => false,
            Self::Boolean { equal, .. } => !equal,
            Self::Number(operator, _) => *operator == CompareOp::Ne,
            Self::DateTime(operator, _) => *operator == CompareOp::Ne,
            Self::Text(operator, ..) => *operator == CompareOp::Ne,
        }
    }

    /// Returns the text that a value must be equal to, as indexes store it.
    pub(super) fn equal_to(&self) -> Option<&str> {
        match self {
            Self::Boolean { equal: true, to: true } => Some("true"),
            Self::Boolean { equal: true, to: false } => Some("false"),
            Self::Text(CompareOp::Eq, _, text) => Some(text),
            Self::Present | Self::Absent | Self::Boolean { .. } => None,
            Self::Number(..) | Self::DateTime(..) | Self::Text(..) => None,
        }
    }

    /// Returns the text that a value must contain.
    pub(super) fn contained(&self) -> Option<&str> {
        if let Self::Text(CompareOp::Co, _, text) = self { Some(text) } else { None }
    }
}

/// Comparison of an attribute of a known type with a value.
struct TypedComparison<'a> {
    attribute_type: AttributeType,
    case: CaseSensitivity,
    /// True for e-mail addresses and user names.
    holds_addresses: bool,
    path: &'a AttrPath,
    literal: &'a CompValue,
}

impl TypedComparison<'_> {
    fn predicate(&self, operator: CompareOp) -> FilterResult<Predicate> {
        let is_textual = matches!(operator, CompareOp::Co | CompareOp::Sw | CompareOp::Ew);
        let is_equality = matches!(operator, CompareOp::Eq | CompareOp::Ne);
        match self.attribute_type {
            AttributeType::Boolean if is_equality => {
                Ok(Predicate::Boolean { equal: operator == CompareOp::Eq, to: self.boolean()? })
            }
            AttributeType::Decimal | AttributeType::Integer if !is_textual => {
                let Json::Number(number) = &self.literal.value else {
                    return Err(self.expected("a number"));
                };
                Ok(Predicate::Number(operator, number.clone()))
            }
            AttributeType::Boolean | AttributeType::Decimal | AttributeType::Integer => {
                Err(self.inapplicable(operator))
            }
            AttributeType::DateTime if !is_textual => self.date_time_predicate(operator),
            AttributeType::DateTime | AttributeType::String => self.text_predicate(operator),
            AttributeType::Reference | AttributeType::Complex => self.text_predicate(operator),
        }
    }

    fn date_time_predicate(&self, operator: CompareOp) -> FilterResult<Predicate> {
        // `24:00:00` can be either of two midnights. For `gt` and `ge` the earlier one matches more
        // resources, so that a client that asks for changes since then misses none.
        let end_of_day = match operator {
            CompareOp::Gt | CompareOp::Ge => EndOfDay::Earlier,
            CompareOp::Eq | CompareOp::Ne | CompareOp::Lt | CompareOp::Le => EndOfDay::Iso,
            CompareOp::Co | CompareOp::Sw | CompareOp::Ew => EndOfDay::Iso,
        };
        if let Some(text) = self.literal.value.as_str()
            && let Some(date_time) = DateTimeLiteral::parse(text, end_of_day)
        {
            return Ok(Predicate::DateTime(operator, date_time));
        }
        Err(self.expected("a date-time in quotes, such as \"2026-01-31T08:00:00Z\""))
    }

    fn text_predicate(&self, operator: CompareOp) -> FilterResult<Predicate> {
        let Some(text) = self.literal.value.as_str() else {
            return Err(self.expected("text in double quotes"));
        };
        let text = self.normalized(operator, text);
        Ok(Predicate::Text(operator, self.case, self.case.fold(&text).into()))
    }

    /// Normalises the text as stored values are.
    ///
    /// Text whose case is ignored is composed (NFC). An address that is compared for equality also
    /// loses its invisible characters: an address copied from a document often contains a
    /// zero-width space or a byte order mark. Ids and references stay unchanged.
    fn normalized<'t>(&self, operator: CompareOp, text: &'t str) -> Cow<'t, str> {
        let text = match self.case {
            CaseSensitivity::Exact => Cow::Borrowed(text),
            CaseSensitivity::Ignored => to_nfc(text),
        };
        let is_equality = matches!(operator, CompareOp::Eq | CompareOp::Ne);
        if is_equality && self.holds_addresses { strip_invisible(text) } else { text }
    }

    /// Returns the boolean. Some clients put it in quotes.
    fn boolean(&self) -> FilterResult<bool> {
        match &self.literal.value {
            Json::Bool(value) => Ok(*value),
            Json::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Json::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Json::String(_) | Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                Err(self.expected("true or false"))
            }
        }
    }

    fn inapplicable(&self, operator: CompareOp) -> LocatedError {
        let (name, described) = (self.path.shown(), self.attribute_type.with_article());
        let operator = operator.keyword();
        let message = format!("{name} is {described}: {operator} does not apply");
        LocatedError::new(self.literal.operator_offset, message)
    }

    fn expected(&self, expected: &str) -> LocatedError {
        let value = &self.literal.value;
        // Text is not repeated, because it may be the name of a person.
        let found = if value.is_string() { "other text".to_owned() } else { format!("`{value}`") };
        let (name, described) = (self.path.shown(), self.attribute_type.with_article());
        let message = format!("{name} is {described}: expected {expected}, found {found}");
        LocatedError::new(self.literal.offset, message)
    }
}

/// Reports whether `operator` accepts a value with this ordering to the literal.
fn meets(operator: CompareOp, ordering: Ordering) -> bool {
    match operator {
        CompareOp::Eq => ordering.is_eq(),
        CompareOp::Ne => ordering.is_ne(),
        CompareOp::Gt => ordering.is_gt(),
        CompareOp::Ge => ordering.is_ge(),
        CompareOp::Lt => ordering.is_lt(),
        CompareOp::Le => ordering.is_le(),
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}

/// Reports whether `operator` accepts `text`. Both texts are case-folded.
fn text_meets(operator: CompareOp, text: &str, to: &str) -> bool {
    match operator {
        CompareOp::Eq => text == to,
        CompareOp::Ne => text != to,
        CompareOp::Co => text.contains(to),
        CompareOp::Sw => text.starts_with(to),
        CompareOp::Ew => text.ends_with(to),
        CompareOp::Gt | CompareOp::Ge => meets(operator, text.cmp(to)),
        CompareOp::Lt | CompareOp::Le => meets(operator, text.cmp(to)),
    }
}
