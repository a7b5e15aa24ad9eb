//! The command line: one file a command.

mod arguments;
mod backup;
mod catalogue;
mod config;
mod confine;
mod exit;
mod generate;
mod health;
mod job;
mod key;
mod migrate;
mod output;
mod place;
mod providers;
mod queue;
mod recipe;
mod retention;
mod secrets;
mod serve;
mod stand_in;
mod storage;
mod supervise;
mod token;
mod user;

use std::error::Error;
use std::io::stderr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::config::{Config, Flag, Inputs, Loaded};
use crate::provider::exec;
use crate::server::open_app;
use crate::telemetry;

/// What a command ends with. The error is shown with its causes, in one line.
type CommandResult = Result<ExitCode, Box<dyn Error + Send + Sync>>;

/// Turns prompts into media: a gRPC service with durable background jobs.
#[derive(Parser)]
#[command(name = "atelier", version, arg_required_else_help = true, after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
struct CommandLine {
    #[command(flatten)]
    configuration: ConfigurationArguments,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  atelier generate \"Grand opening: 50% off all week\"
  atelier serve --listen 127.0.0.1:8080
  atelier config --set executor.concurrency=4

Settings come from ./atelier.toml or --config, then from the environment (DATABASE_URL,
ATELIER__SECTION__KEY), then from flags. `atelier config --reference` lists them.";

/// Where the configuration comes from; the same for every command. It may hold secrets, so it has no debug output.
#[derive(Args)]
struct ConfigurationArguments {
    /// Configuration file [default: ./atelier.toml if it exists]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Configuration"
    )]
    config: Option<PathBuf>,

    /// Sets one setting, such as executor.concurrency=4; may be repeated
    #[arg(
        long,
        global = true,
        value_name = "SECTION.KEY=VALUE",
        help_heading = "Configuration"
    )]
    set: Vec<String>,

    /// Database: sqlite://path/to/file.db or postgres://user:password@host/database
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help_heading = "Configuration"
    )]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service until SIGTERM or Ctrl-C
    Serve(serve::ServeArguments),
    /// Ask a running server how it is; fails unless it is ready
    Health(health::HealthArguments),
    /// Make media from a prompt and show it
    Generate(generate::GenerateArguments),
    /// Bring the database schema up to date, take it back, or show where it stands
    Migrate(migrate::MigrateArguments),
    /// Copy the SQLite database to a file, while the service may be running
    Backup(backup::BackupArguments),
    /// Bring features and templates from a file into the database, or into a file
    Catalogue(catalogue::CatalogueArguments),
    /// Tell whose the media storage is, adopt it, or clean it
    Storage(storage::StorageArguments),
    /// Archive, delete and remove what is kept no longer, or tell how much that is
    Retention(retention::RetentionArguments),
    /// List the keys of this installation, or give one purpose a new key
    Secrets(secrets::SecretsArguments),
    /// Make, list or revoke the API keys of services
    Key(key::KeyArguments),
    /// Erase a user
    User(user::UserArguments),
    /// Pause and resume the queue or a part of it, drain workers, and tell how much waits
    Queue(queue::QueueArguments),
    /// Tell what keeps a job from beginning or ending
    Job(job::JobArguments),
    /// List what makes media here, and ask whether it answers
    Providers(providers::ProvidersArguments),
    /// Print the recipe that stands in a file: how it was made
    Recipe(recipe::RecipeArguments),
    /// Serve a vendor's protocol with media made here, to try a provider without an account
    StandIn(stand_in::StandInArguments),
    /// Print a token for development, signed with auth.secret
    Token(token::TokenArguments),
    /// Show the effective configuration, secrets redacted
    Config(config::ConfigArguments),
    /// Watch over a command that makes media; started by the server
    #[command(hide = true)]
    Supervise,
    /// Become a command that makes media, confined; started by `supervise`
    #[command(hide = true)]
    Confine(confine::ConfineArguments),
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let line = match arguments::read() {
        Ok(line) => line,
        Err(code) => return code,
    };
    match execute(line) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&mut stderr(), error.as_ref());
            exit::code(error.as_ref())
        }
    }
}

