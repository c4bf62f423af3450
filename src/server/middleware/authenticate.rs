//! Authentication of clients. A request passes if its credentials are accepted.

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::HeaderName;

use crate::auth::{AuthenticatedClient, FailureReason, ScopeId};
use crate::connections;
use crate::directory::DirectoryView;
use crate::server::middleware::credentials::{AuthScheme, Credentials};
use crate::server::middleware::request_log;
use crate::server::{Error, State};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Authenticates a request. The request log gets the client, or the reason of the refusal.
///
/// # Errors
/// Returns an error if the credentials are refused, or the connection is one too many.
pub(super) async fn authenticate(state: &State, request: &ServiceRequest) -> Result<(), Error> {
    let Credentials { scheme, tokens, mistake } = Credentials::of(request.request());
    let mut forwarded: Vec<&[u8]> = Vec::new();
    for value in request.headers().get_all(X_FORWARDED_FOR) {
        forwarded.push(value.as_bytes());
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    match state.authenticator.authenticate(&tokens, peer, &forwarded).await {
        Ok(client) => {
            request_log::set_client(request.request(), client);
            if connections::accept_token(request.request()) {
                Ok(())
            } else {
                Err(Error::TooManyConnections)
            }
        }
        Err(failure) => {
            request_log::set_refusal(request.request(), &failure);
            Err(Error::Refused { refusal: failure.reason, scheme, mistake })
        }
    }
}

/// Returns the client of a request that [`authenticate`] has let pass.
pub(in crate::server) fn client(request: &HttpRequest) -> Result<AuthenticatedClient, Error> {
    request_log::client(request).ok_or(Error::Refused {
        refusal: FailureReason::Missing,
        scheme: AuthScheme::Other,
        mistake: None,
    })
}

/// Returns the directory as the client of a request sees it. Every handler of a client's request
/// reads users, groups and schemas through it.
pub(in crate::server) fn view<'s>(
    state: &'s State,
    request: &HttpRequest,
) -> Result<DirectoryView<'s>, Error> {
    Ok(view_of(state, &client(request)?))
}

/// Returns the directory as a client sees it.
pub(in crate::server) fn view_of<'s>(
    state: &'s State,
    client: &AuthenticatedClient,
) -> DirectoryView<'s> {
    let scope = client.scope.as_ref().map(|ScopeId(digest)| digest);
    state.directory.view(scope)
}
