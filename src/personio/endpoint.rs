//! Endpoints of Personio's API. Personio limits the rate of each separately, so requests are
//! counted and limited by endpoint.

use std::fmt;

/// Endpoint of Personio's API that this program uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
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
}

impl Endpoint {
    /// Returns the route as Personio documents it, without ids.
    #[must_use]
    pub fn route(self) -> &'static str {
        match self {
            Self::Token => "/v2/auth/token",
            Self::Persons => "/v2/persons",
            Self::Person => "/v2/persons/{id}",
            Self::Employments => "/v2/persons/{id}/employments",
            Self::OrgUnits => "/v2/org-units",
            Self::OrgUnit => "/v2/org-units/{id}",
            Self::LegalEntities => "/v2/legal-entities",
            Self::Workplaces => "/v2/workplaces",
            Self::CostCenters => "/v2/cost-centers",
            Self::Jobs => "/v2/jobs",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.route())
    }
}
