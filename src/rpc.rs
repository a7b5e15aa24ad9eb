//! The service to the outside: gRPC, grpc-web and plain HTTP on one port. tonic and prost stay in here and in the client.

mod access;
mod admin;
mod authentication;
mod batch;
mod call;
mod certificate;
mod codec;
mod connection;
mod credit;
mod deadline;
mod ending;
mod error;
mod feature;
mod field_mask;
mod front;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod guard;
mod health;
mod http;
mod job;
mod json;
mod language;
mod lingering;
mod media;
mod metrics;
mod names;
mod page;
mod places;
mod port;
mod preview;
pub mod proto;
mod protocol_error;
mod rates;
mod request;
mod retention;
mod shown;
mod stopping;
mod template;
mod time;
mod timed;
mod tls;
mod traced;
mod unbuffered;
mod upload;
mod view;
mod watches;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue, Method},
    middleware,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::pb::health_server::{Health as HealthRpc, HealthServer};
use tower::{Layer, ServiceBuilder};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::{
    app::{App, Health},
    domain::{Caller, Checks, Error, Flaw},
    identity::Authentication,
};

use authentication::{Desk, caller};
use guard::Guard;
use health::{Announcer, announce_changes};

use rates::Rates;
use watches::Watches;

pub use error::REASON_DOMAIN;
pub use front::FrontSettings;
pub use guard::AccessSettings;
pub use places::Bounds;
pub use rates::RateSettings;
pub use tls::{Tls, TlsError, TlsSettings};

/// Connections of probes and of what collects metrics, on ports of their own.
const PROBES: Bounds = Bounds {
    in_all: 256,
    per_peer: 128,
};
/// What a page may send: the headers of grpc-web clients, a token, the part of a file that it wants, which file it has, and
/// what it knows the call by.
const CORS_REQUEST_HEADERS: [&str; 11] = [
    "authorization",
    "content-type",
    "grpc-timeout",
    "idempotency-key",
    "if-none-match",
    "if-range",
    "range",
    "traceparent",
    "x-grpc-web",
    "x-request-id",
    "x-user-agent",
];
/// What a page may read: the outcome of a call without messages, and which part of which file came.
const CORS_RESPONSE_HEADERS: [&str; 10] = [
    "accept-ranges",
    "content-disposition",
    "content-range",
    "etag",
    "grpc-message",
    "grpc-status",
    "grpc-status-details-bin",
    "x-atelier-ignored-inputs",
    "x-atelier-request-id",
    "x-request-id",
];
/// How long a browser may remember what it was allowed; none keeps it longer.
const CORS_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What of the configuration a port of clients goes by.
#[derive(Clone, Debug)]
pub struct PortSettings {
    /// From where calls may come.
    pub access: AccessSettings,
    /// Who may call.
    pub authentication: Authentication,
    /// How many connections are open at once.
    pub connections: Bounds,
    /// How many watches are open at once.
    pub watches: Bounds,
    /// How many calls each caller may make.
    pub rates: RateSettings,
    /// The certificate; `None` where nothing is encrypted.
    pub tls: Option<Tls>,
}

/// Serves, with the front if there is to be one, until `App::stopping`, and then until the last answer is out. Connections end
/// with it, also when it is dropped.
///
/// # Errors
/// When the descriptors of the contracts cannot be read.
pub async fn serve(
    app: App,
    listener: TcpListener,
    settings: PortSettings,
    front: Option<FrontSettings>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut announcer = Announcer::new(reporter);
    let health = health_service(health, &app);
    let desk = Arc::new(Desk {
        authentication: settings.authentication,
        app: app.clone(),
        rates: Rates::new(settings.rates),
    });
    let calls = TaskTracker::new();
    let front = front.map(|settings| front::router(app.clone(), settings));
    let watches = Watches::new(settings.watches, app.clone());
    // Who calls is asked here, and not of what stands beside: links are signed, webhooks too, and probes are anybody's.
    let router = own_services(&app, &watches)
        .merge(reflection(&app)?)
        .merge(front.unwrap_or_default())
        .route_layer(middleware::from_fn_with_state(desk, authentication::admit))
        .merge(health)
        .merge(http::router(app.clone()))
        .fallback(http::unknown);
    // Around all of it at once: a layer of its own on each route would be copied, with all within it, by each that is around it.
    let around = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(
            calls.clone(),
            connection::track,
        ))
        .layer(middleware::from_fn_with_state(
            (app.metrics.clone(), app.traces.clone()),
            call::in_span,
        ))
        .layer(middleware::from_fn(connection::bound_headers))
        .layer(middleware::from_fn(unbuffered::mark))
        .layer(middleware::from_fn(deadline::keep))
        .layer(middleware::map_response(protocol_error::complete));
    let router = axum::Router::new().fallback_service(around.service(router));
    let router = guarded(router, settings.access);

    announcer.announce(&app.health.ailments()).await;
    let stopping = app.stopping.clone();
    tokio::select! {
        () = port::serve(listener, settings.connections, settings.tls, router, stopping.clone()) => {}
        () = connection::drained(stopping, calls) => {}
        never = announce_changes(app.health.clone(), announcer) => match never {},
    }
    Ok(())
}

