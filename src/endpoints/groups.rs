//! `/Groups`: there are none, and clients that ask for them must hear so in the form of a list. A
//! 404 ends the whole synchronisation of some.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Error, State, extract, respond};
use crate::scim::{ListResponse, User};

pub(super) async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Error> {
    let query = extract::list_query(&request, state.max_results)?;
    let none: &[User] = &[];
    Ok(respond::scim(&ListResponse::new(0, query.paging.start_index(), none)))
}

pub(super) async fn read() -> Result<HttpResponse, Error> {
    Err(Error::NoResource("Group"))
}
