//! `/Users/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::scim::{Projection, SearchRequest};
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
    if search != SearchRequest::default() {
        let resource_type = &view.schema_registry()?.types.user;
        Projection::new(resource_type, &search.attributes, &search.excluded_attributes)?;
    }
    // A current snapshot is the usual case, and does without the large future of `find`.
    let user = match view.current_without_waiting() {
        Some(snapshot) => snapshot.users().find(&id).cloned(),
        None => Box::pin(view.find(&id)).await?,
    };
    let user = user.ok_or(Error::ResourceNotFound("User"))?;
    response::resource(&request, &state, &user, &search).await
}