/// Serves health, over HTTP and gRPC, and nothing else, until it is dropped. Connections end with it. What else is asked for
/// may be there soon, as long as the process starts; on a port of `clients` they are told so who may call it.
pub async fn serve_health(
    health: Health,
    listener: TcpListener,
    clients: Option<PortSettings>,
) -> Infallible {
    let (reporter, service) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    routes.add_service(service);
    let router = routes.routes().into_axum_router().reset_fallback();
    let asked = health.clone();
    let router = router
        .merge(health::router(health.clone()))
        .fallback(move |uri, headers| health::unknown(asked.clone(), uri, headers));
    let (router, connections, tls) = match clients {
        Some(clients) => (
            guarded(router, clients.access),
            clients.connections,
            clients.tls,
        ),
        None => (router, PROBES, None),
    };
    let never = CancellationToken::new();
    let serving = port::serve(listener, connections, tls, router, never);
    let announcing = announce_changes(health, Announcer::new(reporter));
    tokio::join!(serving, announcing).1
}

/// Serves what operators watch, and nothing else, until it is dropped.
pub async fn serve_metrics(app: App, listener: TcpListener) {
    let router = metrics::router(app);
    port::serve(listener, PROBES, None, router, CancellationToken::new()).await;
}

fn own_services(app: &App, watches: &Watches) -> axum::Router {
    use proto::{
        admin_service_server::AdminServiceServer, credit_service_server::CreditServiceServer,
        feature_service_server::FeatureServiceServer, job_service_server::JobServiceServer,
        media_service_server::MediaServiceServer, request_service_server::RequestServiceServer,
        template_service_server::TemplateServiceServer,
    };
    let app = || app.clone();
    let watches = || watches.clone();
    // Each for itself: around everything, the layer would refuse plain HTTP.
    let web = tonic_web::GrpcWebLayer::new();
    let mut routes = Routes::builder();
    routes
        .add_service(web.layer(FeatureServiceServer::new(feature::Features { app: app() })))
        .add_service(web.layer(TemplateServiceServer::new(template::Templates {
            app: app(),
        })))
        .add_service(web.layer(RequestServiceServer::new(request::Requests {
            app: app(),
            watches: watches(),
        })))
        .add_service(web.layer(JobServiceServer::new(job::Jobs {
            app: app(),
            watches: watches(),
        })))
        .add_service(web.layer(MediaServiceServer::new(media::MediaFiles { app: app() })))
        .add_service(web.layer(CreditServiceServer::new(credit::Credits { app: app() })))
        .add_service(web.layer(AdminServiceServer::new(admin::Admin { app: app() })));
    routes.routes().into_axum_router()
}

fn health_service(health: HealthServer<impl HealthRpc>, app: &App) -> axum::Router {
    let mut routes = Routes::builder();
    routes.add_service(health);
    ending(routes, app)
}

/// Both versions of reflection: older clients know v1alpha only.
fn reflection(app: &App) -> Result<axum::Router, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let mut routes = Routes::builder();
    routes
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    Ok(ending(routes, app))
}

/// Services that are not our own, whose streams end with the server.
fn ending(routes: RoutesBuilder, app: &App) -> axum::Router {
    let router = routes.routes().into_axum_router().reset_fallback();
    router.layer(middleware::map_response_with_state(
        app.stopping.clone(),
        stopping::end_when_stopped,
    ))
}

/// The routes, for those only who may call them.
fn guarded(router: axum::Router, access: AccessSettings) -> axum::Router {
    let cors = cors(&access.origins);
    let guard = middleware::from_fn_with_state(Guard::new(access), guard::check);
    router.layer(cors).layer(guard)
}

/// Pages of these origins may call, without cookies. The origin "null" (files, sandboxed frames) is only among `*`,
/// because any page can take it on.
fn cors(origins: &[String]) -> CorsLayer {
    let origins = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(
            origins
                .iter()
                .filter_map(|origin| HeaderValue::from_str(origin).ok()),
        )
    };
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([
            Method::DELETE,
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
        ])
        .allow_headers(CORS_REQUEST_HEADERS.map(HeaderName::from_static))
        .expose_headers(CORS_RESPONSE_HEADERS.map(HeaderName::from_static))
        .max_age(CORS_MAX_AGE)
}

/// The identifier that a call names its row by: the field `id`.
fn required_id(id: i64) -> Result<i64, Error> {
    let mut checks = Checks::default();
    check_id("id", id, &mut checks);
    checks.finish(id)
}

/// Checks that a row is named by its id or by its name, and by one of them.
fn check_id_or_name(id: i64, (field, name): (&str, &str), checks: &mut Checks) {
    if name.is_empty() {
        check_id("id", id, checks);
    } else {
        call::note_id(id);
        checks.require(id == 0, field, || {
            Flaw::Conflict.says("must be left out beside id")
        });
    }
}

/// The identifier of what is to be cancelled, which only a trusted caller may have stopped.
fn cancellable_id(id: i64, stop_processing: bool, caller: Caller) -> Result<i64, Error> {
    let mut checks = Checks::default();
    check_id("id", id, &mut checks);
    checks.require(
        !stop_processing || caller.is_trusted(),
        "stop_processing",
        || Flaw::NotPermitted.says("only a trusted caller may stop what is being processed"),
    );
    checks.finish(id)
}

/// Checks the identifier of what the call's service is about, which the log then names.
fn check_id(field: &str, id: i64, checks: &mut Checks) {
    call::note_id(id);
    checks.id(field, id);
}
