//! Parser of filters, with one method for each rule of the grammar.
//!
//! Any amount of whitespace is accepted instead of the one space of the RFC. Whitespace within
//! parentheses is skipped.

use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use crate::scim::filter::{AttrPath, AttrTest, CompValue, CompareOp, Filter, shortened};

/// Limits of the parser, which bound its time and its recursion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterLimits {
    /// Maximum length of a filter in bytes.
    pub max_bytes: usize,
    /// Maximum number of parentheses and brackets that are open at the same time.
    pub max_depth: usize,
}

impl Default for FilterLimits {
    fn default() -> Self {
        Self { max_bytes: 10 * 1024, max_depth: 50 }
    }
}

/// Reason why a filter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Text that is longer than the limit.
    #[error("the filter has {length} bytes; at most {limit} are allowed")]
    TooLong {
        /// Length of the text in bytes.
        length: usize,
        /// Maximum length in bytes.
        limit: usize,
    },
    /// Text that is invalid from a character on.
    #[error("filter, character {character}: {message}")]
    Invalid {
        /// Number of the character, counted from 1.
        character: usize,
        /// Expected and found text.
        message: String,
    },
}

/// Result of a step that reads the text of a filter.
pub(super) type FilterResult<T> = Result<T, LocatedError>;

/// Error at a byte of the filter's text.
pub(super) struct LocatedError {
    pub(super) offset: usize,
    pub(super) message: String,
}

impl LocatedError {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }

    /// Converts the offset in `text` to the number of a character.
    pub(super) fn into_filter_error(self, text: &str) -> FilterError {
        let before = text.get(..self.offset).unwrap_or(text);
        FilterError::Invalid { character: before.chars().count() + 1, message: self.message }
    }
}

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// If the text is too long, nested too deeply, or violates the grammar.
    pub fn parse(text: &str, limits: FilterLimits) -> Result<Self, FilterError> {
        if text.len() > limits.max_bytes {
            return Err(FilterError::TooLong { length: text.len(), limit: limits.max_bytes });
        }
        let mut parser = Parser { text, offset: 0, depth: 0, limits };
        parser.parse_whole().map_err(|error| error.into_filter_error(text))
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Offset of the next byte.
    offset: usize,
    /// Number of open parentheses and brackets.
    depth: usize,
    limits: FilterLimits,
}

/// Method of the parser for one rule of the grammar.
type FilterRule<'t> = fn(&mut Parser<'t>) -> FilterResult<Filter>;

const ATTRIBUTE: &str = "the name of an attribute, `not` or `(`";
const OPERATOR: &str = "an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)";
const VALUE: &str = "a value (text in double quotes, a number, true, false or null)";

impl<'t> Parser<'t> {
    fn parse_whole(&mut self) -> FilterResult<Filter> {
        let filter = self.parse_filter()?;
        self.skip_whitespace();
        if !self.rest().is_empty() {
            return Err(self.expected("`and`, `or` or the end"));
        }
        Ok(filter)
    }

    fn parse_filter(&mut self) -> FilterResult<Filter> {
        let mut terms = vec![self.parse_term()?];
        while self.skip_keyword("or")? {
            terms.push(self.parse_term()?);
        }
        Ok(combine(terms, Filter::Or))
    }

    fn parse_term(&mut self) -> FilterResult<Filter> {
        let mut factors = vec![self.parse_factor()?];
        while self.skip_keyword("and")? {
            factors.push(self.parse_factor()?);
        }
        Ok(combine(factors, Filter::And))
    }

    fn parse_factor(&mut self) -> FilterResult<Filter> {
        self.skip_whitespace();
        if self.rest().starts_with('(') {
            return self.parse_enclosed(')', Self::parse_filter);
        }
        let start = self.offset;
        if self.next_word().eq_ignore_ascii_case("not") {
            self.offset += "not".len();
            self.skip_whitespace();
            if self.rest().starts_with('(') {
                let operand = self.parse_enclosed(')', Self::parse_filter)?;
                return Ok(Filter::Not(Box::new(operand)));
            }
            if Operator::from_keyword(self.next_word()).is_none() {
                return Err(self.expected("`(` after `not`"));
            }
            // With an operator after it, `not` is the name of an attribute.
            self.offset = start;
        }
        self.parse_attribute()
    }

