//! `/Users/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Error, State, extract, respond};
use crate::scim::{Projection, SearchRequest};

pub(super) async fn read(
    request: HttpRequest,
    id: web::Path<String>,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    let search = extract::parameters(&request)?;
    // What makes no sense is said before anybody is asked for.
    if search != SearchRequest::default() {
        Projection::new(&state.directory.vocabulary().types.user, &search.attributes, &search.excluded_attributes)?;
    }
    // What cannot be an id is not asked for anywhere.
    let is_id = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // Nearly always it is certain at once, and then needs no future, which is a large one.
    let user = match state.directory.ready() {
        _ if !is_id => None,
        Some(snapshot) => snapshot.users().find(&id).cloned(),
        None => Box::pin(state.directory.find(&id)).await?,
    };
    let user = user.ok_or(Error::NoResource("User"))?;
    respond::resource(&request, &state, &user, &search).await
}
