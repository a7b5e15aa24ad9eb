//! Sessions on a PostgreSQL server.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    DatabaseConnection, SqlxPostgresConnector,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row,
        postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
    },
};
use tokio::time::timeout;
use url::Url;

use crate::{
    config::{DatabaseConfig, DatabaseUrl, Pooling, PostgresServer},
    domain::{TableName, is_loopback_host},
};

use super::connection::{ConnectError, is_fit};

/// How long one try to connect may take, unless the URL's `connect_timeout` says otherwise.
const TRY_TIME: Duration = Duration::from_secs(5);
/// How long a connection may be on its way back to be lent again: its last transaction may still be rolled back.
const RETURN_TIME: Duration = Duration::from_secs(2);
/// PostgreSQL cuts a name that is longer off, and says so in its log each time.
const NAME_BYTES: usize = 63;

/// Whether a server takes writes, as `target_session_attrs` asks for.
const REFUSE_READ_ONLY: &str = "DO $$ BEGIN \
     IF pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean THEN \
         RAISE 'the server takes no writes, which target_session_attrs asks for' USING ERRCODE = '25006'; \
     END IF; END $$;";

/// What limits a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// The settings' limits of time.
    Timed,
    /// None: migrations take as long as they take.
    None,
}

/// Opens sessions on a server, all alike.
#[derive(Clone)]
pub(super) struct Connector {
    options: PgConnectOptions,
    /// Makes a session what this program expects, whatever the server's defaults are. Told in statements, since a pooler
    /// refuses what it does not know in a startup message.
    set_up: Arc<str>,
    /// The same for a transaction, where a pooler gives sessions for no longer than one: there `set_up` is empty.
    transaction_set_up: Option<Arc<str>>,
    try_time: Duration,
    /// Without a password, for messages.
    url: String,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    /// `name` is what the server shows for these sessions.
    pub(super) fn new(
        config: &DatabaseConfig,
        server: &PostgresServer,
        name: &str,
        limits: Limits,
    ) -> Result<Self, ConnectError> {
        let options = options(server).map_err(|source| ConnectError::new(config, source))?;
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name(cut(name)),
        };
        let seconds = server.parameter("connect_timeout").map(str::parse::<u64>);
        Ok(Self {
            // A pooler refuses what it does not know in a startup message, and nothing here reads floating-point numbers as text.
            options: options.extra_float_digits(None).disable_statement_logging(),
            set_up: set_up(config, server, limits, "SET").into(),
            transaction_set_up: None,
            try_time: match seconds {
                Some(Ok(seconds)) if seconds > 0 => Duration::from_secs(seconds),
                // As libpq has it: for ever, and that is as long as anything waits for a connection.
                Some(_) => config.connect_timeout.max(config.acquire_timeout),
                None => TRY_TIME,
            },
            url: config.url.redacted(),
        })
    }

    /// The same through what `database.pooling` says is before the server.
    pub(super) fn through_pooler(
        config: &DatabaseConfig,
        server: &PostgresServer,
        name: &str,
    ) -> Result<Self, ConnectError> {
        let direct = Self::new(config, server, name, Limits::Timed)?;
        Ok(match config.pooling {
            Pooling::Session => direct,
            Pooling::Transaction => Self {
                set_up: refusal_of_read_only(server).into(),
                transaction_set_up: Some(set_up(config, server, Limits::Timed, "SET LOCAL").into()),
                ..direct
            },
        })
    }

    pub(super) fn transaction_set_up(&self) -> Option<Arc<str>> {
        self.transaction_set_up.clone()
    }

    /// One session, or why there is none.
    pub(super) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = async {
            let mut connection = self.options.connect().await?;
            connection
                .execute(AssertSqlSafe(self.set_up.as_ref()))
                .await?;
            Ok(connection)
        };
        timeout(self.try_time, connecting)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    }

    /// Whether the server says anything at all. A pooler answers for itself.
    pub(super) async fn reach(&self, time: Duration) -> Result<(), sqlx::Error> {
        let reached = timeout(time, self.options.connect()).await;
        match reached.unwrap_or_else(|_| Err(timed_out())) {
            Ok(connection) => {
                let _ = timeout(time, connection.close()).await;
                Ok(())
            }
            Err(sqlx::Error::Database(_)) => Ok(()),
            Err(silence) => Err(silence),
        }
    }

    /// One session to be used over and over, or why there is none.
    ///
    /// The driver's pool would keep the cause to itself, and try on until its time is up: so it is asked only after a try
    /// that succeeded.
    pub(super) async fn open(&self) -> Result<DatabaseConnection, sqlx::Error> {
        self.connect().await?.close().await?;
        let set_up = self.set_up.clone();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(RETURN_TIME.min(self.try_time))
            .test_before_acquire(false)
            .before_acquire(|connection, _| Box::pin(async { Ok(is_fit(connection)) }))
            .after_connect(move |connection, _| {
                let set_up = set_up.clone();
                Box::pin(async move {
                    connection.execute(AssertSqlSafe(set_up.as_ref())).await?;
                    Ok(())
                })
            })
            .connect_with(self.options.clone());
        match pool.await {
            Ok(pool) => Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool)),
            // Someone else was first meanwhile: what is said to one more try is the cause.
            Err(sqlx::Error::PoolTimedOut) => match self.connect().await {
                Err(cause) => Err(cause),
                Ok(_) => Err(timed_out()),
            },
            Err(cause) => Err(cause),
        }
    }

    /// Finds out whether the server can be used.
    ///
    /// # Errors
    /// Why it cannot; [`ConnectError::Encoding`] for a database that is not UTF-8.
    pub(super) async fn check(&self) -> Result<(), ConnectError> {
        let failed = |source: sqlx::Error| ConnectError::Connect {
            url: self.url.clone(),
            source: source.into(),
        };
        let mut connection = self.connect().await.map_err(failed)?;
        // Without a name, which a pooler may have given away.
        let shown = sqlx::raw_sql("SHOW server_encoding");
        let shown = shown.fetch_one(&mut connection).await.map_err(failed)?;
        let encoding: String = shown.try_get(0).map_err(failed)?;
        // It is told already what counts.
        let _ = connection.close().await;
        if encoding != "UTF8" {
            return Err(ConnectError::Encoding {
                url: self.url.clone(),
                encoding,
            });
        }
        Ok(())
    }
}

