//! The way of a request to its service, and of the answer back.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::http::{Response, StatusCode};
use hyper_util::service::TowerToHyperService;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument as _;

use super::access::Access;
use super::{Refused, Service, Shared, caller, cors, request_id};
use crate::listen::Peer;

/// Where nothing but the state of the server is asked; whoever watches it is not to be refused for asking often.
const HEALTH: [&str; 2] = ["/healthz", "/ping"];

/// The place that a request takes until its answer was sent. Work that goes on when its client has gone keeps the
/// request's extensions, and so this.
#[derive(Clone)]
pub(super) struct Place(
    #[expect(dead_code, reason = "it is there to be dropped")] Arc<OwnedSemaphorePermit>,
);

impl Refused {
    /// The limits, as metrics call them.
    pub(super) const LIMITS: [&'static str; 2] = [Self::RATE, Self::REQUESTS];
    const RATE: &'static str = "rate";
    const REQUESTS: &'static str = "requests";
}

pub(super) async fn answer(shared: Arc<Shared>, request: Request) -> Response<Body> {
    let began = Instant::now();
    let id = request_id::of(request.headers());
    let path = request.uri().path().to_owned();
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    let caller = caller::caller(peer, request.headers(), &shared.trusted_proxies);
    let Some((service, endpoint)) = shared.service(&path) else {
        return axum::response::IntoResponse::into_response(StatusCode::NOT_FOUND);
    };
    let mut access = Access {
        shared: shared.clone(),
        service: service.name,
        endpoint,
        method: request.method().clone(),
        path,
        caller,
        id: id.clone(),
        began,
        answer: None,
        bytes: 0,
        place: None,
    };
    // Of the highest level, so that it is there whatever level is logged.
    let name = id.to_str().unwrap_or_default();
    let span = tracing::error_span!("request", request_id = name);
    let mut response = respond(&shared, service, &mut access, request)
        .instrument(span)
        .await;
    response.headers_mut().insert(request_id::HEADER, id);
    cors::allow(response.headers_mut());
    access.answered(response)
}

async fn respond(
    shared: &Shared,
    service: &Service,
    access: &mut Access,
    mut request: Request,
) -> Response<Body> {
    if let Some(response) = cors::preflight(request.method(), request.headers()) {
        return response;
    }
    let path = request.uri().path();
    match admit(shared, service.name, access.caller, path) {
        Ok(place) => {
            access.place.clone_from(&place);
            request.extensions_mut().insert(place);
            request.extensions_mut().insert(shared.bounds.clone());
        }
        Err(refused) => {
            let retry_after = refused.retry_after;
            let mut response = (service.refuse)(path, refused);
            if let Some(seconds) = retry_after {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
    }
    let router = TowerToHyperService::new(service.router.clone());
    let Ok(response) = hyper::service::Service::call(&router, request).await;
    response
}

/// A place for a request, if its caller may have one.
fn admit(
    shared: &Shared,
    service: &str,
    caller: IpAddr,
    path: &str,
) -> Result<Option<Place>, Refused> {
    if HEALTH.contains(&path) {
        return Ok(None);
    }
    if let Some(buckets) = shared.rates.get(service)
        && let Err(seconds) = buckets.take(caller, Instant::now())
    {
        shared.requests.refused(Refused::RATE);
        return Err(Refused {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: format!(
                "too many requests from {caller}: the limit is {}; come again in {seconds} s",
                buckets.rate()
            ),
            retry_after: Some(seconds),
        });
    }
    match shared.places.clone().try_acquire_owned() {
        Ok(permit) => Ok(Some(Place(Arc::new(permit)))),
        Err(_) => {
            shared.requests.refused(Refused::REQUESTS);
            Err(Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: "the server has more requests than it can work on; come again in a second"
                    .to_owned(),
                retry_after: Some(1),
            })
        }
    }
}
