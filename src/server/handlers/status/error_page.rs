//! Errors of the status page, as a page for browsers.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, VARY};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, HttpResponseBuilder};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::server::Error;
use crate::server::handlers::status::{STYLE, html_response, is_browser_request};

/// Replaces the JSON of an error by a page if a browser has sent the request.
pub(in crate::server) async fn replace_errors_for_browsers<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let is_browser = is_browser_request(request.head());
    let response = next.call(request).await?;
    let Some(reason) = error_text(&response).filter(|_| is_browser) else {
        return Ok(response.map_into_left_body());
    };
    let status = response.status();
    let mut error_response = HttpResponse::build(status);
    copy_headers(&response, &mut error_response);
    let page = html_response(&mut error_response, page(status, &reason).into_string());
    Ok(response.into_response(page).map_into_right_body())
}

/// Returns the text of the error that a response consists of.
fn error_text<B>(response: &ServiceResponse<B>) -> Option<String> {
    let error = response.response().error()?;
    Some(error.as_error::<Error>()?.to_string())
}

/// Copies the challenge, the time to wait and other headers that do not describe the body.
fn copy_headers<B>(from: &ServiceResponse<B>, to: &mut HttpResponseBuilder) {
    for (name, value) in from.headers() {
        if *name != CONTENT_TYPE && *name != CONTENT_LENGTH && *name != VARY {
            to.append_header((name.clone(), value.clone()));
        }
    }
    to.insert_header((VARY, "Accept"));
}

fn page(status: StatusCode, reason: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "personio-scim: " (status) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (status) }
                    p { "Reason: " (reason) "." }
                    @if status == StatusCode::UNAUTHORIZED {
                        p {
                            "The status page requires a token of this server. Reload this page, "
                            "and enter the token as the password; the user name does not matter."
                        }
                    }
                }
            }
        }
    }
}
