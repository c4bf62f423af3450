//! A report for people: aligned, and coloured where a terminal shows it.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::mask::{self, Shown, plain};
use super::word;
use crate::scim;
use crate::translate::Explained;
use crate::translate::survey::{CustomAttribute, Finding, Outcome, Presence, Report, Standing};

/// Writes the report.
pub(super) fn write(report: &Report, shown: Shown, out: &mut impl Write) -> io::Result<()> {
    findings(&report.findings, out)?;
    if !report.presence.is_empty() {
        presence(&report.presence, out)?;
    }
    if !report.custom.is_empty() {
        custom(&report.custom, out)?;
    }
    for (number, person) in report.people.iter().enumerate() {
        writeln!(out, "\nHow person {} would be served, and what it is made of:", number + 1)?;
        // Which schemas there are says nothing about where a person comes from.
        let told = person.iter().filter(|it| it.attribute != "schemas");
        table(&told.map(|it| explained(it, shown)).collect::<Vec<_>>(), out)?;
    }
    let doubtful = report.findings.iter().filter(|finding| finding.outcome == Outcome::Doubtful).count();
    let is_wrong = report.findings.iter().any(|finding| finding.outcome == Outcome::Wrong);
    let result = match (is_wrong, doubtful) {
        // What is wrong is said at the end of the command.
        (true, _) => String::new(),
        (false, 0) => "Everything is right: a server can run. ".to_owned(),
        (false, 1) => "A server can run; there is 1 warning above. ".to_owned(),
        (false, doubtful) => format!("A server can run; there are {doubtful} warnings above. "),
    };
    let requests = match report.requests {
        1 => "1 request".to_owned(),
        requests => format!("{requests} requests"),
    };
    writeln!(out, "\n{result}It took {requests}, and nothing was written.")?;
    out.flush()
}

fn findings(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.step.len()).max().unwrap_or_default();
    for Finding { step, outcome, what, remedy } in findings {
        let colour = match outcome {
            Outcome::Fine => AnsiColor::Green,
            Outcome::Doubtful => AnsiColor::Yellow,
            Outcome::Wrong => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(colour.into())).bold();
        writeln!(out, "{style}{:4}{style:#}  {step:width$}  {}", word(*outcome), plain(what))?;
        if let Some(remedy) = remedy {
            writeln!(out, "{:indent$}-> {}", "", plain(remedy), indent = width + 8)?;
        }
    }
    Ok(())
}

fn presence(presence: &[Presence], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nHow many of the persons have what, as far as the credential may read it:")?;
    let rows = presence.iter().map(|it| vec![it.attribute.to_owned(), format!("{} of {}", it.found, it.of)]);
    table(&rows.collect::<Vec<_>>(), out)
}

fn custom(attributes: &[CustomAttribute], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nCustom attributes, by the id that the mapping file takes:")?;
    let heading = ["id", "type", "label", "persons", ""].map(str::to_owned).to_vec();
    let rows = attributes.iter().map(|CustomAttribute { id, label, kind, found, standing, .. }| {
        let standing = match standing {
            Standing::Personal => "personal data: never served".to_owned(),
            Standing::Served(name) => format!("served as {name}"),
            Standing::Free => "can be served".to_owned(),
        };
        let [label, kind] = [label, kind].map(|text| text.as_deref().map_or_else(|| "-".to_owned(), plain));
        vec![plain(id), kind, label, found.to_string(), standing]
    });
    table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>(), out)
}

fn explained(explained: &Explained, shown: Shown) -> Vec<String> {
    // Each name is short enough without the URN, and stands for the same.
    let urns = [scim::ENTERPRISE_USER, scim::EXTENSION_USER];
    let attribute = urns.iter().find_map(|urn| explained.attribute.strip_prefix(urn)?.strip_prefix(':'));
    let source = explained.source.as_deref().unwrap_or("what, is not known");
    vec![
        attribute.unwrap_or(&explained.attribute).to_owned(),
        mask::shown(explained, shown),
        format!("<- {}", plain(source)),
    ]
}

/// Writes rows with their columns below each other.
fn table(rows: &[Vec<String>], out: &mut impl Write) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "  {}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
