//! Invalid queries and the body of a failed request (RFC 7644 §3.12).
//!
//! The HTTP status of each failure is decided by the server, not here.

use serde::{Serialize, Serializer};

use crate::scim::filter::FilterError;

/// `scimType` keyword of RFC 7644 table 9 or RFC 9865 §2 that a read-only server can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ScimType {
    /// Filter that cannot be parsed or is not supported.
    InvalidFilter,
    /// Parameter whose value is not of its type.
    InvalidValue,
    /// Unknown attribute.
    InvalidPath,
    /// Malformed request body.
    InvalidSyntax,
    /// Cursor of another query or client.
    InvalidCursor,
    /// Cursor whose snapshot is no longer retained.
    ExpiredCursor,
    /// Page size that is not possible with a cursor.
    InvalidCount,
}

impl ScimType {
    /// Returns the keyword that an error body contains.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::InvalidValue => "invalidValue",
            Self::InvalidPath => "invalidPath",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidCursor => "invalidCursor",
            Self::ExpiredCursor => "expiredCursor",
            Self::InvalidCount => "invalidCount",
        }
    }

    /// Returns the reason for the request log. The text contains nothing of the query.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidFilter => "the filter is too long, malformed or has an unknown attribute",
            Self::InvalidValue => "a parameter has an invalid value or is given more than once",
            Self::InvalidPath => "sortBy does not name a sortable attribute",
            Self::InvalidSyntax => "the body is not a SearchRequest in JSON",
            Self::InvalidCursor => "the cursor belongs to another query or client",
            Self::ExpiredCursor => "the snapshot of the cursor is no longer retained",
            Self::InvalidCount => "count is not a page size that is possible with a cursor",
        }
    }
}

/// Query that cannot be run, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InvalidQuery {
    /// Keyword for programs.
    pub scim_type: ScimType,
    /// Text for people.
    pub detail: String,
}

impl From<FilterError> for InvalidQuery {
    fn from(error: FilterError) -> Self {
        Self { scim_type: ScimType::InvalidFilter, detail: error.to_string() }
    }
}

/// Resource that cannot be serialised as JSON.
#[derive(Debug, thiserror::Error)]
#[error("a resource cannot be serialised as JSON: {0}")]
pub struct SerializationError(#[from] serde_json::Error);

/// Error body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    schemas: [&'static str; 1],
    #[serde(serialize_with = "as_text")]
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    scim_type: Option<ScimType>,
    detail: String,
}

impl Error {
    /// Creates the body for the HTTP `status`, with a `detail` for people.
    #[must_use]
    pub fn new(status: u16, scim_type: Option<ScimType>, detail: String) -> Self {
        Self { schemas: [crate::scim::ERROR_SCHEMA], status, scim_type, detail }
    }
}

/// Serialises the status as RFC 7644 §3.12 requires: "The HTTP status code … expressed as a JSON
/// string. REQUIRED."
fn as_text<S: Serializer>(status: &u16, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_is_a_string_and_an_absent_type_is_left_out() {
        let error = Error::new(404, None, "no such user".into());
        let expected = json!({
            "schemas": [crate::scim::ERROR_SCHEMA],
            "status": "404",
            "detail": "no such user",
        });
        assert_eq!(serde_json::to_value(error).unwrap(), expected);
        let error = Error::new(400, Some(ScimType::InvalidValue), String::new());
        assert_eq!(serde_json::to_value(error).unwrap()["scimType"], "invalidValue");
    }
}
