//! Users as a CSV table (RFC 4180) for spreadsheets: one column for each attribute, one row for
//! each user.

use std::io::{self, Write};

use csv::{QuoteStyle, Terminator, WriterBuilder};
use serde_json::Value;

use crate::scim::{AttributeId, InvalidQuery, ListItem, Projection, ResourceType, SearchRequest};

/// Separator between several values of one attribute.
const VALUE_SEPARATOR: &str = ";";
/// Characters that begin a formula in a spreadsheet. A formula could read other cells and send them
/// to a server.
const FORMULA_PREFIXES: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];
/// Sub-attributes without information about a person. They become columns only on request.
const HIDDEN_SUB_ATTRIBUTES: [&str; 3] = ["$ref", "type", "primary"];
/// The one sub-attribute of `meta` that is a column by default.
const LAST_MODIFIED: &str = "lastModified";

/// Columns of a table.
pub(super) struct CsvTable(Vec<CsvColumn>);

struct CsvColumn {
    heading: String,
    /// Attribute names from the resource down to the value.
    steps: Vec<String>,
}

impl CsvTable {
    /// Selects the columns for the attributes in `request`.
    pub(super) fn new(
        user_type: &ResourceType,
        request: &SearchRequest,
    ) -> Result<Self, InvalidQuery> {
        let SearchRequest { attributes, excluded_attributes, .. } = request;
        let mut leaves =
            Projection::new(user_type, attributes, excluded_attributes)?.leaf_attributes(user_type);
        if attributes.is_empty() {
            leaves.retain(|&id| is_default_column(user_type, id));
        } else {
            // The columns have the order of the requested attributes. `id`, which is always
            // returned, comes first.
            let mut requested = Vec::with_capacity(attributes.len());
            for name in attributes {
                requested.extend(user_type.attribute(name));
            }
            leaves.retain(|&id| {
                position(user_type, id, &requested).is_some() || is_default_column(user_type, id)
            });
            leaves.sort_by_key(|&id| position(user_type, id, &requested));
        }
        Ok(Self(leaves.into_iter().map(|id| CsvColumn::new(user_type, id)).collect()))
    }

    /// Writes a heading and one row for each user.
    pub(super) fn write(&self, users: &[impl ListItem], out: &mut dyn Write) -> io::Result<()> {
        let mut rows = CsvWriter::new(out);
        rows.write_headings(self.0.iter().map(|column| column.heading.as_str()))?;
        let mut json = Vec::new();
        for user in users {
            json.clear();
            user.write(&mut json);
            let user: Value = serde_json::from_slice(&json)?;
            rows.write_cells(self.0.iter().map(|column| column.cell(&user)))?;
        }
        rows.finish()
    }
}

/// Writer of a table as CSV (RFC 4180), with formulas escaped.
pub(super) struct CsvWriter<'w>(csv::Writer<&'w mut dyn Write>);

impl<'w> CsvWriter<'w> {
    pub(super) fn new(out: &'w mut dyn Write) -> Self {
        let mut builder = WriterBuilder::new();
        builder.terminator(Terminator::CRLF).quote_style(QuoteStyle::Necessary);
        Self(builder.from_writer(out))
    }

    pub(super) fn write_headings<'h>(
        &mut self,
        headings: impl Iterator<Item = &'h str>,
    ) -> io::Result<()> {
        self.0.write_record(headings).map_err(io_error)
    }

    pub(super) fn write_cells(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        self.0.write_record(cells.map(escape_formulas)).map_err(io_error)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl CsvColumn {
    fn new(user_type: &ResourceType, id: AttributeId) -> Self {
        let steps: Vec<String> = user_type.path_names(id).map(str::to_owned).collect();
        let (urn, names) = match steps.split_first() {
            Some((first, names)) if first.contains(':') => (Some(first), names),
            Some(_) | None => (None, steps.as_slice()),
        };
        // The URN is left out unless the short name stands for another attribute.
        let short = names.join(".");
        let heading = match urn {
            Some(urn) if user_type.attribute(&short).is_some() => format!("{urn}:{short}"),
            Some(_) | None => short,
        };
        Self { heading, steps }
    }

    fn cell(&self, user: &Value) -> String {
        let mut texts = Vec::new();
        collect_values(user, &self.steps, &mut texts);
        texts.join(VALUE_SEPARATOR)
    }
}

/// Returns the position of the first requested attribute that contains this one.
fn position(user_type: &ResourceType, id: AttributeId, requested: &[AttributeId]) -> Option<usize> {
    requested.iter().position(|&whole| user_type.is_within(id, whole))
}

/// Returns the I/O error within an error of the crate `csv`. The crate's own conversion hides the
/// kind of the error, for example a closed pipe.
fn io_error(error: csv::Error) -> io::Error {
    let csv::ErrorKind::Io(error) = error.into_kind() else {
        return io::Error::other("a row cannot be written");
    };
    error
}

/// Reports whether an attribute is a column by default.
fn is_default_column(user_type: &ResourceType, id: AttributeId) -> bool {
    let steps: Vec<&str> = user_type.path_names(id).collect();
    match steps.as_slice() {
        ["schemas"] => false,
        ["meta", name] => *name == LAST_MODIFIED,
        [.., _, last] => !HIDDEN_SUB_ATTRIBUTES.contains(last),
        _ => true,
    }
}

fn collect_values(value: &Value, steps: &[String], texts: &mut Vec<String>) {
    match (value, steps.split_first()) {
        (Value::Array(values), _) => {
            for value in values {
                collect_values(value, steps, texts);
            }
        }
        (Value::Object(members), Some((step, rest))) => {
            if let Some(member) = members.get(step) {
                collect_values(member, rest, texts);
            }
        }
        (Value::String(text), None) => texts.push(text.clone()),
        (Value::Bool(_) | Value::Number(_), None) => texts.push(value.to_string()),
        _ => {}
    }
}

/// Adds an apostrophe where a spreadsheet would begin to evaluate a formula: at the start, and
/// after `;` and line breaks, which some spreadsheets take for the end of a cell.
fn escape_formulas(text: String) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut begins = true;
    for char in text.chars() {
        if begins && FORMULA_PREFIXES.contains(&char) {
            safe.push('\'');
        }
        begins = matches!(char, ';' | '\n');
        safe.push(char);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_escaped_with_an_apostrophe() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("Ann", "Ann"),
            ("a=b", "a=b"),
            ("a;=b;c", "a;'=b;c"),
            ("a\n=b", "a\n'=b"),
            ("", ""),
        ] {
            assert_eq!(escape_formulas(text.to_owned()), expected);
        }
    }
}
