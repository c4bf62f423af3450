//! From text to a filter: one function for each line of the grammar. Where the RFC has one blank any
//! number of blanks will do, and blanks within parentheses are skipped.

use serde::de::IgnoredAny;
use serde_json::{Number, Value};

use crate::scim::filter::{CompareOp, Filter, Literal, Path, Test, shortened};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes.
    pub length: usize,
    /// How many parentheses and brackets may be open at once.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { length: 10 * 1024, depth: 50 }
    }
}

/// What is wrong with a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// It is too long.
    #[error("the filter has {length} bytes; at most {limit} are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest text that is read.
        limit: usize,
    },
    /// It makes no sense from a place on.
    #[error("filter, character {character}: {message}")]
    At {
        /// The first character is 1.
        character: usize,
        /// What was expected and what was found.
        message: String,
    },
}

/// A mistake at a byte of the text.
pub(super) struct Mistake {
    pub(super) place: usize,
    pub(super) message: String,
}

impl Mistake {
    pub(super) fn at(place: usize, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    pub(super) fn within(self, text: &str) -> ParseError {
        let before = text.get(..self.place).unwrap_or(text);
        ParseError::At { character: before.chars().count() + 1, message: self.message }
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// When the text is too long, too deeply nested, or not in the grammar.
    pub fn parse(text: &str, limits: Limits) -> Result<Self, ParseError> {
        if text.len() > limits.length {
            return Err(ParseError::TooLong { length: text.len(), limit: limits.length });
        }
        let mut parser = Parser { text, place: 0, depth: 0, limits };
        parser.whole().map_err(|mistake| mistake.within(text))
    }
}

struct Parser<'t> {
    text: &'t str,
    /// The byte that comes next.
    place: usize,
    depth: usize,
    limits: Limits,
}

type Parsed<T> = Result<T, Mistake>;

const ATTRIBUTE: &str = "the name of an attribute, `not` or `(`";
const OPERATOR: &str = "an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)";
const VALUE: &str = "a value (text in double quotes, a number, true, false or null)";

impl<'t> Parser<'t> {
    fn whole(&mut self) -> Parsed<Filter> {
        let filter = self.filter()?;
        self.blanks();
        if self.rest().is_empty() { Ok(filter) } else { Err(self.expected("`and`, `or` or the end")) }
    }

    fn filter(&mut self) -> Parsed<Filter> {
        let mut terms = vec![self.term()?];
        while self.keyword("or")? {
            terms.push(self.term()?);
        }
        Ok(one_or(terms, Filter::Or))
    }

    fn term(&mut self) -> Parsed<Filter> {
        let mut factors = vec![self.factor()?];
        while self.keyword("and")? {
            factors.push(self.factor()?);
        }
        Ok(one_or(factors, Filter::And))
    }

    fn factor(&mut self) -> Parsed<Filter> {
        self.blanks();
        if self.rest().starts_with('(') {
            return self.enclosed(')', Self::filter);
        }
        let start = self.place;
        if self.word().eq_ignore_ascii_case("not") {
            self.place += "not".len();
            self.blanks();
            if self.rest().starts_with('(') {
                return Ok(Filter::Not(Box::new(self.enclosed(')', Self::filter)?)));
            }
            if operator(self.word()).is_none() {
                return Err(self.expected("`(` after `not`"));
            }
            // It is the name of an attribute.
            self.place = start;
        }
        self.test()
    }

    fn test(&mut self) -> Parsed<Filter> {
        if ["and", "or"].iter().any(|keyword| self.word().eq_ignore_ascii_case(keyword)) && !self.is_tested() {
            return Err(self.expected(ATTRIBUTE));
        }
        let path = self.path(ATTRIBUTE)?;
        if !self.rest().starts_with('[') {
            let test = self.comparison()?;
            return Ok(Filter::Test(path, test));
        }
        let inner = Box::new(self.enclosed(']', Self::filter_of_element)?);
        if !self.rest().starts_with('.') {
            return Ok(Filter::Element(path, inner, None));
        }
        self.place += 1;
        let sub = self.path("the name of a sub-attribute")?;
        let test = self.comparison()?;
        Ok(Filter::Element(path, inner, Some((sub, test))))
    }

    /// Whether the word that comes next is followed by an operator, which makes it the name of an attribute
    /// even if it is a keyword elsewhere.
    fn is_tested(&self) -> bool {
        let after = self.place + self.word().len();
        let mut following = Parser { place: after, ..*self };
        following.blanks() > 0 && operator(following.word()).is_some()
    }

    fn filter_of_element(&mut self) -> Parsed<Filter> {
        let start = self.place;
        let filter = self.filter()?;
        match nested_element(&filter) {
            Some(path) => Err(Mistake::at(path.place.max(start), "brackets within brackets are not possible")),
            None => Ok(filter),
        }
    }

    fn path(&mut self, what: &str) -> Parsed<Path> {
        let word = self.word();
        if !word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$') {
            return Err(self.expected(what));
        }
        let path = Path { text: word.to_owned(), place: self.place };
        self.place += word.len();
        Ok(path)
    }

