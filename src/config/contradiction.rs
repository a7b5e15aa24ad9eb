//! What settings must be together, beyond what each must be by itself.

use super::Config;
use super::address::is_loopback;
use super::database_url::DatabaseBackend;
use super::kind::{BillingKind, ModerationKind, Pooling, StorageBackend};
use super::provider::{BUILTIN, ProviderConfig, path};
use super::reader::Reader;

/// Reports to `reader` every pair of settings in `config` that do not go together.
pub(super) fn report(config: &Config, reader: &mut Reader) {
    if config.executor.heartbeat > config.executor.lease / 2 {
        reader.contradiction(
            &["executor.heartbeat", "executor.lease"],
            "the heartbeat may be at most half of the lease, so that one late beat loses no job",
        );
    }
    let is_shared = config.database.url.backend() == DatabaseBackend::Postgres;
    if is_shared && config.executor.lease <= config.database.lock_timeout {
        reader.contradiction(
            &["executor.lease", "database.lock_timeout"],
            "the lease is longer than a statement waits for a lock, so that a renewal that has to wait loses no job",
        );
    }
    if config.server.shutdown_delay > config.server.shutdown_grace / 2 {
        reader.contradiction(
            &["server.shutdown_delay", "server.shutdown_grace"],
            "the pause before the port closes may be at most half of the grace, of which it is a part",
        );
    }
    if config.executor.orphan_age < config.executor.job_timeout * 2 {
        reader.contradiction(
            &["executor.orphan_age", "executor.job_timeout"],
            "the age of an orphan is at least twice the job time-out, so that no running job's output is one",
        );
    }
    report_retention(config, reader);
    report_pooler(config, reader);
    if config.database.url.backend() == DatabaseBackend::Sqlite {
        if config.database.schema.is_some() {
            reader.contradiction(
                &["database.schema", "database.url"],
                "SQLite has no schemas: leave it out",
            );
        }
        let table = config.identity.users_table.as_ref();
        if table.is_some_and(|table| table.schema.is_some()) {
            reader.contradiction(
                &["identity.users_table", "database.url"],
                "SQLite has no schemas: name the table without one",
            );
        }
    }
    report_strangers(config, reader);
    report_plans(config, reader);
    let known = provider_names(config);
    let unknown = config.executor.providers.iter();
    let unknown = unknown.filter(|name| !known.contains(&name.as_str()));
    let unknown: Vec<_> = unknown.map(|name| format!("{name:?}")).collect();
    if !unknown.is_empty() {
        let (known, unknown) = (known.join(", "), unknown.join(", "));
        let expected = format!(
            "only providers that this program has can be named, which are {known}; not {unknown}"
        );
        reader.contradiction(&["executor.providers"], &expected);
    }
    for (name, provider) in &config.providers {
        if matches!(provider, ProviderConfig::Task(task) if task.webhooks)
            && config.server.public_url.is_none()
        {
            reader.contradiction(
                &[&path(name, "webhooks"), "server.public_url"],
                "a service can only call a server whose URL it is told",
            );
        }
    }
    report_certificates(config, reader);
    let moderation = &config.moderation;
    let lacking = match moderation.kind {
        ModerationKind::Words if moderation.words.is_none() => Some("moderation.words"),
        ModerationKind::OpenAi if moderation.base_url.is_none() => Some("moderation.base_url"),
        _ => None,
    };
    if let Some(lacking) = lacking {
        reader.contradiction(
            &["moderation.kind", lacking],
            "who judges needs what to judge by",
        );
    }
    report_billing(config, reader);
    report_traces(config, reader);
    for (name, provider) in &config.providers {
        let place = config.reachable_by().into_iter().next();
        if let (Some(place), ProviderConfig::Scripted(_)) = (place, provider) {
            reader.contradiction(
                &[&path(name, "kind"), place],
                "the scripted provider is for tests, and not for a server that others reach",
            );
        }
    }
    let storage = &config.storage;
    if storage.backend == StorageBackend::S3 && storage.bucket.is_none() {
        reader.contradiction(
            &["storage.backend", "storage.bucket"],
            "the s3 backend needs a bucket",
        );
    }
    if storage.access_key_id.is_some() != storage.secret_access_key.is_some() {
        reader.contradiction(
            &["storage.access_key_id", "storage.secret_access_key"],
            "an access key and its secret are set together or not at all",
        );
    }
    if storage.session_token.is_some() && storage.access_key_id.is_none() {
        reader.contradiction(
            &["storage.session_token", "storage.access_key_id"],
            "a session token needs the access key that it was issued with",
        );
    }
    let origins = &config.server.cors_origins;
    if origins.len() > 1 && origins.iter().any(|origin| origin == "*") {
        reader.contradiction(
            &["server.cors_origins"],
            "\"*\" stands alone, because it already allows every origin",
        );
    }
}

