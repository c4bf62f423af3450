//! Report of `check` for people: at most 80 columns wide, with colours on a terminal. The result
//! comes first, then one line for each step, then the details on request, and last what to change.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::cli::check::mask;
use crate::cli::check::mask::{ValueVisibility, escape_control_characters};
use crate::cli::check::{CLIENTS_STEP, failed_steps, outcome_word};
use crate::diagnostics::explanation::AttributeExplanation;
use crate::diagnostics::preflight::{
    Coverage, CustomAttributeReport, CustomAttributeUse, Finding, FindingOutcome, PreflightReport,
};
use crate::scim;

/// Number of columns of the narrowest usual terminal.
const COLUMNS: usize = 80;
/// Maximum number of columns of a table cell. Longer values are cut.
const MAX_CELL_COLUMNS: usize = 34;

/// Writes the report. `details` selects the visibility of personal values; without it, the details
/// are left out.
pub(super) fn write(
    report: &PreflightReport,
    details: Option<ValueVisibility>,
    out: &mut impl Write,
) -> io::Result<()> {
    let result = summary(&report.findings);
    write_paragraph(&result, "", out)?;
    writeln!(out)?;
    write_steps(&report.findings, out)?;
    if let Some(visibility) = details {
        write_details(report, visibility, out)?;
    }
    write_remedies(&report.findings, out)?;

    // On a machine without a connection, no request has reached Personio.
    let word = if report.unreachable.is_some() { "attempt" } else { "request" };
    let cost = match report.request_count {
        1 => format!("It took 1 {word}, and nothing was written."),
        count => format!("It took {count} {word}s, and nothing was written."),
    };
    writeln!(out)?;
    // After a failed check, the result follows as the last line on standard error.
    let closing =
        if failed_steps(&report.findings).is_empty() { format!("{result} {cost}") } else { cost };
    write_paragraph(&closing, "", out)?;
    if details.is_none() && !report.coverage.is_empty() {
        let hint = "--verbose shows which attributes persons have, all custom attributes, and a \
                    few persons as they would be served.";
        write_paragraph(hint, "", out)?;
    }
    out.flush()
}

/// Returns the result in one or two sentences.
fn summary(findings: &[Finding]) -> String {
    let failed = failed_steps(findings);
    if !failed.is_empty() {
        return format!("A server would serve nothing, because of: {}.", failed.join(", "));
    }
    let mut warnings = 0;
    let mut has_clients = true;
    for Finding { step, outcome, .. } in findings {
        if *step == CLIENTS_STEP {
            has_clients = false;
        } else if *outcome == FindingOutcome::Warning {
            warnings += 1;
        }
    }
    let mut result = match warnings {
        0 => "Everything that a server reads from Personio is right.".to_owned(),
        1 => "A server can serve what it reads from Personio; there is 1 warning.".to_owned(),
        warnings => format!(
            "A server can serve what it reads from Personio; there are {warnings} warnings."
        ),
    };
    if !has_clients {
        result.push_str(" `serve` does not start yet: SCIM_BEARER_TOKEN is missing.");
    }
    result
}

/// Writes each step with its outcome, on one line or more.
fn write_steps(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.step.len()).max().unwrap_or_default();
    let indent = " ".repeat(width + 8);
    for Finding { step, outcome, description, .. } in findings {
        let style = style(*outcome);
        write!(out, "{style}{:4}{style:#}  {step:width$}  ", outcome_word(*outcome))?;
        for (number, line) in
            wrap(&escape_control_characters(description), COLUMNS - indent.len()).iter().enumerate()
        {
            let indent = if number == 0 { "" } else { &indent };
            writeln!(out, "{indent}{line}")?;
        }
    }
    Ok(())
}

/// Writes the findings that are not in order once more, each with its remedy.
fn write_remedies(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let mut is_first = true;
    for Finding { step, outcome, description, remedy } in findings {
        // A finding without a remedy is a consequence of another one.
        if *outcome == FindingOutcome::Pass || remedy.is_none() {
            continue;
        }
        if is_first {
            writeln!(out, "\nWhat to change:")?;
            is_first = false;
        }
        let style = style(*outcome);
        writeln!(out, "\n  {style}{step}{style:#}")?;
        write_paragraph(&escape_control_characters(description), "    ", out)?;
        if let Some(remedy) = remedy {
            write_paragraph(&format!("-> {}", escape_control_characters(remedy)), "    ", out)?;
        }
    }
    Ok(())
}

fn style(outcome: FindingOutcome) -> Style {
    let colour = match outcome {
        FindingOutcome::Pass => AnsiColor::Green,
        FindingOutcome::Warning => AnsiColor::Yellow,
        FindingOutcome::Failure => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into())).bold()
}