    /// What follows an attribute: a blank, the operator and, unless it is `pr`, the value.
    fn comparison(&mut self) -> Parsed<Test> {
        self.blank(OPERATOR)?;
        let (start, word) = (self.place, self.word());
        let operator = operator(word).ok_or_else(|| self.expected(OPERATOR))?;
        self.place += word.len();
        let Some(operator) = operator else { return Ok(Test::Present) };
        self.blank(VALUE)?;
        let place = self.place;
        let value = self.value()?;
        Ok(Test::Compare(operator, Literal { value, place, operator: start }))
    }

    fn value(&mut self) -> Parsed<Value> {
        let rest = self.rest();
        if rest.starts_with('"') {
            return self.string();
        }
        let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '+' | '.' | '_')));
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let value = match word {
            _ if word.eq_ignore_ascii_case("true") => Value::Bool(true),
            _ if word.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ if word.eq_ignore_ascii_case("null") => Value::Null,
            _ => Value::Number(word.parse::<Number>().map_err(|_| self.no_number(word))?),
        };
        self.place += word.len();
        Ok(value)
    }

    fn no_number(&self, word: &str) -> Mistake {
        // As far as JSON goes there is no limit.
        if serde_json::from_str::<IgnoredAny>(word).is_ok() {
            return Mistake::at(self.place, "this number is too large to be read");
        }
        self.expected(VALUE)
    }

    /// A string as JSON writes it: escapes and all.
    fn string(&mut self) -> Parsed<Value> {
        let (start, rest) = (self.place, self.rest());
        let mut escaped = false;
        for (offset, char) in rest.char_indices().skip(1) {
            match char {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let text = rest.get(..=offset).unwrap_or_default();
                    self.place += text.len();
                    let value = serde_json::from_str(text).map_err(|_| {
                        Mistake::at(
                            start,
                            "expected a string as JSON writes it, found an escape or a character that it cannot have",
                        )
                    });
                    return value.map(Value::String);
                }
                _ => {}
            }
        }
        Err(Mistake::at(self.text.len(), "expected `\"` at the end of the value, found the end"))
    }

    /// What is between the next character and `close`.
    fn enclosed(&mut self, close: char, inside: impl Fn(&mut Self) -> Parsed<Filter>) -> Parsed<Filter> {
        if self.depth == self.limits.depth {
            return Err(Mistake::at(self.place, format!("the filter is nested deeper than {}", self.limits.depth)));
        }
        self.depth += 1;
        self.place += 1;
        let filter = inside(self)?;
        self.depth -= 1;
        self.blanks();
        if !self.rest().starts_with(close) {
            return Err(self.expected(&format!("`and`, `or` or `{close}`")));
        }
        self.place += 1;
        Ok(filter)
    }

    /// Whether this keyword comes next; if so, it is skipped. It must be between blanks.
    fn keyword(&mut self, keyword: &str) -> Parsed<bool> {
        let start = self.place;
        let blanks = self.blanks();
        if !self.word().eq_ignore_ascii_case(keyword) {
            self.place = start;
            return Ok(false);
        }
        if blanks == 0 {
            return Err(self.expected(&format!("a blank before `{keyword}`")));
        }
        self.place += keyword.len();
        self.blank("a blank and a further test")?;
        Ok(true)
    }

    fn blank(&mut self, what: &str) -> Parsed<()> {
        if self.blanks() == 0 {
            let what = if self.rest().is_empty() { what } else { "a blank" };
            return Err(self.expected(what));
        }
        Ok(())
    }

    /// Skips blanks and tells how many there were.
    fn blanks(&mut self) -> usize {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_ascii_start().len();
        self.place += blanks;
        blanks
    }

    /// The letters that come next, as far as they can be one name.
    fn word(&self) -> &'t str {
        let rest = self.rest();
        let end =
            rest.find(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | ':' | '.' | '$')));
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.place..).unwrap_or_default()
    }

    fn expected(&self, what: &str) -> Mistake {
        let found = match (shortened(self.word()).as_ref(), self.rest().chars().next()) {
            (_, None) => "the end".to_owned(),
            ("", Some(char)) if is_invisible(char) => format!("U+{:04X}", u32::from(char)),
            ("", Some(char)) => format!("`{char}`"),
            (word, Some(_)) => format!("`{word}`"),
        };
        Mistake::at(self.place, format!("expected {what}, found {found}"))
    }
}

/// Whether it cannot be seen in a message, or does something to it.
fn is_invisible(char: char) -> bool {
    char.is_control() || matches!(char.escape_debug().nth(1), Some('u'))
}

/// The operator of this name, or `Some(None)` for `pr`.
#[expect(clippy::option_option, reason = "pr is an operator too, but compares with nothing")]
fn operator(word: &str) -> Option<Option<CompareOp>> {
    if word.eq_ignore_ascii_case("pr") {
        return Some(None);
    }
    CompareOp::ALL.into_iter().find(|operator| word.eq_ignore_ascii_case(operator.word())).map(Some)
}

fn one_or(mut parts: Vec<Filter>, several: impl Fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            several(parts)
        }
        None => several(parts),
    }
}

fn nested_element(filter: &Filter) -> Option<&Path> {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().find_map(nested_element),
        Filter::Not(inner) => nested_element(inner),
        Filter::Test(..) => None,
        Filter::Element(path, ..) => Some(path),
    }
}
