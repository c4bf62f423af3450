//! `/Groups/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Error, State, extract, respond};
use crate::scim::Projection;

pub(super) async fn read(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let search = extract::parameters(&request)?;
    // What makes no sense is said before anything is loaded.
    Projection::new(&state.directory.vocabulary().types.group, &search.attributes, &search.excluded_attributes)?;
    let snapshot = state.directory.current().await?;
    let group = snapshot.groups().find(&id).ok_or(Error::NoResource("Group"))?;
    respond::resource(&request, &state, group, &search).await
}
