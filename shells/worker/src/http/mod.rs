//! HTTP requests that a gateway hands to a worker, as requests and responses.
//!
//! The messages (docs of the gateway, "HTTP request as a Procwire worker call") stay inside:
//! `http` carries the request and its response, `http.body` the parts of a streamed request body,
//! `http.grant` the room for a streamed response.

mod body;
mod call;
mod open;
mod request;
mod response;
mod wire;

pub use body::{Body, BodyError};
pub use call::{BodyWriter, HttpContext, IntoHttpAnswer};
pub use request::HttpRequest;
pub use response::{HttpHead, HttpResponse, Trailers};

pub(crate) use call::methods;
