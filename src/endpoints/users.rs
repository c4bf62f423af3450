//! `/Users` and `/Users/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Error, State, extract, respond};
use crate::directory::Page;

pub(super) async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    let query = extract::list_query(&request, state.max_results)?;
    let page = if query.paging.start_index() > 1 { Page::Further } else { Page::First };
    let snapshot = state.directory.page(extract::walk(&request), page).await?;
    Ok(respond::scim(&query.select(snapshot.users())))
}

pub(super) async fn read(id: web::Path<String>, state: web::Data<State>) -> Result<HttpResponse, Error> {
    // What cannot be an id is not asked for anywhere.
    let is_id = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let user = if is_id { state.directory.find(&id).await? } else { None };
    user.map(|user| respond::scim(&user)).ok_or(Error::NoResource("User"))
}
