//! `/Users/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::scim::{Projection, SearchRequest};
use crate::server::{Error, State, request, response};

pub(in crate::server) async fn read(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let search = request::parameters(&request)?;
    // What makes no sense is said before anybody is asked for.
    if search != SearchRequest::default() {
        Projection::new(&state.directory.vocabulary().types.user, &search.attributes, &search.excluded_attributes)?;
    }
    // Nearly always it is certain at once, and then needs no future, which is a large one.
    let user = match state.directory.ready() {
        Some(snapshot) => snapshot.users().find(&id).cloned(),
        None => Box::pin(state.directory.find(&id)).await?,
    };
    let user = user.ok_or(Error::NoResource("User"))?;
    response::resource(&request, &state, &user, &search).await
}
