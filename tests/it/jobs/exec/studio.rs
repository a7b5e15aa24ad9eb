//! Commands that make pictures, or misbehave, as small scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use atelier::config::{Config, ExecConfig, ProviderConfig};
use atelier::domain::MediaType;
use atelier::domain::command::{Argument, ProgressBy, PromptBy};
use atelier::rpc::proto::{CreateFeatureRequest, FeatureProperties, Job};
use tempfile::TempDir;

use crate::support::client::{request_for, scripted_feature};
use crate::support::server::{TestServer, within};

/// The name of the provider whose command misbehaves, and of one that never does.
pub(super) const PROVIDER: &str = "studio";
pub(super) const SOUND: &str = "sound";

/// The Python of this machine. What the `PATH` names may be a script that looks for it all over the user's home.
pub(super) static PYTHON: LazyLock<Python> = LazyLock::new(|| {
    let tell = "import sys; print(sys.executable); print(sys.base_prefix)";
    let told = Command::new("python3").args(["-c", tell]).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let (program, prefix) = told.trim().split_once('\n').unwrap();
    Python {
        program: program.into(),
        prefix: prefix.into(),
    }
});

pub(super) struct Python {
    program: PathBuf,
    pub(super) prefix: PathBuf,
}

pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The folder in which scripts find a picture and leave their traces.
pub(super) struct Studio(TempDir);

impl Studio {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let picture = image::RgbImage::from_pixel(32, 16, image::Rgb([200, 80, 40]));
        picture.save(folder.path().join("picture.png")).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command that runs this script with `$STUDIO` for the folder and the output folder as first argument.
    pub(super) fn command(&self, interpreter: &str, script: &str) -> ExecConfig {
        let file = self.path(&format!("{:016x}", rand::random::<u64>()));
        let studio = self.0.path().to_string_lossy();
        let script = script.replace("$STUDIO", &studio);
        fs::write(&file, format!("#!{interpreter}\n{script}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        ExecConfig {
            command: file.to_string_lossy().into_owned(),
            args: vec![Argument::One("{{ output }}".to_owned())],
            prompt: PromptBy::Stdin,
            makes: vec![MediaType::Image],
            timeout: Duration::from_secs(30),
            memory: 1 << 30,
            output_bytes: 16 << 20,
            processes: 256,
            sandbox: true,
            network: false,
            readable: vec![PYTHON.prefix.clone()],
            // Where scripts leave their traces.
            writable: vec![self.0.path().to_owned()],
            progress: ProgressBy::Lines,
            pass_environment: Vec::new(),
            repeatable: true,
            install: None,
            limits: Default::default(),
        }
    }

    pub(super) fn shell(&self, script: &str) -> ExecConfig {
        self.command("/usr/bin/env bash", script)
    }

    pub(super) fn python(&self, script: &str) -> ExecConfig {
        self.command(&PYTHON.program.to_string_lossy(), script)
    }

    /// A command that does what it should.
    pub(super) fn sound(&self) -> ExecConfig {
        self.shell("cp $STUDIO/picture.png \"$1\"/")
    }

    /// Adds the command, and a sound one, to a configuration.
    pub(super) fn configure(&self, command: ExecConfig) -> impl Fn(&mut Config) {
        let sound = self.sound();
        move |config| {
            for (name, command) in [(PROVIDER, &command), (SOUND, &sound)] {
                let command = ProviderConfig::Exec(command.clone());
                config.providers.insert(name.to_owned(), command);
            }
            // So that the next job shows whether this one still holds the slot.
            config.executor.concurrency = 1;
        }
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Waits until a script has left this many traces whose names begin so. A file gives no signal.
    pub(super) async fn wait_for(&self, prefix: &str, count: usize) {
        within(async {
            while self.traces(prefix).len() < count {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }

    /// What the traces say whose names begin so, only those that are complete.
    pub(super) fn traces(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let files = entries.map(|entry| entry.unwrap());
        let files = files.filter(|file| file.file_name().to_string_lossy().starts_with(prefix));
        let texts = files.map(|file| fs::read_to_string(file.path()).unwrap());
        texts.filter(|text| text.ends_with('\n')).collect()
    }

    /// The processes that a script has told of.
    pub(super) fn processes(&self) -> Vec<u32> {
        let told = self.traces("pid-").into_iter();
        told.map(|text| text.trim().parse().unwrap()).collect()
    }

    /// Asserts that all processes that a script has told of are dead.
    #[track_caller]
    pub(super) fn assert_all_dead(&self) {
        let alive: Vec<_> = self.processes().into_iter().filter(is_alive).collect();
        assert!(alive.is_empty(), "alive: {alive:?}");
    }

    /// Waits for that.
    pub(super) async fn all_dead(&self) {
        within(async {
            while self.processes().iter().any(is_alive) {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }
}

/// A zombie is dead.
fn is_alive(process: &u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
        !state.unwrap_or_default().starts_with('Z')
    })
}

/// A server whose provider `studio` is this command.
pub(super) async fn serve(
    db: &crate::support::database::TestDatabase,
    studio: &Studio,
    command: ExecConfig,
) -> TestServer {
    TestServer::start_with(db, studio.configure(command)).await
}

pub(super) fn feature(provider: &str) -> CreateFeatureRequest {
    CreateFeatureRequest {
        properties: Some(FeatureProperties {
            provider: provider.to_owned(),
            omit_thumbnails: true,
            ..Default::default()
        }),
        ..scripted_feature(provider)
    }
}

/// Creates a request of one job for the provider.
pub(super) async fn order(server: &TestServer, provider: &str) -> Job {
    let feature = server.add_feature(feature(provider)).await;
    server.create(request_for(feature.id)).await.1.remove(0)
}
