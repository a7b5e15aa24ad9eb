//! Settings from files, the environment and flags: which wins, and what is told of those that are wrong.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::layer::Layers;
use super::*;

fn variable(name: &str, value: &str) -> (OsString, OsString) {
    (name.into(), value.into())
}

fn load_environment(variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let inputs = Inputs {
        // The folder that tests run in may hold a file of the developer.
        file: Some("/dev/null".into()),
        environment: variables
            .iter()
            .map(|(name, value)| variable(name, value))
            .collect(),
        flags: Vec::new(),
    };
    Config::load(&inputs)
}

fn load_toml(content: &str) -> Result<Loaded, Problems> {
    let mut layers = Layers::default();
    layers.read_toml(Path::new("atelier.toml"), content);
    Config::from_layers(layers)
}

fn set(assignment: &str) -> Flag {
    Flag::Set(assignment.to_owned())
}

#[test]
fn the_defaults_hold_and_fit_together() {
    let loaded = load_toml("").unwrap();
    assert!(loaded.sources.is_empty());
    assert_eq!(
        loaded.config.server.listen,
        "127.0.0.1:50051".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(loaded.config.executor.lease, Duration::from_secs(30));
    assert_eq!(loaded.config.limits.output_bytes, 64 << 20);
    assert_eq!(
        format!("{:?}", Config::default()),
        format!("{:?}", loaded.config)
    );
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atelier.toml");
    std::fs::write(
        &file,
        "[executor]\nmax_attempts = 4\nlease = \"40s\"\njob_timeout = \"1m\"\n[limits]\noutput_bytes = 2048\n",
    )
    .unwrap();
    let loaded = Config::load(&Inputs {
        file: Some(file.clone()),
        environment: vec![
            variable("ATELIER__EXECUTOR__LEASE", "50s"),
            variable("ATELIER__EXECUTOR__JOB_TIMEOUT", "2m"),
            variable("DATABASE_URL", "postgres://ann:pw@localhost/atelier"),
        ],
        flags: vec![set("executor.job_timeout=3m")],
    })
    .unwrap();
    let executor = &loaded.config.executor;
    assert_eq!(executor.max_attempts, 4);
    assert_eq!(executor.lease, Duration::from_secs(50));
    assert_eq!(executor.job_timeout, Duration::from_secs(180));
    assert_eq!(loaded.config.limits.output_bytes, 2048);
    assert_eq!(
        loaded.sources["executor.max_attempts"],
        Source::File {
            path: file,
            line: 2
        }
    );
    assert_eq!(
        loaded.sources["database.url"],
        Source::Environment("DATABASE_URL".into())
    );
    assert_eq!(
        loaded.sources["executor.job_timeout"],
        Source::Flag("--set executor.job_timeout".into())
    );
}

#[test]
fn the_specific_variable_wins_over_database_url() {
    let loaded = load_environment(&[
        ("ATELIER__DATABASE__URL", "sqlite://one.db"),
        ("DATABASE_URL", "sqlite://other.db"),
    ])
    .unwrap();
    assert_eq!(loaded.config.database.url.redacted(), "sqlite://one.db");
}

#[test]
fn environment_values_are_text_first_and_toml_literals_second() {
    let config = load_environment(&[
        ("ATELIER__EXECUTOR__WORKER_ID", "12"),
        ("ATELIER__EXECUTOR__CONCURRENCY", "12"),
        ("ATELIER__STORAGE__PATH_STYLE", "true"),
        (
            "ATELIER__SERVER__CORS_ORIGINS",
            r#"["https://a.example", "http://localhost:3000"]"#,
        ),
        ("ATELIER__LIMITS__OUTPUT_BYTES", "4096"),
    ])
    .unwrap()
    .config;
    assert_eq!(config.executor.worker_id.as_deref(), Some("12"));
    assert_eq!(config.executor.concurrency, 12);
    assert!(config.storage.path_style);
    assert_eq!(
        config.server.cors_origins,
        ["https://a.example", "http://localhost:3000"]
    );
    assert_eq!(config.limits.output_bytes, 4096);
}

#[test]
fn a_secret_may_stand_in_a_file_that_its_variable_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let url = file("url", "postgres://ann:hunter2@localhost/atelier\n");
    let secret = file("secret", "a secret of at least 32 bytes, with its end\r\n");
    let loaded = load_environment(&[
        ("DATABASE_URL_FILE", &url),
        ("ATELIER__AUTH__SECRET_FILE", &secret),
        ("ATELIER__STORAGE__SIGNING_KEY_FILE", ""),
    ]);
    let loaded = loaded.unwrap();
    assert_eq!(
        loaded.config.database.url.redacted(),
        "postgres://ann:<redacted>@localhost/atelier"
    );
    let read = loaded.config.auth.secret.unwrap();
    assert_eq!(
        read.expose_secret(),
        "a secret of at least 32 bytes, with its end"
    );
    assert_eq!(
        loaded.sources["auth.secret"],
        Source::Environment("ATELIER__AUTH__SECRET_FILE".into())
    );
    let (gone, empty) = (format!("{url}.gone"), file("empty", "\n"));
    let told = load_environment(&[
        ("DATABASE_URL", "sqlite://one.db"),
        ("DATABASE_URL_FILE", &url),
        ("ATELIER__AUTH__SECRET_FILE", &gone),
        ("ATELIER__STORAGE__SIGNING_KEY_FILE", &empty),
        ("ATELIER__SERVER__LISTEN_FILE", &url),
    ]);
    let told = told.unwrap_err().to_string();
    for expected in [
        "database.url (environment variable DATABASE_URL_FILE): expected DATABASE_URL not to be set as well",
        "auth.secret (environment variable ATELIER__AUTH__SECRET_FILE): cannot be read",
        "storage.signing_key (environment variable ATELIER__STORAGE__SIGNING_KEY_FILE): the file is empty",
        "ATELIER__SERVER__LISTEN_FILE): there is no such setting; did you mean ATELIER__SERVER__LISTEN?",
    ] {
        assert!(told.contains(expected), "missing: {expected}\nin: {told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let loaded = load_environment(&[("ATELIER__SERVER__LISTEN", "")]).unwrap();
    assert!(loaded.sources.is_empty());
}

#[test]
fn a_provider_may_stand_in_the_environment_and_in_flags_as_in_the_file() {
    let mut inputs = Inputs {
        flags: vec![Flag::Set("providers.say.command=say".to_owned())],
        ..Inputs::default()
    };
    for (key, value) in [
        ("KIND", "exec"),
        ("COMMAND", "speak"),
        ("MAKES", r#"["audio"]"#),
    ] {
        let name = format!("ATELIER__PROVIDERS__SAY__{key}");
        inputs.environment.push((name.into(), value.into()));
    }
    let loaded = Config::load(&inputs).unwrap();
    let ProviderConfig::Exec(say) = &loaded.config.providers["say"] else {
        panic!("a command");
    };
    assert_eq!(
        (say.command.as_str(), &*say.makes),
        ("say", &[MediaType::Audio][..])
    );
    let shown = loaded.to_toml();
    let kind = r#"kind = "exec" # environment variable ATELIER__PROVIDERS__SAY__KIND"#;
    assert!(shown.contains(kind), "{shown}");
}

#[test]
fn what_turned_the_scripted_provider_on_is_told_what_does_now() {
    let inputs = Inputs {
        flags: vec![Flag::Set("providers.scripted=true".to_owned())],
        ..Inputs::default()
    };
    let told = Config::load(&inputs).unwrap_err().to_string();
    assert!(
        told.contains("expected a table [providers.NAME] with its kind"),
        "{told}"
    );
}

#[test]
fn a_number_that_its_type_cannot_hold_is_told_the_bounds_of_its_setting() {
    for wrong in ["-1", "10000001", "many"] {
        let inputs = Inputs {
            flags: vec![set(&format!("rates.reads={wrong}"))],
            ..Inputs::default()
        };
        let told = Config::load(&inputs).unwrap_err().to_string();
        assert!(told.contains("from 0 to 10000000, found"), "{told}");
    }
}

#[test]
fn an_empty_database_url_does_not_stand_for_the_embedded_database() {
    for name in ["DATABASE_URL", "ATELIER__DATABASE__URL"] {
        let problems = load_environment(&[(name, "")]).unwrap_err().to_string();
        assert!(problems.contains(name), "{problems}");
    }
}

#[test]
fn every_problem_of_every_layer_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atelier.toml");
    std::fs::write(
        &file,
        "listen = 1\n[server]\nlisen = \"127.0.0.1:1\"\nlisten = \"0.0.0.0:80\"\nwatch_heartbeat = \"20s\"\n\
         [databse]\nurl = 1\n[executor]\nlease = 30\nheartbeat = \"29m\"\n",
    )
    .unwrap();
    let problems = Config::load(&Inputs {
        file: Some(file.clone()),
        environment: vec![
            variable("ATELIER__STORAGE__BACKEND", "s4"),
            variable("ATELIER__LIMITS__VARIATION", "3"),
            variable("ATELIER__STORAGE__ACCESS_KEY_ID", "AKIA"),
            variable("DATABASE_URL", "mysql://root:hunter2@localhost/db"),
            variable("ATELIER_PORT", "tcp://10.0.0.1:80"),
        ],
        flags: vec![
            set("nonsense"),
            set("log.filter=atelier=loud"),
            set("log.fromat=json"),
        ],
    })
    .unwrap_err();
    let path = file.display();
    let text = problems.to_string();
    for expected in [
        "the configuration has 13 problems:".to_owned(),
        format!("listen ({path}:1): there is no such setting; did you mean server.listen?"),
        format!("server.lisen ({path}:3): there is no such setting; did you mean server.listen?"),
        format!("server.listen ({path}:4): others reach this server"),
        format!(r#"server.watch_heartbeat ({path}:5): expected a value from "1s" to "15s", found "20s""#),
        format!("databse ({path}:6): there is no such setting; did you mean database?"),
        format!("executor.lease ({path}:9): expected a duration"),
        r#"storage.backend (environment variable ATELIER__STORAGE__BACKEND): expected one of "local", "s3", found "s4""#
            .to_owned(),
        "ATELIER__LIMITS__VARIATION (environment variable ATELIER__LIMITS__VARIATION): there is no such setting; did you \
         mean ATELIER__LIMITS__VARIATIONS?"
            .to_owned(),
        "storage.access_key_id (environment variable ATELIER__STORAGE__ACCESS_KEY_ID) and storage.secret_access_key \
         (default): an access key and its secret are set together"
            .to_owned(),
        "database.url (environment variable DATABASE_URL): expected sqlite://".to_owned(),
        "--set: expected --set section.key=value".to_owned(),
        "log.filter (flag --set log.filter): expected a level".to_owned(),
        "log.fromat (flag --set log.fromat): there is no such setting; did you mean log.format?".to_owned(),
    ] {
        assert!(text.contains(&expected), "missing: {expected}\nin: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains("ATELIER_PORT"), "{text}");
}

#[test]
fn a_setting_with_too_few_underscores_is_told_with_its_right_name() {
    let problems = load_environment(&[
        (
            "ATELIER_DATABASE_URL",
            "postgres://ann:hunter2@localhost/atelier",
        ),
        ("ATELIER_EXECUTOR__JOB_TIMEOUT", "5m"),
        // What orchestrators set for a service that is called atelier, or atelier-server.
        ("ATELIER_PORT", "tcp://10.0.0.1:80"),
        ("ATELIER_SERVER_PORT", "tcp://10.0.0.1:80"),
        ("ATELIER_SERVICE_HOST", "10.0.0.1"),
        ("ATELIER_SERVER_LISTEN", ""),
    ])
    .unwrap_err();
    let text = problems.to_string();
    assert_eq!(problems.0.len(), 2, "{text}");
    assert!(
        text.contains("did you mean ATELIER__DATABASE__URL?"),
        "{text}"
    );
    assert!(
        text.contains("did you mean ATELIER__EXECUTOR__JOB_TIMEOUT?"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn settings_that_contradict_each_other_are_named_together() {
    for (toml, keys) in [
        (
            "[retention]\npurge_requests = \"30d\"\ndeleted_media = 0",
            "retention.purge_requests (atelier.toml:2) and retention.deleted_media",
        ),
        (
            "[executor]\nlease = \"10s\"\nheartbeat = \"6s\"",
            "executor.heartbeat (atelier.toml:3) and executor.lease",
        ),
        (
            "[executor]\nlease = \"10s\"\nheartbeat = \"5s\"\n[database]\nurl = \"postgres://a@b/c\"",
            "executor.lease (atelier.toml:2) and database.lock_timeout (default)",
        ),
        (
            "[storage]\nbackend = \"s3\"",
            "storage.backend (atelier.toml:2) and storage.bucket (default)",
        ),
        (
            "[storage]\nsession_token = \"x\"",
            "storage.session_token (atelier.toml:2) and storage.access_key_id",
        ),
        (
            "[server]\ncors_origins = [\"*\", \"https://a.example\"]",
            "server.cors_origins (atelier.toml:2)",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:80\"\ncors_origins = [\"*\"]",
            "server.listen (atelier.toml:2) and server.cors_origins (atelier.toml:3)",
        ),
        (
            "[server]\npublic_url = \"https://a.example\"",
            "server.public_url (atelier.toml:2)",
        ),
        (
            "[server]\nlisten = \"0.0.0.0:80\"\ninsecure = true\n[providers.s]\nkind = \"scripted\"\nfolder = \"/tmp\"",
            "providers.s.kind (atelier.toml:5) and server.listen (atelier.toml:2)",
        ),
        (
            "[auth]\nkeys_file = \"keys.pem\"",
            "auth.keys_file (atelier.toml:2) and auth.issuer (default)",
        ),
        (
            "[auth]\njwks_url = \"http://id.example/keys\"\nissuer = \"a\"",
            "auth.jwks_url (atelier.toml:2)",
        ),
        (
            "[auth]\ncertificates = [\"a=service:b\"]",
            "tls.client_ca (default) and auth.certificates (atelier.toml:2)",
        ),
        (
            "[auth]\ncertificates = [\"a=service:b\"]\n[tls]\nclient_ca = \"ca.pem\"",
            "tls.client_ca (atelier.toml:4) and tls.certificate (default)",
        ),
        (
            "[tls]\nclient_ca = \"ca.pem\"\ncertificate = \"a.pem\"\nkey = \"a.key\"",
            "tls.client_ca (atelier.toml:2) and auth.certificates (default)",
        ),
        (
            "[billing]\nkind = \"remote\"",
            "billing.kind (atelier.toml:2) and billing.url (default)",
        ),
        (
            "[billing]\nkind = \"remote\"\nurl = \"http://billing.internal\"",
            "billing.url (atelier.toml:3)",
        ),
        (
            "[billing]\nkind = \"remote\"\nurl = \"ftp://127.0.0.1\"",
            "billing.url (atelier.toml:3)",
        ),
        (
            "[traces]\nendpoint = \"ftp://127.0.0.1\"",
            "traces.endpoint (atelier.toml:2)",
        ),
        (
            "[traces]\nendpoint = \"http://otlp.internal:4317\"\nheaders = \"a=b\"",
            "traces.endpoint (atelier.toml:2) and traces.headers",
        ),
    ] {
        let problems = load_toml(toml).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
        assert!(problems.to_string().contains(keys), "{problems}");
    }
}

#[test]
fn a_refused_url_is_not_shown_where_it_may_hold_a_secret() {
    for (url, is_shown) in [
        ("https://bob:hunter2@a.example/v1", false),
        ("https://a.example/v1?token=hunter2", false),
        ("ftp://a.example", true),
    ] {
        let told = load_toml(&format!("[moderation]\nbase_url = \"{url}\""))
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("moderation.base_url") && told.contains(url) == is_shown,
            "{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_server_that_others_reach_asks_who_calls_or_is_told_that_it_need_not() {
    let exposed = "[server]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://a.example\"\ncors_origins = [\"*\"]\n";
    let secret = "[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    let asking = load_toml(&format!("{exposed}{secret}")).unwrap().config;
    assert!(asking.authenticates() && asking.exposures().is_empty());
    let keys = "[auth]\napi_keys = true\n";
    let asking = load_toml(&format!("{exposed}{keys}")).unwrap().config;
    assert!(asking.authenticates() && asking.exposures().is_empty() && !asking.takes_tokens());
    let certificates = "[auth]\ncertificates = [\"a=service:b\"]\n[tls]\nclient_ca = \"ca.pem\"\ncertificate = \"a.pem\"\nkey = \"a.key\"\n";
    let asking = load_toml(&format!("{exposed}{certificates}"))
        .unwrap()
        .config;
    assert!(asking.authenticates() && asking.exposures().is_empty() && !asking.takes_tokens());
    let open = load_toml(&format!("{exposed}insecure = true\n"))
        .unwrap()
        .config;
    assert_eq!(open.exposures().len(), 3);
    for harmless in [
        "listen = \"127.0.0.1:1\"",
        "public_url = \"http://localhost:1\"",
        "cors_origins = [\"https://a.example\"]",
    ] {
        assert!(
            load_toml(&format!("[server]\n{harmless}")).is_ok(),
            "{harmless}"
        );
    }
    let short = load_toml("[auth]\nsecret = \"hunter2\"").unwrap_err();
    let told = short.to_string();
    assert!(
        told.contains("32 bytes") && !told.contains("hunter2"),
        "{told}"
    );
}

#[test]
fn only_providers_that_there_are_can_be_named() {
    let studio = "[providers.studio]\nkind = \"exec\"\ncommand = \"studio\"\nmakes = [\"image\"]\n";
    let named =
        |providers: &str| load_toml(&format!("{studio}[executor]\nproviders = {providers}"));
    let loaded = named(r#"["builtin", "studio"]"#).unwrap();
    assert_eq!(loaded.config.executor.providers, ["builtin", "studio"]);
    let problems = named(r#"["studio", "scripted", "studioo"]"#).unwrap_err();
    let expected = "executor.providers (atelier.toml:6): only providers that this program has can be named, which \
                    are builtin, studio, voice; not \"scripted\", \"studioo\"";
    assert!(problems.to_string().contains(expected), "{problems}");
}

#[test]
fn a_worker_makes_everything_unless_it_is_narrowed() {
    assert_eq!(Config::default().executor.categories().len(), 3);
    let narrowed = load_toml("[executor]\ncategories = [\"audio\"]")
        .unwrap()
        .config;
    assert_eq!(narrowed.executor.categories(), [MediaType::Audio]);
    assert!(load_toml("[executor]\ncategories = [\"song\"]").is_err());
}

#[test]
fn a_heartbeat_of_exactly_half_the_lease_holds() {
    assert!(load_toml("[executor]\nlease = \"10s\"\nheartbeat = \"5s\"").is_ok());
}

#[test]
fn every_syntax_error_of_a_file_is_reported_with_its_line_and_without_its_content() {
    let text = load_toml("[server]\nlisten = \n[storage]\nsigning_key = \"hunter2\n")
        .unwrap_err()
        .to_string();
    assert!(text.contains("atelier.toml:2: is not valid TOML"), "{text}");
    assert!(text.contains("atelier.toml:4: is not valid TOML"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let inputs = Inputs {
        file: Some("/nowhere/atelier.toml".into()),
        ..Inputs::default()
    };
    let text = Config::load(&inputs).unwrap_err().to_string();
    assert!(
        text.contains("/nowhere/atelier.toml: cannot be read"),
        "{text}"
    );
}

#[test]
fn secrets_show_neither_in_debug_output_nor_in_the_effective_configuration() {
    let loaded = load_toml(
        "[database]\nurl = \"postgres://ann:hunter2@localhost/atelier\"\n[storage]\naccess_key_id = \"AKIA\"\n\
         secret_access_key = \"hunter2\"\nsigning_key = \"hunter2\"",
    )
    .unwrap();
    let secret = loaded.config.storage.secret_access_key.as_ref().unwrap();
    assert_eq!(secret.expose_secret(), "hunter2");
    let shown = loaded.to_toml();
    assert!(
        shown.contains("secret_access_key = \"<redacted>\" # atelier.toml:5"),
        "{shown}"
    );
    assert!(
        shown.contains("url = \"postgres://ann:<redacted>@localhost/atelier\" # atelier.toml:2"),
        "{shown}"
    );
    for text in [shown, format!("{loaded:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_wrong_secret_is_not_repeated() {
    let text = load_toml("[storage]\nsigning_key = [\"hunter2\"]")
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("storage.signing_key (atelier.toml:2): expected text"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_effective_configuration_is_a_configuration_with_the_same_values() {
    let written = "[executor]\nlease = \"90s\"\n[server]\ncors_origins = [\"https://a.example\"]\n";
    let loaded = load_toml(written).unwrap();
    let again = load_toml(&loaded.to_toml()).unwrap();
    assert_eq!(
        format!("{:?}", loaded.config),
        format!("{:?}", again.config)
    );
}

#[test]
fn the_reference_has_a_line_for_every_setting() {
    let reference = Config::reference();
    for entry in settings::ENTRIES {
        assert!(
            reference.contains(&format!("| `{}` |", entry.key)),
            "{}",
            entry.key
        );
    }
    assert!(
        reference
            .contains("| `server.watch_heartbeat` | duration, 1s to 15s | `\"10s\"` | How often")
    );
}

#[test]
fn the_example_file_holds_and_names_every_setting() {
    let example = include_str!("../../atelier.example.toml");
    load_toml(example).unwrap();
    let uncommented: String = example
        .lines()
        .map(|line| {
            line.strip_prefix("#")
                .filter(|rest| !rest.starts_with(' '))
                .unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    for entry in settings::ENTRIES {
        let (section, key) = entry.key.split_once('.').unwrap();
        let body = uncommented
            .split(&format!("[{section}]\n"))
            .nth(1)
            .unwrap_or_default();
        let body = body.split("\n[").next().unwrap_or_default();
        assert!(
            body.lines()
                .any(|line| line.starts_with(&format!("{key} = "))),
            "{} is missing",
            entry.key
        );
    }
}

#[test]
fn a_quiet_command_still_obeys_a_configured_filter() {
    for (toml, filter) in [
        ("", "warn"),
        ("[log]\nfilter = \"debug\"", "debug"),
        ("[log]\nfilter = \"info\"", "info"),
    ] {
        let mut loaded = load_toml(toml).unwrap();
        loaded.quieten();
        assert_eq!(loaded.config.log.filter, filter);
    }
}

#[test]
fn users_are_provisioned_by_default_on_sqlite_only() {
    assert!(Config::default().provisions_users());
    let mut config = Config::default();
    config.database.url = "postgres://localhost/atelier".parse().unwrap();
    assert!(!config.provisions_users());
    config.identity.provision_users = Some(true);
    assert!(config.provisions_users());
}

#[test]
fn a_worker_without_a_name_gets_a_fresh_one_that_fits() {
    let executor = Config::default().executor;
    let name = executor.name_worker();
    assert!(name.len() <= 64 && name.contains('-'), "{name}");
    assert_ne!(name, executor.name_worker());
    let named = ExecutorConfig {
        worker_id: Some("render-3".into()),
        ..executor
    };
    assert_eq!(named.name_worker(), "render-3");
}
