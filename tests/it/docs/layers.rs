//! The direction of dependencies, read from the source: each layer uses those below it and nothing else, and the crates
//! below the service know nothing of it.

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use source::Source;
use syn::visit::Visit;

/// Every layer and what it may use of the crate. `events` stands on `store`, whose wake-ups between replicas it relays;
/// the others of that level do not know each other.
const LAYERS: [(&str, &[&str]); 23] = [
    ("domain", &[]),
    ("entity", &["domain"]),
    ("config", &["domain"]),
    ("telemetry", &["config", "domain"]),
    ("shutdown", &[]),
    ("memory", &[]),
    ("metrics", &["domain"]),
    ("traces", &["domain", "metrics"]),
    ("store", &["config", "domain", "entity"]),
    ("identity", &["domain"]),
    ("billing", &["domain", "entity"]),
    ("provider", &["config", "domain", "identity", "memory"]),
    ("media", &["domain", "memory"]),
    ("stand_in", &["domain", "provider"]),
    ("events", &["domain", "entity", "store"]),
    ("app", BELOW_APP),
    ("executor", BELOW_SERVER),
    ("rpc", BELOW_SERVER),
    ("client", &["rpc"]),
    (
        "fuzzing",
        &["domain", "identity", "media", "provider", "rpc"],
    ),
    ("server", EVERYTHING),
    ("cli", EVERYTHING),
    ("main", &["cli"]),
];

const BELOW_APP: &[&str] = &[
    "billing", "domain", "entity", "events", "identity", "media", "metrics", "provider", "store",
    "traces",
];
const BELOW_SERVER: &[&str] = &[
    "app", "domain", "entity", "events", "identity", "media", "metrics", "provider", "store",
    "traces",
];
const EVERYTHING: &[&str] = &[
    "app",
    "billing",
    "client",
    "config",
    "domain",
    "entity",
    "events",
    "executor",
    "identity",
    "media",
    "memory",
    "metrics",
    "provider",
    "rpc",
    "server",
    "shutdown",
    "stand_in",
    "store",
    "telemetry",
    "traces",
];

/// Crates that only some layers may use.
const CRATES: [(&str, &[&str]); 12] = [
    (
        "codec",
        &[
            "cli", "domain", "entity", "executor", "media", "provider", "rpc", "stand_in",
        ],
    ),
    ("studio", &["provider"]),
    (
        "tonic",
        &["rpc", "client", "billing", "traces", "cli", "server"],
    ),
    ("opentelemetry", &["traces"]),
    ("prost", &["rpc", "client", "billing", "cli"]),
    ("axum", &["rpc", "stand_in"]),
    ("tower_http", &["rpc"]),
    ("sea_orm", &["entity", "store"]),
    ("migration", &["server", "cli"]),
    ("jsonwebtoken", &["identity"]),
    ("object_store", &["media"]),
    ("clap", &["cli", "stand_in"]),
];

/// What the rules of the domain must work without.
const BEYOND_DOMAIN: [&str; 6] = [
    "tokio",
    "tokio_util",
    "futures",
    "reqwest",
    "image",
    "async_trait",
];

/// The part of the configuration that is the store's own.
const CONFIG_OF_STORE: [&str; 5] = [
    "DatabaseConfig",
    "DatabaseUrl",
    "Pooling",
    "PostgresServer",
    "SqliteFile",
];

/// What the domain knows of files.
const CODEC_OF_DOMAIN: [&str; 2] = ["Format", "Kind"];

/// The crates below the service, and those of the workspace that each may use.
const LEAVES: [(&str, &[&str]); 2] = [("codec", &[]), ("studio", &["codec"])];

const WORKSPACE: [&str; 4] = ["atelier", "codec", "migration", "studio"];

const EMPTY_NAMES: [&str; 8] = [
    "util", "utils", "common", "helper", "helpers", "manager", "managers", "misc",
];

