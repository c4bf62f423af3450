//! The body of a failed request (RFC 7644 §3.12). Which failure gets which status is decided
//! elsewhere.

use serde::{Serialize, Serializer};

use crate::scim::filter::ParseError;

/// The `scimType` keywords of RFC 7644 table 9 and RFC 9865 §2 that a read-only server can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ScimType {
    /// A filter that cannot be read, or that is not supported.
    InvalidFilter,
    /// A parameter whose value is not of its type.
    InvalidValue,
    /// An attribute that is none.
    InvalidPath,
    /// A body that is not what it should be.
    InvalidSyntax,
    /// A cursor that was not made for this query.
    InvalidCursor,
    /// A cursor whose list is not kept any more.
    ExpiredCursor,
    /// A page size that cannot be had with a cursor.
    InvalidCount,
}

impl ScimType {
    /// Keyword as it is in an error body.
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

    /// Reason for those who run the server. It holds nothing of the query.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::InvalidFilter => "the filter is too long, is not in the grammar, or names no attribute that there is",
            Self::InvalidValue => "a parameter has a value that it cannot have, or is there twice",
            Self::InvalidPath => "sortBy names no attribute by which resources can be sorted",
            Self::InvalidSyntax => "the body is not a SearchRequest in JSON",
            Self::InvalidCursor => "the cursor was made for another query or client",
            Self::ExpiredCursor => "the data that the cursor goes through is not kept any more",
            Self::InvalidCount => "count is not a page size that a cursor can have",
        }
    }
}

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InvalidQuery {
    /// The keyword for programs.
    pub scim_type: ScimType,
    /// The text for people.
    pub detail: String,
}

impl From<ParseError> for InvalidQuery {
    fn from(error: ParseError) -> Self {
        Self { scim_type: ScimType::InvalidFilter, detail: error.to_string() }
    }
}

/// A resource cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
#[error("a resource cannot be written: {0}")]
pub struct Unwritable(#[from] serde_json::Error);

/// An error body.
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
    /// A body for the HTTP `status`, with a text for people.
    #[must_use]
    pub fn new(status: u16, scim_type: Option<ScimType>, detail: String) -> Self {
        Self { schemas: [crate::scim::ERROR], status, scim_type, detail }
    }
}

/// "status: The HTTP status code … expressed as a JSON string. REQUIRED." (RFC 7644 §3.12)
fn as_text<S: Serializer>(status: &u16, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_a_string_and_the_type_is_left_out_where_none_applies() {
        let body = serde_json::to_value(Error::new(404, None, "no such user".into())).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"schemas": [crate::scim::ERROR], "status": "404", "detail": "no such user"})
        );
        let body = serde_json::to_value(Error::new(400, Some(ScimType::InvalidValue), String::new())).unwrap();
        assert_eq!(body["scimType"], "invalidValue");
    }
}
