//! What a server says of its services: whether they serve, and what their messages are.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use tokio::sync::Semaphore;

use super::health::{self, HealthCheckRequest, Look, Watching};
use super::{Messages, Status, reflection};

/// A service of gRPC on this server.
#[derive(Clone)]
pub(crate) struct Service {
    /// Its full name.
    pub(crate) name: &'static str,
    /// Whether it works.
    pub(crate) serves: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The calls that [`answer`] answers, as metrics call them.
pub(crate) fn endpoint(path: &str) -> Option<&'static str> {
    let calls = [health::CHECK, health::WATCH];
    let mut calls = calls.into_iter().chain(reflection::PATHS);
    calls.find(|call| *call == path)
}

/// Answers one of these calls for all `services` of the server.
pub(crate) async fn answer(
    path: &str,
    mut messages: Messages,
    places: &Semaphore,
    services: Vec<Service>,
    watching: &Watching,
) -> Result<Response<Body>, Status> {
    match path {
        health::CHECK => {
            let HealthCheckRequest { service } = messages.single(places).await?;
            Ok(super::reply(&health::check(&look(services), &service)?))
        }
        health::WATCH => {
            let HealthCheckRequest { service } = messages.single(places).await?;
            health::watch(look(services), service, watching)
        }
        path if reflection::PATHS.contains(&path) => {
            let names = services.iter().map(|service| service.name).collect();
            Ok(reflection::serve(messages, names))
        }
        path => Err(Status::no_method(path)),
    }
}

/// The name "" stands for the whole server.
fn look(services: Vec<Service>) -> Look {
    Arc::new(move |name| match name {
        "" => Some(services.iter().all(|service| (service.serves)())),
        name => {
            let service = services.iter().find(|service| service.name == name);
            service.map(|service| (service.serves)())
        }
    })
}