#[test]
fn each_layer_uses_only_those_below_it() {
    let mut breaches = Vec::new();
    for source in SOURCES.iter() {
        let layer = layer(source);
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == layer)
            .unwrap_or_else(|| panic!("{layer} is no layer; give it a place in the order"));
        for path in source.paths_in_crate() {
            let used = path[0].as_str();
            if used != layer && is_layer(used) && !allowed.contains(&used) {
                breaches.push(format!("{} uses {}", source.file(), path.join("::")));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn the_order_of_the_layers_has_no_circle() {
    for (place, (layer, allowed)) in LAYERS.iter().enumerate() {
        for below in *allowed {
            let other = LAYERS.iter().position(|(name, _)| name == below);
            let lower = other.is_some_and(|other| other < place) || layer == below;
            assert!(lower || *layer == "server", "{layer} stands below {below}");
        }
    }
}

#[test]
fn each_outer_crate_stays_in_its_layers() {
    let mut breaches = Vec::new();
    for source in SOURCES.iter() {
        let layer = layer(source);
        for root in source.path_roots() {
            for (name, layers) in CRATES {
                let same = root == name || root.starts_with(&format!("{name}_"));
                if same && !layers.contains(&layer.as_str()) {
                    breaches.push(format!("{} uses {root}", source.file()));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn the_domain_is_pure() {
    for source in of_layer("domain") {
        for name in BEYOND_DOMAIN {
            let roots = source.path_roots();
            assert!(!roots.contains(name), "{} uses {name}", source.file());
        }
        assert_uses_only(source, "codec", &CODEC_OF_DOMAIN);
    }
}

#[test]
fn the_store_reads_its_own_configuration_only() {
    for source in of_layer("store") {
        assert_uses_only(source, "config", &CONFIG_OF_STORE);
    }
}

#[test]
fn the_command_line_speaks_to_a_server_only_as_any_client_does() {
    for source in of_layer("cli") {
        assert_uses_only(source, "rpc", &["proto"]);
        assert_uses_only(source, "store", &["backup", "connect", "connect_to_look"]);
    }
}

#[test]
fn the_client_knows_the_contracts_and_nothing_of_the_server() {
    for source in of_layer("client") {
        assert_uses_only(source, "rpc", &["proto"]);
    }
}

#[test]
fn the_crates_below_the_service_know_nothing_of_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let known = LEAVES.iter().find(|(leaf, _)| *leaf == name);
        let (_, allowed) = known.unwrap_or_else(|| panic!("{name} has no place below"));
        for used in dependencies(&path.join("Cargo.toml")) {
            let outer = !WORKSPACE.contains(&used.as_str());
            assert!(
                outer || allowed.contains(&used.as_str()),
                "{name} uses {used}"
            );
        }
    }
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "crates", "migration/src", "tests", "benches"];
    for file in folders
        .iter()
        .flat_map(|folder| rust_files(&root.join(folder)))
    {
        for part in file.strip_prefix(root).unwrap().iter() {
            let name = part.to_string_lossy().replace(".rs", "");
            assert!(!EMPTY_NAMES.contains(&name.as_str()), "{}", file.display());
        }
    }
}

/// Asserts that a file takes only these names of a layer.
fn assert_uses_only(source: &Source, of: &str, names: &[&str]) {
    let direct = source.paths_in_crate().iter();
    let direct = direct.filter(|path| path[0] == of);
    let direct = direct.filter_map(|path| path.get(1));
    for name in direct.chain(source.names_of(of)) {
        let allowed = names.contains(&name.as_str());
        assert!(allowed, "{} uses {of}::{name}", source.file());
    }
}

/// The crates that a manifest names, also for its tests.
fn dependencies(manifest: &Path) -> Vec<String> {
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = kinds
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&root);
    assert!(files.len() > 50, "only {} files found", files.len());
    let sources = files.iter().map(|file| Source::read(&root, file));
    // Nothing but the names of the modules.
    sources.filter(|source| source.file() != "lib.rs").collect()
});

fn of_layer(name: &str) -> impl Iterator<Item = &'static Source> {
    SOURCES.iter().filter(move |source| layer(source) == name)
}

/// The first part of a file's path in `src`.
fn layer(source: &Source) -> String {
    let first = source.file().split('/').next().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn is_layer(name: &str) -> bool {
    LAYERS.iter().any(|(layer, _)| *layer == name)
}

fn rust_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
    files
}

#[test]
fn rows_of_users_are_changed_by_records_that_a_scoped_look_up_has_given() {
    let mut breaches = Vec::new();
    for file in ["deletion", "job", "media", "request"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/{file}.rs"));
        let code = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap();
        let functions = code.items.into_iter().filter_map(|item| match item {
            syn::Item::Fn(function) if matches!(function.vis, syn::Visibility::Public(_)) => {
                Some(function.sig)
            }
            _ => None,
        });
        for function in functions {
            let mut named = Named::default();
            named.visit_signature(&function);
            let takes = |name: &str| named.0.contains(name);
            let by_id = ["id", "ids", "request_id", "job_id", "job_ids", "media_id"]
                .into_iter()
                .any(takes);
            // New rows may have ids that were drawn for them.
            let is_new = function.ident.to_string().starts_with("insert");
            if takes("Transaction") && by_id && !takes("Caller") && !is_new {
                breaches.push(format!("store::{file}::{}", function.ident));
            }
        }
    }
    assert_eq!(breaches, [""; 0]);
}

/// What a signature names: parameters and types.
#[derive(Default)]
struct Named(BTreeSet<String>);

impl<'ast> Visit<'ast> for Named {
    fn visit_ident(&mut self, name: &'ast syn::Ident) {
        self.0.insert(name.to_string());
    }
}