fn report_pooler(config: &Config, reader: &mut Reader) {
    let database = &config.database;
    let (url, listen_url) = (&database.url, database.listen_url.as_ref());
    if listen_url.is_some_and(|direct| direct.backend() != url.backend()) {
        reader.contradiction(
            &["database.listen_url", "database.url"],
            "both lead to the same database, one without the pooler that is before the other",
        );
    }
    if database.pooling == Pooling::Transaction {
        if url.backend() == DatabaseBackend::Sqlite {
            reader.contradiction(
                &["database.pooling", "database.url"],
                "nothing is before SQLite: leave it out",
            );
        } else if listen_url.is_none() {
            reader.contradiction(
                &["database.pooling", "database.listen_url"],
                "what hears of other servers, and changes the schema, needs a session that lasts",
            );
        }
    }
}

fn report_certificates(config: &Config, reader: &mut Reader) {
    let tls = &config.tls;
    if tls.certificate.is_some() != tls.key.is_some() {
        reader.contradiction(
            &["tls.certificate", "tls.key"],
            "a certificate and its key are set together or not at all",
        );
    }
    if tls.client_ca.is_some() == config.auth.certificates.is_empty() {
        reader.contradiction(
            &["tls.client_ca", "auth.certificates"],
            "who issues certificates for clients, and whom the names in them stand for, are set together or not at all",
        );
    }
    if tls.client_ca.is_some() && tls.certificate.is_none() {
        reader.contradiction(
            &["tls.client_ca", "tls.certificate"],
            "clients show their certificates to a server that has one",
        );
    }
}

/// The providers of a process with this configuration, before it narrows them.
fn provider_names(config: &Config) -> Vec<&str> {
    let configured = config.providers.keys().map(String::as_str);
    [BUILTIN].into_iter().chain(configured).collect()
}

/// Who has no plan would have no limits where others have.
fn report_plans(config: &Config, reader: &mut Reader) {
    let (plans, default) = (&config.named_plans, config.plans.default.as_ref());
    let is_one = default.is_some_and(|name| plans.contains_key(name));
    let is_none = plans.is_empty() && default.is_none();
    if !(is_one || is_none) {
        let names: Vec<_> = plans.keys().map(|name| format!("{name:?}")).collect();
        let expected = match names.is_empty() {
            true => "there are no plans: make one, or set no default".to_owned(),
            false => format!(
                "who has no plan needs one of those that there are: {}",
                names.join(", ")
            ),
        };
        reader.contradiction(&["plans.default"], &expected);
    }
}

/// What Billing elsewhere needs.
fn report_billing(config: &Config, reader: &mut Reader) {
    let billing = &config.billing;
    let BillingKind::Remote = billing.kind else {
        return;
    };
    let Some(url) = &billing.url else {
        reader.contradiction(
            &["billing.kind", "billing.url"],
            "a service that keeps the credits must be named",
        );
        return;
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        reader.contradiction(
            &["billing.url"],
            "it is called over https, or http on this machine",
        );
    } else if url.scheme() == "http" && !is_loopback(url) && !config.server.insecure {
        reader.contradiction(
            &["billing.url"],
            "it is called over https, since whoever can change what it says could spend and give credits",
        );
    }
}

/// Who could read what a collector is shown.
fn report_traces(config: &Config, reader: &mut Reader) {
    let traces = &config.traces;
    let Some(url) = &traces.endpoint else {
        return;
    };
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        reader.contradiction(
            &["traces.endpoint"],
            "it is called over https, or http on this machine or a private network",
        );
    } else if traces.headers.is_some() && url.scheme() == "http" && !is_loopback(url) {
        reader.contradiction(
            &["traces.endpoint", "traces.headers"],
            "headers hold a secret, which goes to a collector over https, or to one on this machine",
        );
    }
}

fn report_retention(config: &Config, reader: &mut Reader) {
    let retention = &config.retention;
    if !retention.purge_requests.is_zero() && retention.deleted_media.is_zero() {
        reader.contradiction(
            &["retention.purge_requests", "retention.deleted_media"],
            "requests are removed once the files of their media are, which these settings keep for ever",
        );
    }
}

/// Who could call, or make tokens, that should not.
fn report_strangers(config: &Config, reader: &mut Reader) {
    let exposures = config.exposures();
    if !exposures.is_empty() && !config.server.insecure {
        reader.contradiction(
            &exposures,
            "others reach this server, and it asks nobody who he is: set auth.secret, auth.keys_file, auth.jwks_url, \
             auth.api_keys or auth.certificates, see docs/identity.md, or server.insecure (--insecure) if whoever comes may do everything",
        );
    }
    let auth = &config.auth;
    let keys = [
        ("auth.keys_file", auth.keys_file.is_some()),
        ("auth.jwks_url", auth.jwks_url.is_some()),
    ];
    for (key, _) in keys
        .iter()
        .filter(|(_, is_set)| *is_set && auth.issuer.is_none())
    {
        reader.contradiction(
            &[key, "auth.issuer"],
            "who signs with such keys may make tokens for others too: say whose tokens are taken",
        );
    }
    let url = auth.jwks_url.as_ref();
    if url.is_some_and(|url| url.scheme() != "https" && !is_loopback(url))
        && !config.server.insecure
    {
        reader.contradiction(
            &["auth.jwks_url"],
            "keys come over https, since whoever can change them on their way could make tokens",
        );
    }
}