fn execute(line: CommandLine) -> CommandResult {
    match &line.command {
        Command::Config(arguments) if arguments.reference => return config::print_reference(),
        Command::Recipe(arguments) => return recipe::run(arguments),
        Command::Supervise => return supervise::run(),
        Command::Confine(arguments) => return confine::run(arguments),
        Command::StandIn(arguments) => return block_on(stand_in::run(arguments)),
        _ => {}
    }
    // From here on it holds what the configuration keeps secret, and may start commands.
    exec::guard_process()?;
    let loaded = Config::load(&inputs(&line))?;
    match line.command {
        Command::Supervise => supervise::run(),
        Command::Confine(arguments) => confine::run(&arguments),
        Command::StandIn(arguments) => block_on(stand_in::run(&arguments)),
        Command::Recipe(arguments) => recipe::run(&arguments),
        Command::Config(_) => config::print_effective(&loaded),
        Command::Token(arguments) => token::run(&arguments, &loaded),
        Command::Serve(arguments) => block_on(serve::run(arguments, loaded)),
        Command::Health(arguments) => block_on(health::run(arguments, loaded)),
        Command::Generate(arguments) => block_on(generate::run(arguments, loaded)),
        Command::Migrate(arguments) => block_on(migrate::run(arguments, loaded)),
        Command::Backup(arguments) => block_on(backup::run(arguments, loaded)),
        Command::Providers(arguments) => block_on(providers::run(arguments, loaded)),
        Command::Queue(arguments) => block_on(queue::run(arguments, loaded)),
        Command::Job(arguments) => block_on(job::run(arguments, loaded)),
        Command::Secrets(arguments) => block_on(secrets::run(arguments, loaded)),
        Command::Key(arguments) => block_on(key::run(arguments, loaded)),
        Command::Storage(arguments) => block_on(storage::run(arguments, loaded)),
        Command::User(arguments) => block_on(user::run(arguments, loaded)),
        Command::Retention(arguments) => block_on(retention::run(arguments, loaded)),
        Command::Catalogue(arguments) => block_on(catalogue::run(arguments, loaded)),
    }
}

/// Works on the configured database and storage directly, beside a server or without one, and prints what is told of it.
async fn work_directly<E: Into<Box<dyn Error + Send + Sync>>>(
    mut loaded: Loaded,
    work: impl AsyncFnOnce(&App, &Config) -> Result<(ExitCode, String), E>,
) -> CommandResult {
    loaded.quieten();
    loaded.leave_database();
    telemetry::init(&loaded.config.log)?;
    let app = open_app(&loaded.config).await?;
    let told = work(&app, &loaded.config).await;
    if let Err(error) = app.events.send_rest(&app.store).await {
        tracing::debug!(%error, "could not wake the servers");
    }
    let closed = app.store.close().await;
    let (code, text) = told.map_err(Into::into)?;
    closed?;
    output::print(&text)?;
    Ok(code)
}

fn inputs(line: &CommandLine) -> Inputs {
    let direct = |flag, key, value: &Option<String>| {
        value.clone().map(|value| Flag::Direct { flag, key, value })
    };
    let listen = match &line.command {
        Command::Serve(arguments) => direct("--listen", "server.listen", &arguments.listen),
        _ => None,
    };
    let insecure = match &line.command {
        Command::Serve(arguments) if arguments.insecure => {
            direct("--insecure", "server.insecure", &Some("true".to_owned()))
        }
        _ => None,
    };
    let database = direct(
        "--database-url",
        "database.url",
        &line.configuration.database_url,
    );
    let set = line.configuration.set.iter().cloned().map(Flag::Set);
    Inputs {
        file: line.configuration.config.clone(),
        environment: std::env::vars_os().collect(),
        flags: set.chain(database).chain(listen).chain(insecure).collect(),
    }
}

fn block_on(command: impl Future<Output = CommandResult>) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(command);
    // Work on blocking threads cannot be cancelled; a stuck decoder must not keep the process.
    runtime.shutdown_background();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Problems;

    fn load(arguments: &[&str]) -> Result<Loaded, Problems> {
        let line = CommandLine::try_parse_from(
            [&["atelier", "--config", "/dev/null"], arguments].concat(),
        )
        .unwrap();
        Config::load(&Inputs {
            environment: Vec::new(),
            ..inputs(&line)
        })
    }

    #[test]
    fn the_command_line_is_well_formed() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn direct_flags_win_over_set() {
        let loaded = load(&[
            "serve",
            "--listen",
            "127.0.0.1:7",
            "--set",
            "server.listen=127.0.0.1:8",
        ])
        .unwrap();
        assert_eq!(loaded.config.server.listen.port(), 7);
    }

    #[test]
    fn global_flags_may_stand_after_the_command() {
        let loaded = load(&["config", "--database-url", "sqlite://x.db"]).unwrap();
        assert_eq!(loaded.config.database.url.redacted(), "sqlite://x.db");
    }

    #[test]
    fn a_wrong_flag_is_a_configuration_problem_that_names_it() {
        let problems = load(&["serve", "--listen", "0.0.0.0:80", "--set", "x"])
            .unwrap_err()
            .to_string();
        assert!(
            problems.contains("server.listen (flag --listen)"),
            "{problems}"
        );
        assert!(problems.contains("--set section.key=value"), "{problems}");
    }
}
