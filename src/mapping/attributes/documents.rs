//! Lists of attributes in the documents, written from the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::mapping::attributes::fields::{FIELDS, readable_objects};
use crate::mapping::attributes::{
    Attribute, Content, Extraction, Leaf, Source, SubAttribute, table,
};

/// Line before a list.
const BEGINNING: &str = "<!-- attributes: written by \
                         `cargo test --lib write_lists_of_attributes -- --ignored` -->\n";
/// Line after a list.
const END: &str = "<!-- end of the attributes -->";

/// Document with a list.
struct Document {
    path: PathBuf,
    text: String,
    /// Text with the list of the table.
    expected: String,
}

fn documents() -> [Document; 2] {
    [("docs/scim.md", source_list()), ("docs/personio.md", field_list())].map(|(name, list)| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once(BEGINNING).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let expected = format!("{before}{BEGINNING}\n{list}\n{END}{after}");
        Document { path, text, expected }
    })
}

#[test]
fn lists_of_attributes_are_those_of_the_table() {
    for Document { path, text, expected } in documents() {
        let path = path.display();
        assert_eq!(text, expected, "{path}: run the command that the document names");
    }
}

#[test]
#[ignore = "writes the documents"]
fn write_lists_of_attributes() {
    for Document { path, expected, .. } in documents() {
        fs::write(path, expected).unwrap();
    }
}

/// Returns a table of all attributes with their types and sources, one for each schema.
fn source_list() -> String {
    let mut list = String::new();
    let mut extension = None;
    for (index, section) in table::SECTIONS.iter().enumerate() {
        if index == 0 || section.extension != extension {
            list += match section.extension {
                Some(urn) => format!("\n`{urn}`:\n\n"),
                None if index == 0 => String::new(),
                None => "\nMetadata:\n\n".to_owned(),
            }
            .as_str();
            list += "| attribute | type | source |\n|---|---|---|\n";
            extension = section.extension;
        }
        for attribute in section.attributes {
            add_sources(attribute, &mut list);
        }
    }
    list
}

fn add_sources(attribute: &Attribute, list: &mut String) {
    let name = attribute.name;
    match attribute.content {
        Content::Simple(leaf) => *list += &source_row(name, &leaf),
        Content::Object(_) => *list += &format!("| `{name}` | complex | |\n"),
        Content::List { .. } => *list += &format!("| `{name}` | complex, several values | |\n"),
    }
    for SubAttribute { name: sub_name, leaf } in attribute.sub_attributes() {
        *list += &source_row(&format!("{name}.{sub_name}"), leaf);
    }
}

fn source_row(path: &str, leaf: &Leaf) -> String {
    let value_type = leaf.extraction.attribute_type().name();
    let summary = leaf.source.summary();
    let or_custom = match leaf.overridable {
        Some(_) if summary != Source::MAPPING_FILE => ", or the custom attribute in `[attributes]`",
        Some(_) | None => "",
    };
    format!("| `{path}` | {value_type} | {summary}{or_custom} |\n")
}

/// Returns a table of the fields and further rights that attributes need. Attributes with the same
/// needs share a row.
fn field_list() -> String {
    struct Row {
        names: Vec<String>,
        rights: String,
        fields: String,
    }
    let mut rows: Vec<Row> = Vec::new();
    for attribute in table::all() {
        let name = format!("`{}`", attribute.name);
        let fields: Vec<&str> = attribute.fields.iter().map(|field| field.name).collect();
        let (rights, fields) = (readable_by(attribute).join(", "), fields.join(", "));
        match rows.iter_mut().find(|row| row.rights == rights && row.fields == fields) {
            Some(row) => row.names.push(name),
            None => rows.push(Row { names: vec![name], rights, fields }),
        }
    }
    let mut list =
        "| SCIM | further right to read | readable attributes |\n|---|---|---|\n".to_owned();
    for Row { names, rights, fields } in rows {
        let names = names.join(", ");
        let fields = if fields.is_empty() { "none" } else { &fields };
        let rights = if rights.is_empty() { String::new() } else { format!("{rights} ") };
        list += &format!("| {names} | {rights}| {fields} |\n");
    }
    list
}

/// Returns the objects that a credential must be able to read for the names in the values.
fn readable_by(attribute: &Attribute) -> Vec<&'static str> {
    let mut kinds = attribute.lookups.to_vec();
    if let Content::Simple(Leaf { extraction: Extraction::NameOf(kind, _), .. }) = attribute.content
    {
        kinds.push(kind);
    }
    let mut rights: Vec<&str> = kinds.into_iter().map(readable_objects).collect();
    rights.dedup();
    rights
}

#[test]
fn every_field_is_the_source_of_an_attribute() {
    let listed: BTreeSet<&str> = FIELDS.iter().map(|field| field.name).collect();
    let needed = table::all().flat_map(|attribute| attribute.fields).map(|field| field.name);
    assert_eq!(needed.collect::<BTreeSet<&str>>(), listed);
}