fn write_details(
    report: &PreflightReport,
    visibility: ValueVisibility,
    out: &mut impl Write,
) -> io::Result<()> {
    if !report.coverage.is_empty() {
        write_coverage(&report.coverage, out)?;
    }
    if !report.custom_attributes.is_empty() {
        write_custom_attributes(&report.custom_attributes, out)?;
    }
    if visibility == ValueVisibility::Masked && !report.explained_users.is_empty() {
        let legend = "Values of persons are masked below: j…(26) is a text of 26 characters that \
                      begins with j, …(3) a text of 3 characters, …(a word) one of a few fixed \
                      words. --show-values shows them.";
        writeln!(out)?;
        write_paragraph(legend, "", out)?;
    }
    for (number, person) in report.explained_users.iter().enumerate() {
        let number = number + 1;
        writeln!(out, "\nPerson {number} as it would be served, with the source of each value:")?;
        let mut rows = Vec::with_capacity(person.len());
        for attribute in person {
            // The list of schemas contains nothing about the source of a person's data.
            if attribute.attribute != "schemas" {
                rows.push(explanation_row(attribute, visibility));
            }
        }
        write_table(&rows, out)?;
    }
    Ok(())
}

fn write_coverage(coverage: &[Coverage], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nAttributes, with the number of sampled persons that have them:")?;
    let mut rows = Vec::with_capacity(coverage.len());
    for it in coverage {
        rows.push(vec![it.attribute.to_owned(), format!("{} of {}", it.present, it.total)]);
    }
    write_table(&rows, out)
}

fn write_custom_attributes(
    attributes: &[CustomAttributeReport],
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "\nCustom attributes, with their ids for the configuration file:")?;
    let mut rows = vec![["id", "type", "label", "persons", ""].map(str::to_owned).to_vec()];
    for CustomAttributeReport { id, label, value_type, present, usage, .. } in attributes {
        let usage = match usage {
            CustomAttributeUse::Personal => "personal data: never served".to_owned(),
            CustomAttributeUse::Served(name) => format!("served as {name}"),
            CustomAttributeUse::Unused => "can be served".to_owned(),
        };
        let value_type = plain_or_dash(value_type.as_deref());
        let label = plain_or_dash(label.as_deref());
        // The id is never cut, because operators copy it.
        rows.push(vec![
            escape_control_characters(id),
            truncate(&value_type, 10),
            truncate(&label, 20),
            present.to_string(),
            usage,
        ]);
    }
    write_table(&rows, out)
}

fn plain_or_dash(text: Option<&str>) -> String {
    match text {
        Some(text) => escape_control_characters(text),
        None => "-".to_owned(),
    }
}

fn explanation_row(explained: &AttributeExplanation, visibility: ValueVisibility) -> Vec<String> {
    let source = explained.source.as_deref().unwrap_or("(source unknown)");
    let value = mask::display_value(explained, visibility);
    vec![
        short_name(&explained.attribute).to_owned(),
        // A value that is not masked is not cut either.
        if visibility == ValueVisibility::Full {
            value
        } else {
            truncate(&value, MAX_CELL_COLUMNS)
        },
        format!("<- {}", escape_control_characters(source)),
    ]
}

/// Returns an attribute name without the URN of its schema. Names are unique without it.
fn short_name(attribute: &str) -> &str {
    for urn in [scim::ENTERPRISE_USER_SCHEMA, scim::PERSONIO_USER_SCHEMA] {
        if let Some(rest) = attribute.strip_prefix(urn)
            && let Some(name) = rest.strip_prefix(':')
        {
            return name;
        }
    }
    attribute
}

/// Writes rows with aligned columns.
fn write_table(rows: &[Vec<String>], out: &mut impl Write) -> io::Result<()> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let mut cells = Vec::with_capacity(row.len());
        for (cell, width) in row.iter().zip(&widths) {
            cells.push(format!("{cell:width$}"));
        }
        writeln!(out, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Writes a text in lines that begin with `indent`.
fn write_paragraph(text: &str, indent: &str, out: &mut impl Write) -> io::Result<()> {
    for line in wrap(text, COLUMNS - indent.len()) {
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}

/// Splits a text into lines of at most `width` characters. A longer word is a line of its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Returns the text, shortened to at most `width` characters.
fn truncate(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words() {
        for (text, expected) in [
            ("", &[""][..]),
            ("one", &["one"]),
            ("one two three", &["one two", "three"]),
            ("one  two\nthree", &["one two", "three"]),
            ("https://long.example one", &["https://long.example", "one"]),
            ("äöü äöüß x", &["äöü äöüß", "x"]),
        ] {
            assert_eq!(wrap(text, 8), expected, "{text}");
        }
    }

    #[test]
    fn long_text_is_truncated_between_characters() {
        for (text, expected) in [("Größe", "Größe"), ("Größen", "Größ…"), ("", "")] {
            assert_eq!(truncate(text, 5), expected);
        }
    }
}
