//! `/Groups/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::scim::Projection;
use crate::server::middleware::authenticate;
use crate::server::{Error, State, request, response};

pub(in crate::server) async fn read(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let search = request::parameters(&request)?;
    let view = authenticate::view(&state, &request)?;
    // Invalid parameters are refused before the request waits for a load.
    let resource_type = &view.schema_registry()?.types.group;
    Projection::new(resource_type, &search.attributes, &search.excluded_attributes)?;
    let snapshot = view.current().await?;
    let group = snapshot.groups().find(&id).ok_or(Error::ResourceNotFound("Group"))?;
    response::resource(&request, &state, group, &search).await
}
