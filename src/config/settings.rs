//! Every setting, declared once: from this come the structs, their defaults, the loader and the reference.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::address::Origin;
use super::database_url::DatabaseUrl;
use super::entry::{Entry, kind, optional};
use super::identifier::{
    BucketName, LogFilter, SchemaName, StoragePrefix, TokenSecret, UsersTable, WorkerId,
};
use super::kind::{
    BillingKind, Kind, LogFormat, ModerationKind, Pooling, StorageBackend, StorageRemoval,
};
use super::plan;
use super::provider::{self, ProviderConfig};
use super::quantity::{ByteSize, Period};
use super::reader::Reader;
use crate::domain::{CertificateRule, HostRule, MediaType, Plan, TableName};

macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $ty:ty $(as $kind:ty)? $(= $default:tt $(in $low:tt ..= $high:tt)?)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone)]
            pub struct $Section {
                $($(#[doc = $doc])+ pub $key: $ty,)+
            }
        )+

        /// The whole configuration. Its default is what holds when nobody sets anything.
        #[derive(Debug, Clone)]
        pub struct Config {
            $($(#[doc = $section_doc])+ pub $section: $Section,)+
            /// What makes media, by name: with `voice`, unless a table of that name replaces it.
            pub providers: BTreeMap<String, ProviderConfig>,
            /// What users may have at once and in a time, by the name of the plan.
            pub named_plans: BTreeMap<String, Plan>,
            /// The `atelier` program, which watches over running commands. `None`: the program of this process. No setting:
            /// only a program that has a server within itself must say it.
            pub supervisor: Option<PathBuf>,
        }

        /// All settings in the order of their declaration.
        pub(super) const ENTRIES: &[Entry] = &[$($(Entry {
            key: concat!(stringify!($section), ".", stringify!($key)),
            doc: concat!($($doc),+),
            kind: <kind!($ty $(, $kind)?) as Kind>::NAME,
            secret: <kind!($ty $(, $kind)?) as Kind>::SECRET,
            optional: <kind!($ty $(, $kind)?) as Kind>::OPTIONAL,
            default: optional!($(stringify!($default))?),
            range: optional!($($((stringify!($low), stringify!($high)))?)?),
        },)+)+];

        impl Config {
            /// Takes every setting from `reader`, which keeps what is wrong.
            pub(super) fn read(reader: &mut Reader) -> Self {
                Self {
                    $($section: $Section {
                        $($key: settings!(
                            @read reader,
                            kind!($ty $(, $kind)?),
                            concat!(stringify!($section), ".", stringify!($key))
                            $($(, $low, $high)?)?
                        ),)+
                    },)+
                    providers: provider::read(reader),
                    named_plans: plan::read(reader),
                    supervisor: None,
                }
            }

            /// Every setting with its value as TOML, secrets redacted, `None` when it is not set.
            pub(super) fn written(&self) -> Vec<(&'static Entry, Option<String>)> {
                let values = [$($(<kind!($ty $(, $kind)?) as Kind>::write(&self.$section.$key),)+)+];
                ENTRIES.iter().zip(values).collect()
            }
        }
    };
    (@read $reader:ident, $kind:ty, $key:expr) => { $reader.read::<$kind>($key) };
    (@read $reader:ident, $kind:ty, $key:expr, $low:tt, $high:tt) => { $reader.read_within::<$kind>($key) };
}

settings! {
    /// The address that clients call.
    server: ServerConfig {
        /// Address and port to listen on; port 0 takes a free one. Beyond loopback callers must show who they are, see
        /// docs/identity.md.
        listen: SocketAddr = "127.0.0.1:50051";
        /// Whether a server that others can reach trusts whoever calls it. A private network that keeps everybody out, or a proxy
        /// that knows its callers, may be a reason.
        insecure: bool = false;
        /// Base of the links that clients download media from; `http://` (`https://` with a certificate) and the address listened on if not set.
        public_url: Option<Url>;
        /// How long a shutdown may take: running attempts go on until it is nearly over, and are then handed back.
        shutdown_grace: Duration = "20s" in "1s"..="24h";
        /// How long a server that is told to stop still answers while health says that it stops; at most half of
        /// `server.shutdown_grace`.
        shutdown_delay: Duration = "2s" in "1ms"..="5m";
        /// How often a silent watch stream says that it is alive.
        watch_heartbeat: Duration = "10s" in "1s"..="15s";
        /// Hosts by which clients may call this server beside those of loopback and of `server.public_url`: names, and
        /// networks of addresses, such as `["atelier.internal", "*.example.org", "10.1.0.0/16"]`.
        allowed_hosts: Vec<HostRule> = [];
        /// Web origins that may call from a browser, `["*"]` for every one; none if empty.
        cors_origins: Vec<String> as Vec<Origin> = [];
        /// How many connections are open at once, at most half of the files that the process may open (`ulimit -n`); further
        /// ones are closed at once.
        max_connections: usize = 1000 in 10..=1000000;
        /// How many of them may be of one address; a proxy before the server is one.
        max_connections_per_peer: usize = 500 in 1..=1000000;
        /// How many watches are open at once; further ones are refused as `WATCHES_TAKEN`.
        max_watches: usize = 5000 in 1..=1000000;
        /// How many of them may be of one address; a proxy before the server is one.
        max_watches_per_peer: usize = 2500 in 1..=1000000;
    }

    /// Whether what users write, and what is made for them, may be here.
    moderation: ModerationConfig {
        /// Who judges: `none`, `words` (a list of words, for what users write) or `openai` (a service that speaks the protocol of
        /// OpenAI's moderations, for what users write and for pictures and videos).
        kind: ModerationKind = "none";
        /// File of the words and phrases that nothing may have that users write, one a line.
        words: Option<PathBuf>;
        /// What the path `moderations` of the service follows, such as `https://api.openai.com/v1`.
        base_url: Option<Url>;
        /// Key of the service.
        api_key: Option<SecretString>;
        /// Model of the service; its own choice if not set.
        model: Option<String>;
        /// How long an answer of the service may take.
        timeout: Duration = "15s" in "100ms"..="5m";
        /// Whether what cannot be judged, as while the service is away, is let in.
        lenient: bool = false;
    }

    /// What users pay with, see docs/credits.md.
    billing: BillingConfig {
        /// Who keeps the credits that jobs take: `none` (jobs have a cost, and nobody is charged), `ledger` (users have credits
        /// in the database, and a request that costs more than its user has is refused) or `remote` (a service that serves
        /// `billing.v1.BillingService` keeps them).
        kind: BillingKind = "none";
        /// Where that service is, such as `https://billing.internal`.
        url: Option<Url>;
        /// The token that it is shown, as `authorization: Bearer`.
        token: Option<SecretString>;
        /// How long an answer of it may take, with all tries.
        deadline: Duration = "2s" in "50ms"..="1m";
        /// How many credits jobs may cost in all that are accepted while it is away, and that it has not heard of; 0 refuses them.
        accept_unreserved: u64 = 0 in 0..=1000000000000;
    }

    /// What users may have at once and in a time, see docs/plans.md. Each plan has a table of its own.
    plans: PlansConfig {
        /// The plan of users whose token names none, and of requests of services that name none; must be set where there are
        /// plans.
        default: Option<String>;
    }

    /// TLS on the clients' port, from version 1.2 on.
    tls: TlsConfig {
        /// PEM file of the certificate, with those behind it that lead to its root; nothing is encrypted if not set.
        certificate: Option<PathBuf>;
        /// PEM file of the certificate's private key.
        key: Option<PathBuf>;
        /// PEM file of the authorities whose certificates clients may show in place of a token, see `auth.certificates`.
        client_ca: Option<PathBuf>;
        /// How often these files are looked at: what is new in them holds for connections from then on.
        reload_interval: Duration = "10s" in "100ms"..="24h";
    }

    /// How callers show who they are, see docs/identity.md. Where there is neither a secret nor a key, and no certificates are
    /// taken, all are trusted.
    auth: AuthConfig {
        /// What tokens are signed with by HS256: at least 32 bytes, which whoever makes tokens knows too.
        secret: Option<SecretString> as Option<TokenSecret>;
        /// Whether API keys are taken, which `atelier key create` makes for services.
        api_keys: bool = false;
        /// The names (DNS or URI) in certificates of `tls.client_ca` that stand for a service or an admin, such as
        /// `["shop.internal=service:shop", "spiffe://example.org/ops=admin:ops"]`.
        certificates: Vec<CertificateRule> = [];
        /// A file of public keys for RS256, ES256 and EdDSA: PEM blocks or a JWK set.
        keys_file: Option<PathBuf>;
        /// Where an identity provider publishes such keys as a JWK set.
        jwks_url: Option<Url>;
        /// Who makes tokens: their `iss`. Not checked if not set, which only the secret alone allows.
        issuer: Option<String>;
        /// For whom tokens are made: their `aud`.
        audience: String = "atelier";
        /// How far the clock of who makes tokens may be from this server's.
        clock_skew: Duration = "30s" in "1ms"..="5m";
        /// How often published keys are got.
        jwks_refresh: Duration = "10m" in "1s"..="24h";
        /// How long after that they are not got again for a token that none of them has signed.
        jwks_pause: Duration = "30s" in "100ms"..="1h";
        /// How long a key holds that is not published any more. While none can be got, all hold.
        jwks_keep: Duration = "1h" in "1s"..="30d";
    }

    /// How many calls a minute each caller may make of all servers together: the user, or the service or admin of a name. As
    /// many may come at once; 0 sets no limit. Who need not show who he is has none.
    rates: RatesConfig {
        /// Calls that read, watches and downloads among them.
        reads: u32 = 0 in 0..=10000000;
        /// Calls that create, change or delete requests, jobs and media.
        writes: u32 = 0 in 0..=10000000;
        /// Calls that change the catalogue and credits.
        admin: u32 = 0 in 0..=10000000;
    }

    /// Probes of load balancers and of what restarts processes.
    health: HealthConfig {
        /// Address and port that answer health probes and nothing else, for workers too; not only loopback, since probes come
        /// from outside.
        listen: Option<SocketAddr>;
    }

    /// What operators watch.
    metrics: MetricsConfig {
        /// Address and port that tell it, and nothing else, to anybody who comes: loopback unless the network is closed.
        listen: Option<SocketAddr>;
    }

    /// A collector that what calls and jobs do is sent to as spans, see docs/operations.md#traces.
    traces: TracesConfig {
        /// Where it takes OTLP over gRPC, such as `http://127.0.0.1:4317`; nothing is sent if not set.
        endpoint: Option<Url>;
        /// What it is shown as headers: `name=value`, several separated by commas.
        headers: Option<SecretString>;
        /// Of how many traces that begin here one is sent; of those that callers have begun they decide.
        one_in: u32 = 1 in 1..=1000000;
        /// What the service is called there.
        service: String = "atelier";
    }

    /// The database that holds all records.
    database: DatabaseConfig {
        /// `sqlite://path/to/file.db` or `postgres://user:password@host/database`; also read from `DATABASE_URL`.
        url: DatabaseUrl = "sqlite://data/atelier.db";
        /// The same database without a pooler before it, for the one connection that hears what other servers do, and for the
        /// schema; `database.url` if not set.
        listen_url: Option<DatabaseUrl>;
        /// For how long a pooler before PostgreSQL gives a session: `session` for as long as a connection lasts, which is also
        /// for a server without a pooler, or `transaction`, for which statements get no names.
        pooling: Pooling = "session";
        /// How many connections the pool opens at most.
        max_connections: u32 = 16 in 2..=1000;
        /// How long a query waits for a free connection.
        acquire_timeout: Duration = "10s" in "100ms"..="10m";
        /// How long to wait at start for a database that is not there yet.
        connect_timeout: Duration = "30s" in "1ms"..="1h";
        /// How long a statement waits for a lock on PostgreSQL; less than `executor.lease`.
        lock_timeout: Duration = "10s" in "100ms"..="10m";
        /// How long a statement may take on PostgreSQL.
        statement_timeout: Duration = "60s" in "1s"..="1h";
        /// How long PostgreSQL keeps a transaction, and its locks, that a process has gone silent in.
        idle_in_transaction_timeout: Duration = "15s" in "1s"..="10m";
        /// Whether the server brings the schema up to date when it starts.
        migrate_on_start: bool = true;
        /// The PostgreSQL schema of Atelier's tables, put first in the search path and made with the first migration; where
        /// the search path leads if not set.
        schema: Option<String> as Option<SchemaName>;
    }

    /// Where media is kept.
    storage: StorageConfig {
        /// `local` for a folder, `s3` for a bucket of an S3-compatible service.
        backend: StorageBackend = "local";
        /// The folder of the `local` backend.
        folder: PathBuf = "data/media";
        /// A path in the folder or bucket below which everything stands, such as `staging`, to keep environments apart.
        prefix: String as StoragePrefix = "";
        /// The bucket of the `s3` backend.
        bucket: Option<String> as Option<BucketName>;
        /// The region of the bucket.
        region: Option<String>;
        /// The URL of an S3-compatible service other than AWS.
        endpoint: Option<Url>;
        /// The URL of the same service for clients, which links lead to and are signed for; `storage.endpoint` if not set.
        link_endpoint: Option<Url>;
        /// Whether the bucket is named in the path of a URL instead of its host.
        path_style: bool = false;
        /// The access key; the usual `AWS_` variables or the machine's role if not set.
        access_key_id: Option<String>;
        /// The secret that belongs to the access key.
        secret_access_key: Option<SecretString>;
        /// The token of temporary credentials.
        session_token: Option<SecretString>;
        /// Base of the stable URLs of media, for example of a CDN in front of the bucket.
        public_url: Option<Url>;
        /// Signs download links of the `local` backend; the installation's own key does if not set.
        signing_key: Option<SecretString>;
        /// How long a download link works at least; it works for up to half of that longer, and stays the same meanwhile.
        download_url_ttl: Duration = "1h" in "1m"..="7d";
        /// Whether objects without a record are removed: `on`, `dry-run` (they are only counted in the log), or `off`.
        removal: StorageRemoval = "on";
        /// How many percent of all objects may be removed at once without `atelier storage clean`; ten may always.
        removal_share: u32 = 10 in 0..=100;
        /// How often a storage that failed is asked whether it is back.
        probe_interval: Duration = "5s" in "50ms"..="10m";
    }

    /// Files that users give for their requests to work from, see docs/uploads.md.
    uploads: UploadsConfig {
        /// Size of one file.
        max_bytes: u64 as ByteSize = "32MiB" in "1KiB"..="1GiB";
        /// What may be in a file, a list of `image`, `video` and `audio`; everything if empty.
        types: Vec<MediaType> = [];
        /// How many files a user keeps at once.
        max_files: u64 = 200 in 1..=1000000;
        /// How many bytes they may have in all.
        max_total: u64 as ByteSize = "1GiB" in "1KiB"..="16384GiB";
        /// How long a file is kept that no request names.
        unused_ttl: Duration = "24h" in "1h"..="365d";
        /// How long a URL works that a file is put to.
        url_ttl: Duration = "15m" in "1m"..="24h";
        /// Whether files keep the place where they were taken.
        keep_location: bool = false;
    }
    /// How long what is kept, see docs/retention.md; 0 is for ever. `atelier retention run --dry-run` tells what is due.
    retention: RetentionConfig {
        /// How often it is looked for what is due, by one server of all.
        interval: Duration = "1h" in "1s"..="24h";
        /// How long after its last change a request that has ended is archived: lists leave it out unless they are asked to show
        /// it.
        archive_requests: Duration as Period = "90d" in 0..="18250d";
        /// How long after it has ended a job is removed for good, with its events. Its request keeps its status and counts, and
        /// its media stay.
        purge_jobs: Duration as Period = 0 in 0..="18250d";
        /// How long after a media was deleted its file is removed from the storage. The row stays, and does not come back.
        deleted_media: Duration as Period = "30d" in 0..="18250d";
        /// How long a call with an idempotency key is known again.
        idempotency_keys: Duration as Period = "30d" in 0..="18250d";
        /// How long after a request was deleted it is removed for good, with its jobs and media, once their files are gone.
        purge_requests: Duration as Period = 0 in 0..="18250d";
        /// How long after a template, or a feature that no request is of any more, was deleted it is removed for good.
        purge_catalogue: Duration as Period = 0 in 0..="18250d";
    }

    /// The workers that run jobs.
    executor: ExecutorConfig {
        /// How many jobs run at once; 0 means one for each CPU.
        concurrency: usize = 0 in 0..=1024;
        /// How many jobs all servers run at once together, each an equal share; 0: as many as `executor.concurrency` of each lets.
        total_concurrency: u32 = 0 in 0..=100000;
        /// Name of this process in the records; the host's name and a random part if not set.
        worker_id: Option<String> as Option<WorkerId>;
        /// Names of the providers whose jobs this process runs; of all that it has if empty.
        providers: Vec<String> = [];
        /// What this process makes, a list of `image`, `video` and `audio`; everything if empty.
        categories: Vec<MediaType> = [];
        /// How often to look for jobs that no wake-up announced.
        poll_interval: Duration = "1s" in "50ms"..="1m";
        /// Of how many jobs that a worker takes one is of the priority whose next job is the oldest, so that low ones move too; 0:
        /// none is while others wait.
        aging: u32 = 10 in 0..=1000;
        /// How long a job stays with a worker that has gone silent; on PostgreSQL longer than `database.lock_timeout`.
        lease: Duration = "30s" in "1s"..="1h";
        /// How often a worker renews its leases; at most half of `executor.lease`.
        heartbeat: Duration = "10s" in "100ms"..="30m";
        /// How long one attempt at a job may take. A task that a service has not done by then is cancelled there.
        job_timeout: Duration = "1h" in "1s"..="24h";
        /// How often a job is tried before it has failed for good.
        max_attempts: u32 = 3 in 1..=20;
        /// How long a job waits while no worker can run it before it fails as `PROVIDER_UNAVAILABLE`.
        unclaimed_timeout: Duration = "24h" in "1s"..="365d";
        /// How often expired leases are looked for.
        upkeep_interval: Duration = "15s" in "1s"..="1h";
        /// How old an object without a record must be to be removed, which happens hourly; at least twice
        /// `executor.job_timeout`.
        orphan_age: Duration = "24h" in "1m"..="365d";
        /// Where outputs wait on disk while the storage is away; processes of one machine may share it.
        spool_folder: PathBuf = "data/spool";
        /// How much may wait there; what does not fit waits in memory.
        spool_bytes: u64 as ByteSize = "1GiB" in "1KiB"..="16384GiB";
    }

    /// Who may ask for media.
    identity: IdentityConfig {
        /// Whether an unknown user is recorded at first use; by default on SQLite only, because PostgreSQL shares its
        /// users with other services.
        provision_users: Option<bool>;
        /// The table of users, such as `identity.users`, in which `id` is an integer; `users` along the search path if not
        /// set. Decided with the first migration.
        users_table: Option<TableName> as Option<UsersTable>;
        /// The user of the installation itself, who makes the pictures that the catalogue is shown by: one that the table has
        /// and nobody else is. If not set, 1000000000000 where unknown users are recorded, and none otherwise.
        system_user_id: Option<u64>;
    }

    /// How much a request may ask for and a provider may deliver.
    limits: LimitsConfig {
        /// Characters of a prompt.
        prompt_chars: usize = 4000 in 1..=100000;
        /// Size of one output.
        output_bytes: u64 as ByteSize = "64MiB" in "1KiB"..="4GiB";
        /// Pixels of one picture, or of each frame of a video.
        output_pixels: u64 = 67108864 in 4096..=1073741824;
        /// Frames of one video; an hour at 25 frames per second has as many as the default.
        output_frames: u64 = 90000 in 1..=10000000;
        /// Playing time of one video or sound.
        output_duration: Duration = "1h" in "1s"..="24h";
        /// How long decoding one output may take.
        decode_time: Duration = "20s" in "100ms"..="10m";
        /// Memory that decoding and converting files take at once in this process, by what they declare; one that needs more is
        /// decoded alone.
        decode_memory: u64 as ByteSize = "2GiB" in "64MiB"..="1024GiB";
        /// How long converting one video or sound to another format may take.
        conversion_time: Duration = "5m" in "100ms"..="12h";
        /// Variations of one request.
        variations: u32 = 16 in 1..=100;
    }

    /// Links of requests, which the server follows for providers that take pictures.
    fetch: FetchConfig {
        /// Whether links are followed; by default only where `server.public_url` is not set, since strangers may ask for them
        /// otherwise.
        enabled: Option<bool>;
        /// Networks such as `10.1.0.0/16` and hosts such as `media.internal` or `*.internal` that are fetched from although they
        /// are not on the internet.
        allow: Vec<HostRule> = [];
        /// Networks and hosts that are never fetched from; goes before `fetch.allow`.
        deny: Vec<HostRule> = [];
        /// Size of one file.
        max_bytes: u64 as ByteSize = "32MiB" in "1KiB"..="1GiB";
        /// How long getting one file may take, with all tries.
        timeout: Duration = "30s" in "100ms"..="10m";
    }

    /// What speaks OpenAI's protocol, on the same port, see docs/front.md.
    front: FrontConfig {
        /// Whether `/v1/images/generations`, `/v1/audio/speech`, `/v1/videos` and `/v1/models` are answered.
        enabled: bool = false;
        /// The user whose requests those are that name none; they are refused if not set.
        user: Option<u64>;
        /// How long an answer waits for its media; the request goes on after that.
        wait: Duration = "5m" in "100ms"..="1h";
    }

    /// What can be made.
    catalogue: CatalogueConfig {
        /// Whether an empty database gets the starter features and templates.
        install_starter: bool = true;
        /// Whether `atelier serve` makes pictures that show the starter catalogue, one at a time behind all other jobs, when it
        /// has installed it.
        install_previews: bool = true;
    }

    /// Which templates are shown as trending.
    trends: TrendsConfig {
        /// How often uses and views are added to their templates and the scores weighed anew.
        fold_interval: Duration = "10s" in "100ms"..="1h";
        /// The least score with which a template is trending; a use counts 5, a view 1, half as much every 48 hours.
        threshold: u32 = 50 in 1..=1000000000;
    }

    /// What is written to standard error.
    log: LogConfig {
        /// Which events are logged, such as `info` or `warn,atelier=debug`.
        filter: String as LogFilter = "info";
        /// `text`, `json`, or `auto`: text on a terminal, JSON otherwise.
        format: LogFormat = "auto";
    }
}
