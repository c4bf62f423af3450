//! Users as a CSV table with the column names of C1's file connector.
//!
//! C1 reads the column `User Type` as the kind of an account, which is `Service` or `System` there.
//! An employment type in it would have no effect, so the table has no such column, and
//! `Employment Type` instead.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::export::table::CsvWriter;
use crate::scim::{ENTERPRISE_USER_SCHEMA, ListItem, PERSONIO_USER_SCHEMA};

/// Separator between the groups of a user.
const GROUP_SEPARATOR: &str = ", ";

/// CsvColumn of the table.
struct CsvColumn {
    heading: &'static str,
    cell: Cell,
}

/// Content of the cells of a column.
enum Cell {
    /// Value of the attribute with these names, from the resource down to the value.
    Attribute(&'static [&'static str]),
    /// E-mail address, or else the `userName`: C1 requires an address.
    Address,
    /// `enabled` or `disabled`.
    Status,
    /// Names of the groups.
    Groups,
}

/// All columns. C1 knows the first ten. The others need a mapping in C1.
const COLUMNS: [CsvColumn; 22] = [
    attribute("User ID", &["id"]),
    CsvColumn { heading: "Email Address", cell: Cell::Address },
    attribute("Username", &["userName"]),
    attribute("First Name", &["name", "givenName"]),
    attribute("Last Name", &["name", "familyName"]),
    attribute("Full Name", &["displayName"]),
    CsvColumn { heading: "User Status", cell: Cell::Status },
    attribute("Manager ID", &[ENTERPRISE_USER_SCHEMA, "manager", "value"]),
    attribute("Manager Email", &[PERSONIO_USER_SCHEMA, "managerEmail"]),
    CsvColumn { heading: "Groups", cell: Cell::Groups },
    attribute("Employee ID", &[ENTERPRISE_USER_SCHEMA, "employeeNumber"]),
    attribute("Department", &[ENTERPRISE_USER_SCHEMA, "department"]),
    attribute("Job Title", &["title"]),
    attribute("Employment Type", &["userType"]),
    attribute("Employment Status", &[PERSONIO_USER_SCHEMA, "employmentStatus"]),
    attribute("Start Date", &[PERSONIO_USER_SCHEMA, "hireDate"]),
    attribute("End Date", &[PERSONIO_USER_SCHEMA, "endDate"]),
    attribute("Team", &[PERSONIO_USER_SCHEMA, "team"]),
    attribute("Office", &[PERSONIO_USER_SCHEMA, "office"]),
    attribute("Legal Entity", &[PERSONIO_USER_SCHEMA, "legalEntity"]),
    attribute("Cost Center", &[ENTERPRISE_USER_SCHEMA, "costCenter"]),
    attribute("Department ID", &[PERSONIO_USER_SCHEMA, "departmentId"]),
];

const fn attribute(heading: &'static str, names: &'static [&'static str]) -> CsvColumn {
    CsvColumn { heading, cell: Cell::Attribute(names) }
}

/// Writes a heading and one row for each user.
pub(super) fn write(users: &[impl ListItem], out: &mut dyn Write) -> io::Result<()> {
    let mut rows = CsvWriter::new(out);
    rows.write_headings(COLUMNS.iter().map(|column| column.heading))?;
    let mut json = Vec::new();
    for user in users {
        json.clear();
        user.write(&mut json);
        let user: Value = serde_json::from_slice(&json)?;
        rows.write_cells(COLUMNS.iter().map(|column| column.cell.text(&user)))?;
    }
    rows.finish()
}

impl Cell {
    fn text(&self, user: &Value) -> String {
        match self {
            Self::Attribute(names) => attribute_text(user, names),
            Self::Address => {
                let email = user.get("emails").and_then(|emails| emails.get(0));
                match email {
                    Some(email) => attribute_text(email, &["value"]),
                    None => attribute_text(user, &["userName"]),
                }
            }
            Self::Status => match user.get("active") {
                Some(Value::Bool(true)) => "enabled".to_owned(),
                _ => "disabled".to_owned(),
            },
            Self::Groups => groups_text(user),
        }
    }
}

/// Returns the value of an attribute, or an empty text.
fn attribute_text(value: &Value, names: &[&str]) -> String {
    let mut value = value;
    for name in names {
        let Some(member) = value.get(name) else { return String::new() };
        value = member;
    }
    value.as_str().unwrap_or_default().to_owned()
}

/// Returns the names of the user's groups. A name with a comma would be read as two groups, so the
/// id of such a group is used.
fn groups_text(user: &Value) -> String {
    let mut names = Vec::new();
    for group in user.get("groups").and_then(Value::as_array).into_iter().flatten() {
        let name = attribute_text(group, &["display"]);
        let has_separator = name.contains(',');
        names.push(if has_separator { attribute_text(group, &["value"]) } else { name });
    }
    names.join(GROUP_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{ResourceUrls, SchemaRegistry};

    #[test]
    fn columns_come_from_attributes_of_the_schemas() {
        let urls = ResourceUrls::new("https://scim.example.com");
        let registry = SchemaRegistry::new(&urls, 1000, &[]).unwrap();
        for CsvColumn { heading, cell } in &COLUMNS {
            let Cell::Attribute(names) = cell else { continue };
            let path = match names {
                [urn, names @ ..] if urn.contains(':') => format!("{urn}:{}", names.join(".")),
                names => names.join("."),
            };
            assert!(registry.types.user.attribute(&path).is_some(), "{heading}: {path}");
        }
    }
}
