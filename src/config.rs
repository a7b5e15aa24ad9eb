//! The configuration: built-in defaults, then a TOML file, then the environment, then flags, the later over the earlier.
//!
//! `settings` declares every setting once. `layer` gathers what was written where, `reader` types it key by key, so
//! that all mistakes are reported together, and `contradiction` checks what must fit together. Secrets are redacted in
//! everything that is printed: debug output, problems and [`Loaded::to_toml`].

mod address;
mod contradiction;
mod database_url;
mod display;
mod entry;
mod environment;
mod identifier;
mod kind;
mod layer;
mod plan;
mod problem;
mod provider;
mod quantity;
mod reader;
mod settings;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

pub use database_url::{DatabaseBackend, DatabaseUrl, PostgresServer, SqliteFile};
pub use kind::{BillingKind, LogFormat, ModerationKind, Pooling, StorageBackend, StorageRemoval};
pub use layer::{Flag, Inputs};
pub use problem::{Problem, Problems, Source};
pub use provider::{
    ComfyUiConfig, Dialect, ExecConfig, OpenAiConfig, ProviderConfig, ProviderLimits,
    ScriptedConfig, SdApiConfig, TaskConfig, VoiceConfig,
};
pub use quantity::{format_duration, parse_duration};
pub use settings::{
    AuthConfig, CatalogueConfig, Config, DatabaseConfig, ExecutorConfig, FetchConfig, FrontConfig,
    HealthConfig, IdentityConfig, LimitsConfig, LogConfig, MetricsConfig, ModerationConfig,
    PlansConfig, RatesConfig, ServerConfig, StorageConfig, TracesConfig, TrendsConfig,
};

use crate::domain::{MediaType, Plans, TableName};
use layer::Layers;
use reader::Reader;

/// Far from where a service begins to count, and exact in JavaScript.
const DEFAULT_SYSTEM_USER: i64 = 1_000_000_000_000;

/// A configuration that holds, with where its values come from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values of all settings.
    pub config: Config,
    /// The source of each value that is not the default, by `section.key`, `providers.NAME.key` or `plans.NAME.key`.
    pub sources: BTreeMap<String, Source>,
}

impl DatabaseConfig {
    /// The database without what is before it.
    pub fn direct_url(&self) -> &DatabaseUrl {
        self.listen_url.as_ref().unwrap_or(&self.url)
    }
}

impl Config {
    /// Reads all layers. On failure: every problem there is, not just the first.
    pub fn load(inputs: &Inputs) -> Result<Loaded, Problems> {
        Self::from_layers(Layers::collect(inputs))
    }

    fn from_layers(layers: Layers) -> Result<Loaded, Problems> {
        let mut reader = Reader::new(layers);
        let config = Self::read(&mut reader);
        contradiction::report(&config, &mut reader);
        reader.finish(config)
    }

    /// Identity's table of users.
    pub fn users_table(&self) -> TableName {
        let named = self.identity.users_table.clone();
        named.unwrap_or_else(|| TableName::unqualified("users"))
    }

    /// The user of the installation itself, if it has one.
    pub fn system_user(&self) -> Option<i64> {
        let by_default = self.provisions_users().then_some(DEFAULT_SYSTEM_USER);
        let given = self.identity.system_user_id;
        let given = given.and_then(|id| i64::try_from(id).ok());
        given.or(by_default).filter(|id| *id > 0)
    }

    /// What users may have at once and in a time.
    pub fn plans(&self) -> Plans {
        Plans {
            by_name: self.named_plans.clone(),
            default: self.plans.default.clone(),
        }
    }

    /// Whether an unknown user is recorded at first use. PostgreSQL shares its users with other services, so there it
    /// happens only on request.
    pub fn provisions_users(&self) -> bool {
        let by_default = self.database.url.backend() == DatabaseBackend::Sqlite;
        self.identity.provision_users.unwrap_or(by_default)
    }

    /// Whether callers are asked who they are.
    pub fn authenticates(&self) -> bool {
        self.takes_tokens() || self.auth.api_keys || !self.auth.certificates.is_empty()
    }

    /// Whether callers may show who they are by a signed token.
    pub fn takes_tokens(&self) -> bool {
        let auth = &self.auth;
        auth.secret.is_some() || auth.keys_file.is_some() || auth.jwks_url.is_some()
    }

    /// What lets others than programs of this machine reach a server that asks nobody who he is, by its settings.
    pub fn exposures(&self) -> Vec<&'static str> {
        match self.authenticates() {
            true => Vec::new(),
            false => self.reachable_by(),
        }
    }

    /// The settings by which others than programs of this machine reach the server.
    fn reachable_by(&self) -> Vec<&'static str> {
        let server = &self.server;
        let is_public = |url: &url::Url| !address::is_loopback(url);
        let ways = [
            ("server.listen", !server.listen.ip().is_loopback()),
            (
                "server.public_url",
                server.public_url.as_ref().is_some_and(is_public),
            ),
            ("server.cors_origins", server.cors_origins == ["*"]),
        ];
        let ways = ways.into_iter();
        ways.filter_map(|(key, is)| is.then_some(key)).collect()
    }

    /// Whether links of requests are followed. Where the server is public, strangers choose them, so there it happens only
    /// when told to.
    pub fn follows_links(&self) -> bool {
        let by_default = self.server.listen.ip().is_loopback() && self.server.public_url.is_none();
        self.fetch.enabled.unwrap_or(by_default)
    }
}

impl Loaded {
    /// Logs warnings and errors only, unless a filter was configured: for commands whose own output tells the rest.
    pub fn quieten(&mut self) {
        if !self.sources.contains_key("log.filter") {
            "warn".clone_into(&mut self.config.log.filter);
        }
    }

    /// Takes the database as it is: none is made, and the schema stays. For commands that work on what is there.
    pub fn leave_database(&mut self) {
        self.config.database.migrate_on_start = false;
        if let DatabaseUrl::Sqlite(file) = &mut self.config.database.url {
            file.create = false;
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::read(&mut Reader::default())
    }
}

impl ExecutorConfig {
    /// How many jobs run at once in this process.
    pub fn slots(&self) -> usize {
        match self.concurrency {
            0 => available_parallelism().map_or(1, NonZeroUsize::get),
            slots => slots,
        }
    }

    /// What this process makes.
    pub fn categories(&self) -> Vec<MediaType> {
        match self.categories.as_slice() {
            [] => vec![MediaType::Image, MediaType::Video, MediaType::Audio],
            only => only.to_vec(),
        }
    }

    /// A name for a worker of this process: the configured one, else a fresh `<host>-<random>`, different at each call.
    pub fn name_worker(&self) -> String {
        self.worker_id.clone().unwrap_or_else(|| {
            let random = format!("-{:08x}", rand::random::<u32>());
            let room = identifier::WORKER_ID_CHARS - random.len();
            host_name()
                .chars()
                .take(room)
                .chain(random.chars())
                .collect()
        })
    }
}

/// The name of this machine, for people who read the records.
pub fn host_name() -> String {
    let kernel = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    std::env::var("HOSTNAME")
        .ok()
        .or_else(kernel)
        .map(|name| {
            name.chars()
                .filter(|letter| letter.is_ascii_alphanumeric() || "-._".contains(*letter))
                .collect()
        })
        .filter(|name: &String| !name.is_empty())
        .unwrap_or_else(|| "worker".to_owned())
}

#[cfg(test)]
mod tests;