    /// Parses an `attrExp` or a `valuePath`.
    fn parse_attribute(&mut self) -> FilterResult<Filter> {
        if is_conjunction(self.next_word()) && !self.has_operator_after_word() {
            return Err(self.expected(ATTRIBUTE));
        }
        let path = self.parse_path(ATTRIBUTE)?;
        if !self.rest().starts_with('[') {
            let test = self.parse_test()?;
            return Ok(Filter::AttrExp(path, test));
        }
        let inner = Box::new(self.parse_enclosed(']', Self::parse_element_filter)?);
        if !self.rest().starts_with('.') {
            return Ok(Filter::ValuePath(path, inner, None));
        }
        self.offset += 1;
        let sub_attribute = self.parse_path("the name of a sub-attribute")?;
        let test = self.parse_test()?;
        Ok(Filter::ValuePath(path, inner, Some((sub_attribute, test))))
    }

    /// Reports whether an operator follows the next word. Then the word is the name of an
    /// attribute, even if it is a keyword elsewhere.
    fn has_operator_after_word(&self) -> bool {
        let end = self.offset + self.next_word().len();
        let mut lookahead = Parser { offset: end, ..*self };
        lookahead.skip_whitespace() > 0 && Operator::from_keyword(lookahead.next_word()).is_some()
    }

    /// Parses the filter within the brackets of a value path.
    fn parse_element_filter(&mut self) -> FilterResult<Filter> {
        let filter = self.parse_filter()?;
        if let Some(path) = first_value_path(&filter) {
            let message = "brackets within brackets are not allowed";
            return Err(LocatedError::new(path.offset, message));
        }
        Ok(filter)
    }

    fn parse_path(&mut self, expected: &str) -> FilterResult<AttrPath> {
        let word = self.next_word();
        if !word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$') {
            return Err(self.expected(expected));
        }
        let path = AttrPath { text: word.to_owned(), offset: self.offset };
        self.offset += word.len();
        Ok(path)
    }

    /// Parses a space, the operator and, unless the operator is `pr`, a space and the value.
    fn parse_test(&mut self) -> FilterResult<AttrTest> {
        self.skip_space(OPERATOR)?;
        let operator_offset = self.offset;
        let word = self.next_word();
        let Some(operator) = Operator::from_keyword(word) else {
            return Err(self.expected(OPERATOR));
        };
        self.offset += word.len();
        let operator = match operator {
            Operator::Present => return Ok(AttrTest::Present),
            Operator::Compare(operator) => operator,
        };
        self.skip_space(VALUE)?;
        let offset = self.offset;
        let value = self.parse_value()?;
        Ok(AttrTest::Compare(operator, CompValue { value, offset, operator_offset }))
    }

    fn parse_value(&mut self) -> FilterResult<Value> {
        let rest = self.rest();
        if rest.starts_with('"') {
            return self.parse_string();
        }
        let word = prefix(rest, is_value_char);
        let value = if word.eq_ignore_ascii_case("true") {
            Value::Bool(true)
        } else if word.eq_ignore_ascii_case("false") {
            Value::Bool(false)
        } else if word.eq_ignore_ascii_case("null") {
            Value::Null
        } else if let Ok(number) = word.parse::<Number>() {
            Value::Number(number)
        } else {
            return Err(self.invalid_number(word));
        };
        self.offset += word.len();
        Ok(value)
    }

    /// Returns the error for a `word` that does not parse as a number.
    fn invalid_number(&self, word: &str) -> LocatedError {
        // JSON does not limit the size of a number; `Number` does.
        if serde_json::from_str::<IgnoredAny>(word).is_ok() {
            return LocatedError::new(self.offset, "the number is too large");
        }
        self.expected(VALUE)
    }

    /// Parses a JSON string.
    fn parse_string(&mut self) -> FilterResult<Value> {
        let start = self.offset;
        let rest = self.rest();
        let mut is_escaped = false;
        for (position, char) in rest.char_indices().skip(1) {
            match char {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    let quoted = rest.get(..=position).unwrap_or_default();
                    self.offset += quoted.len();
                    return unescape(quoted, start);
                }
                _ => {}
            }
        }
        let message = "expected `\"` at the end of the value, found the end";
        Err(LocatedError::new(self.text.len(), message))
    }

    /// Parses the text between the next character and `close` by the rule `inside`.
    fn parse_enclosed(&mut self, close: char, inside: FilterRule<'t>) -> FilterResult<Filter> {
        if self.depth == self.limits.max_depth {
            let message = format!("the filter is nested deeper than {}", self.limits.max_depth);
            return Err(LocatedError::new(self.offset, message));
        }
        self.depth += 1;
        self.offset += 1;
        let filter = inside(self)?;
        self.depth -= 1;
        self.skip_whitespace();
        if !self.rest().starts_with(close) {
            return Err(self.expected(&format!("`and`, `or` or `{close}`")));
        }
        self.offset += 1;
        Ok(filter)
    }

    /// Skips `keyword` with the whitespace around it, and reports whether it comes next.
    fn skip_keyword(&mut self, keyword: &str) -> FilterResult<bool> {
        let start = self.offset;
        let whitespace = self.skip_whitespace();
        if !self.next_word().eq_ignore_ascii_case(keyword) {
            self.offset = start;
            return Ok(false);
        }
        if whitespace == 0 {
            return Err(self.expected(&format!("a space before `{keyword}`")));
        }
        self.offset += keyword.len();
        self.skip_space("a space and another expression")?;
        Ok(true)
    }

    /// Skips at least one whitespace character. At the end of the text, the error asks for
    /// `expected_at_end`.
    fn skip_space(&mut self, expected_at_end: &str) -> FilterResult<()> {
        if self.skip_whitespace() > 0 {
            return Ok(());
        }
        if self.rest().is_empty() {
            return Err(self.expected(expected_at_end));
        }
        Err(self.expected("a space"))
    }

    /// Skips whitespace and returns its length in bytes.
    fn skip_whitespace(&mut self) -> usize {
        let rest = self.rest();
        let length = rest.len() - rest.trim_ascii_start().len();
        self.offset += length;
        length
    }

    /// Returns the next characters, as far as they can be part of one name.
    fn next_word(&self) -> &'t str {
        prefix(self.rest(), is_name_char)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn expected(&self, expected: &str) -> LocatedError {
        let word = shortened(self.next_word());
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(_) if !word.is_empty() => format!("`{word}`"),
            Some(char) if is_invisible(char) => format!("U+{:04X}", u32::from(char)),
            Some(char) => format!("`{char}`"),
        };
        LocatedError::new(self.offset, format!("expected {expected}, found {found}"))
    }
}