/// The driver reads its options from a URL that has nothing but parameters, each encoded; only so it looks into the password
/// file for the right host.
/// The server to which what is sent could be read or changed on its way: another machine's, whose certificate is not
/// checked against its name.
pub fn unverified_server(url: &DatabaseUrl) -> Option<String> {
    let DatabaseUrl::Postgres(server) = url else {
        return None;
    };
    let options = options(server).ok()?;
    let host = options.get_host();
    let is_here = options.get_socket().is_some() || is_loopback_host(host);
    let is_verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull);
    (!is_here && !is_verified).then(|| host.to_owned())
}

fn options(server: &PostgresServer) -> Result<PgConnectOptions, sqlx::Error> {
    let mut url =
        Url::parse("postgres:///").map_err(|error| sqlx::Error::Configuration(error.into()))?;
    for (name, value) in server.parameters() {
        // The address that a name stands for takes its place.
        let replaced = name == "host" && server.parameter("hostaddr").is_some();
        let ours = [
            "connect_timeout",
            "target_session_attrs",
            "channel_binding",
            "client_encoding",
            "gssencmode",
        ];
        if !replaced && !ours.contains(&name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    PgConnectOptions::from_url(&url)
}

/// Transactions see what others have committed meanwhile, also on a server whose default is a stricter level: what is
/// written here waits for locks and then looks again. `set` says for how long it holds: `SET LOCAL` for a transaction, which has
/// begun at that level.
fn set_up(config: &DatabaseConfig, server: &PostgresServer, limits: Limits, set: &str) -> String {
    let is_local = set != "SET";
    let mut statements = match is_local {
        true => String::new(),
        false => "SET default_transaction_isolation = 'read committed';".to_owned(),
    };
    // To compile a statement takes longer than to run it: the planner thinks of a hundred rows where a list has one.
    statements.push_str(&format!(" {set} jit = off;"));
    let schema = config.schema.as_deref();
    statements.extend(schema.map(|schema| search_path(schema, is_local)));
    if limits == Limits::Timed {
        // A plan that was made while a table was small is kept when it is large; there is an index for whatever we ask.
        statements.push_str(&format!(" {set} enable_seqscan = off;"));
        for (name, limit) in [
            ("lock_timeout", config.lock_timeout),
            ("statement_timeout", config.statement_timeout),
            (
                "idle_in_transaction_session_timeout",
                config.idle_in_transaction_timeout,
            ),
        ] {
            statements.push_str(&format!(" {set} {name} = {};", limit.as_millis()));
        }
    }
    if !is_local {
        statements.push_str(refusal_of_read_only(server));
    }
    statements
}

fn refusal_of_read_only(server: &PostgresServer) -> &'static str {
    match server.parameter("target_session_attrs") {
        Some("read-write" | "primary") => REFUSE_READ_ONLY,
        _ => "",
    }
}

/// The statement that makes a session, or a transaction, look into our schema first, and then wherever it would have.
fn search_path(schema: &str, is_local: bool) -> String {
    let schema = TableName::unqualified(schema).quoted().replace('\'', "''");
    format!(
        " SELECT set_config('search_path', concat_ws(', ', '{schema}', nullif(current_setting('search_path'), '')), {is_local});"
    )
}

fn timed_out() -> sqlx::Error {
    let words =
        "no session was given in time by the server, or by a pooler before it that has none left";
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, words))
}

fn cut(name: &str) -> &str {
    let end = (0..=NAME_BYTES.min(name.len())).rev();
    let end = end.into_iter().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_elsewhere_is_reached_safely_only_if_its_certificate_is_checked_in_full() {
        let unverified = |url: &str| unverified_server(&url.parse().unwrap());
        for safe in [
            "sqlite://atelier.db",
            "postgres://u@localhost/a",
            "postgres://u@127.0.0.1/a?sslmode=disable",
            "postgres://u@[::1]/a",
            "postgres:///a?host=/var/run/postgresql",
            "postgres://u@db.example/a?sslmode=verify-full",
        ] {
            assert_eq!(unverified(safe), None, "{safe}");
        }
        for unsafe_one in [
            "",
            "?sslmode=disable",
            "?sslmode=require",
            "?sslmode=verify-ca",
        ] {
            let url = format!("postgres://u:pw@db.example/a{unsafe_one}");
            assert_eq!(unverified(&url).as_deref(), Some("db.example"), "{url}");
        }
        let by_address = "postgres://u@db.example/a?hostaddr=10.0.0.7";
        assert_eq!(unverified(by_address).as_deref(), Some("10.0.0.7"));
    }
}
