//! Endpoint of a request, selected by the method and the path.
//!
//! The endpoints themselves read the query and the body.

use actix_web::http::Method;
use percent_encoding::percent_decode_str;

/// Part of the API that is counted, limited and made to fail separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimulatedEndpoint {
    /// `POST /v2/auth/token`
    Token,
    /// `GET /v2/persons`
    Persons,
    /// `GET /v2/persons/{id}`
    Person,
    /// `GET /v2/persons/{id}/employments`
    Employments,
    /// `GET /v2/org-units`
    OrgUnits,
    /// `GET /v2/org-units/{id}`
    OrgUnit,
    /// `GET /v2/legal-entities`
    LegalEntities,
    /// `GET /v2/workplaces`
    Workplaces,
    /// `GET /v2/cost-centers`
    CostCenters,
    /// `GET /v2/jobs`
    Jobs,
    /// Any other method and path, answered with status 404.
    Unknown,
}

/// Endpoint with the ids in the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SimulatedRoute {
    Token,
    Persons,
    Person(String),
    Employments(String),
    OrgUnits,
    OrgUnit(String),
    LegalEntities,
    Workplaces,
    CostCenters,
    Jobs,
    Unknown,
}

impl SimulatedRoute {
    /// Parses a method and a path. The segments of the path are percent-decoded.
    pub(super) fn parse(method: &Method, path: &str) -> Self {
        let mut segments = Vec::new();
        for segment in path.split('/') {
            segments.push(percent_decode_str(segment).decode_utf8_lossy());
        }
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match (method, segments.as_slice()) {
            (&Method::POST, ["", "v2", "auth", "token"]) => Self::Token,
            (&Method::GET, ["", "v2", rest @ ..]) => Self::parse_read(rest),
            _ => Self::Unknown,
        }
    }

    /// Parses the segments after `/v2` of a `GET` request.
    fn parse_read(segments: &[&str]) -> Self {
        match segments {
            ["persons"] => Self::Persons,
            ["persons", id] if !id.is_empty() => Self::Person((*id).to_owned()),
            ["persons", id, "employments"] if !id.is_empty() => Self::Employments((*id).to_owned()),
            ["org-units"] => Self::OrgUnits,
            ["org-units", id] if !id.is_empty() => Self::OrgUnit((*id).to_owned()),
            ["legal-entities"] => Self::LegalEntities,
            ["workplaces"] => Self::Workplaces,
            ["cost-centers"] => Self::CostCenters,
            ["jobs"] => Self::Jobs,
            _ => Self::Unknown,
        }
    }

    pub(super) fn endpoint(&self) -> SimulatedEndpoint {
        match self {
            Self::Token => SimulatedEndpoint::Token,
            Self::Persons => SimulatedEndpoint::Persons,
            Self::Person(_) => SimulatedEndpoint::Person,
            Self::Employments(_) => SimulatedEndpoint::Employments,
            Self::OrgUnits => SimulatedEndpoint::OrgUnits,
            Self::OrgUnit(_) => SimulatedEndpoint::OrgUnit,
            Self::LegalEntities => SimulatedEndpoint::LegalEntities,
            Self::Workplaces => SimulatedEndpoint::Workplaces,
            Self::CostCenters => SimulatedEndpoint::CostCenters,
            Self::Jobs => SimulatedEndpoint::Jobs,
            Self::Unknown => SimulatedEndpoint::Unknown,
        }
    }

    /// Returns the id of the person in the path.
    pub(super) fn person_id(&self) -> Option<&str> {
        match self {
            Self::Person(id) | Self::Employments(id) => Some(id),
            Self::Token
            | Self::Persons
            | Self::OrgUnits
            | Self::OrgUnit(_)
            | Self::LegalEntities
            | Self::Workplaces
            | Self::CostCenters
            | Self::Jobs
            | Self::Unknown => None,
        }
    }
}