/// Operator of an attribute expression.
enum Operator {
    Present,
    Compare(CompareOp),
}

impl Operator {
    fn from_keyword(word: &str) -> Option<Self> {
        if word.eq_ignore_ascii_case("pr") {
            return Some(Self::Present);
        }
        for operator in CompareOp::ALL {
            if word.eq_ignore_ascii_case(operator.keyword()) {
                return Some(Self::Compare(operator));
            }
        }
        None
    }
}

/// Returns the text of a JSON string that begins at `offset`.
fn unescape(quoted: &str, offset: usize) -> FilterResult<Value> {
    let Ok(text) = serde_json::from_str(quoted) else {
        let message = "expected a JSON string, found an invalid escape or a control character";
        return Err(LocatedError::new(offset, message));
    };
    Ok(Value::String(text))
}

/// Returns the longest prefix of `text` for whose characters `belongs` holds.
fn prefix(text: &str, belongs: fn(char) -> bool) -> &str {
    match text.find(|char| !belongs(char)) {
        Some(end) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | ':' | '.' | '$')
}

fn is_value_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '+' | '.' | '_')
}

fn is_conjunction(word: &str) -> bool {
    word.eq_ignore_ascii_case("and") || word.eq_ignore_ascii_case("or")
}

/// Reports whether the character is invisible in a message, or changes how it is displayed.
fn is_invisible(char: char) -> bool {
    char.is_control() || matches!(char.escape_debug().nth(1), Some('u'))
}

/// Returns the only operand, or the filter that `join` makes of several.
fn combine(operands: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match <[Filter; 1]>::try_from(operands) {
        Ok([only]) => only,
        Err(several) => join(several),
    }
}

/// Returns the attribute of the first value path in `filter`.
fn first_value_path(filter: &Filter) -> Option<&AttrPath> {
    match filter {
        Filter::And(operands) | Filter::Or(operands) => operands.iter().find_map(first_value_path),
        Filter::Not(operand) => first_value_path(operand),
        Filter::AttrExp(..) => None,
        Filter::ValuePath(path, ..) => Some(path),
    }
}
