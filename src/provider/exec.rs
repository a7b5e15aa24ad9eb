//! Runs a configured command as a provider: never through a shell, within bounds, and without leaving anything behind.
//!
//! Each run has a fresh folder and a `supervisor`, which is this program in another process. The command's text is its
//! own business: what it prints on standard error is kept for operators only, and what it puts into the output folder is
//! looked at like any provider's output.

mod confine;
mod folder;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod installation;
mod plan;
mod processes;
mod progress;
mod run;
mod sandbox;
mod supervisor;
mod supervisors;

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    Content, Output, OutputFile, Preset, Provider, ProviderError, Submitted, Task, Unfit, Unready,
};
use crate::{
    config::{ExecConfig, ProviderLimits},
    domain::{
        JsonMap, MediaType,
        command::{self, Argument, ProgressBy, PromptBy, Run},
    },
};
use folder::RunFolder;
use plan::{Plan, Verdict};
use run::{ENDING, Ended, Supervised};
use sandbox::Sandbox;

pub use confine::confine;
pub use sandbox::unconfined;
pub use supervisor::supervise;
pub use supervisors::guard_process;

/// A provider that is a command of this machine.
#[derive(Clone, Debug)]
pub struct Exec {
    name: String,
    config: ExecConfig,
    /// The `atelier` program; `None` where it is that of this process.
    supervisor: Option<PathBuf>,
}

impl Exec {
    /// A command as the provider of this name. `supervisor` is the `atelier` program; `None`: that of this process.
    pub fn new(name: String, config: ExecConfig, supervisor: Option<PathBuf>) -> Self {
        Self {
            name,
            config,
            supervisor,
        }
    }

    /// The program's file, or what is missing.
    fn find_program(&self) -> Result<PathBuf, Unready> {
        let path = env::var_os("PATH").unwrap_or_default();
        find(&self.config.command, &path).ok_or_else(|| {
            let missing = format!("the program {:?} is missing", self.config.command);
            Unready::program(match &self.config.install {
                Some(install) => format!("{missing}; {install}"),
                None => missing,
            })
        })
    }

    /// What the sandbox is to let through, or what of it is missing.
    fn find_paths(&self) -> Result<(), Unready> {
        let keys = [
            ("readable", &self.config.readable),
            ("writable", &self.config.writable),
        ];
        for (key, paths) in keys {
            if let Some(path) = paths.iter().find(|path| !path.exists()) {
                let detail = format!("{path:?}, which {key} names, is missing");
                return Err(Unready::configuration(detail));
            }
        }
        Ok(())
    }

    fn start(&self, task: &Task) -> Result<(RunFolder, Supervised), ProviderError> {
        let program = self.find_program()?;
        let failed = |error: io::Error| {
            ProviderError::Failed(format!("cannot run {}: {error}", self.config.command))
        };
        if self.config.sandbox {
            sandbox::warn_if_unconfined();
        }
        let folder = RunFolder::create().map_err(failed)?;
        let plan = self.plan(program, &folder, task)?;
        let (form, duration) = (self.config.progress, task.input.duration_seconds);
        let sender = task.progress.clone();
        let on_line = move |line: &str| {
            if let Some(progress) = progress::parse(form, line, duration) {
                sender.send(progress);
            }
        };
        let environment = self.environment(&folder);
        let run = Supervised::start(&plan, self.supervisor.as_deref(), environment, on_line);
        Ok((folder, run.map_err(failed)?))
    }

    fn plan(
        &self,
        program: PathBuf,
        folder: &RunFolder,
        task: &Task,
    ) -> Result<Plan, ProviderError> {
        let prompt = match self.config.prompt {
            PromptBy::None => None,
            PromptBy::Stdin | PromptBy::File => {
                let written = folder.write_prompt(&task.input.prompt);
                Some(written.map_err(|error| ProviderError::Failed(error.to_string()))?)
            }
        };
        let by_file = self.config.prompt == PromptBy::File;
        let prompt_file = prompt.as_ref().filter(|_| by_file);
        let arguments = command::render(
            &self.config.args,
            &Run {
                job_id: task.job_id,
                attempt: task.attempt,
                input: &task.input,
                output: &folder.output().to_string_lossy(),
                prompt_file: prompt_file.map(|path| path.to_string_lossy()).as_deref(),
            },
        );
        Ok(Plan {
            sandbox: Sandbox::of(&self.config, &program, folder.path()),
            program,
            arguments: arguments.map_err(ProviderError::InvalidInput)?,
            folder: folder.path().to_owned(),
            stdin: prompt.filter(|_| !by_file),
            timeout: self.config.timeout,
            memory: self.config.memory,
            output_bytes: self.config.output_bytes,
            processes: self.config.processes,
        })
    }

    /// Nothing of the server's own but what every program needs, and what the operator has named.
    fn environment(&self, folder: &RunFolder) -> Vec<(OsString, OsString)> {
        let mut environment = vec![
            ("LANG".into(), "C.UTF-8".into()),
            ("HOME".into(), folder.path().into()),
            ("TMPDIR".into(), folder.temporary().into()),
        ];
        let passed = self.config.pass_environment.iter().map(String::as_str);
        for name in ["PATH", "LANG"].into_iter().chain(passed) {
            if let Some(value) = env::var_os(name) {
                environment.push((name.into(), value));
            }
        }
        environment
    }

    fn output(&self, folder: &RunFolder, seed: u32) -> io::Result<Output> {
        let files = folder.outputs()?.into_iter().map(|file| OutputFile {
            content: Content::File(file),
            seed: Some(seed),
            metadata: JsonMap::new(),
        });
        let program = Path::new(&self.config.command).file_name();
        let program = program.unwrap_or_default().to_string_lossy();
        Ok(Output {
            files: files.collect(),
            answer: String::new(),
            metadata: JsonMap::from_iter([("program".to_owned(), program.into())]),
        })
    }

    fn error(&self, ended: Ended) -> ProviderError {
        let detail = ended.words;
        match ended.verdict {
            Verdict::LimitExceeded => ProviderError::LimitExceeded(detail),
            Verdict::TimedOut => ProviderError::TimedOut {
                limit: self.config.timeout,
                detail,
            },
            Verdict::Interrupted => ProviderError::Transient {
                detail,
                retry_after: None,
            },
            Verdict::Stopped => ProviderError::Stopped,
            Verdict::Failed | Verdict::Lost | Verdict::Succeeded => ProviderError::Failed(detail),
        }
    }
}

#[async_trait]
impl Provider for Exec {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, media_type: MediaType) -> bool {
        self.config.makes.contains(&media_type)
    }

    fn may_resubmit(&self) -> bool {
        self.config.repeatable
    }

    fn reads(&self, _: Preset<'_>, input: &str) -> bool {
        command::reads(&self.config.args, self.config.prompt, input)
    }

    fn check(&self, preset: Preset<'_>, _: &JsonMap) -> Vec<Unfit> {
        preset.unread_of_feature(&[])
    }

    fn ready(&self) -> Result<(), Unready> {
        self.find_program()?;
        self.find_paths()
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let (exec, starting) = (self.clone(), task.clone());
        let started = spawn_blocking(move || exec.start(&starting)).await;
        let (folder, mut run) =
            started.map_err(|error| ProviderError::Failed(error.to_string()))??;
        let ended = tokio::select! {
            ended = run.end() => ended,
            () = task.cancelled.cancelled() => run.end_soon().await,
            // A supervisor that was stopped keeps no time.
            () = sleep(self.config.timeout + ENDING) => run.end_soon().await,
        };
        if ended.verdict != Verdict::Succeeded {
            // Whoever stops the server may have stopped the command as well.
            let cut_off = task.cancelled.is_cancelled()
                || matches!(
                    ended.verdict,
                    Verdict::Interrupted | Verdict::Stopped | Verdict::Lost
                );
            return Err(match cut_off {
                // What it has cost by then nobody knows.
                true if !self.config.repeatable => ProviderError::OutcomeUnknown(ended.words),
                true if task.cancelled.is_cancelled() => ProviderError::Stopped,
                _ => self.error(ended),
            });
        }
        let (exec, seed) = (self.clone(), task.input.seed);
        let output = spawn_blocking(move || exec.output(&folder, seed)).await;
        match output {
            Ok(Ok(output)) => Ok(Submitted::Done(output)),
            Ok(Err(error)) => Err(ProviderError::Failed(error.to_string())),
            Err(error) => Err(ProviderError::Failed(error.to_string())),
        }
    }
}

/// The table of a program that Atelier knows how to call: it costs nothing, reads the prompt on standard input, and makes sound.
pub(super) fn shipped(command: &str, args: Vec<Argument>) -> ExecConfig {
    ExecConfig {
        command: command.to_owned(),
        args,
        prompt: PromptBy::Stdin,
        makes: vec![MediaType::Audio],
        timeout: Duration::from_secs(60),
        memory: 1 << 30,
        output_bytes: 256 << 20,
        processes: 256,
        sandbox: true,
        network: false,
        readable: Vec::new(),
        writable: Vec::new(),
        progress: ProgressBy::None,
        pass_environment: Vec::new(),
        repeatable: true,
        install: None,
        limits: ProviderLimits::default(),
    }
}

/// The executable file that the name stands for: a path if it has a slash, else the first of its name in `path`.
fn find(program: &str, path: &std::ffi::OsStr) -> Option<PathBuf> {
    if program.contains('/') {
        // The command does not run in the server's working directory.
        let file = std::path::absolute(program).ok()?;
        return is_executable(&file).then_some(file);
    }
    env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_is_an_executable_file_in_a_folder_of_the_path() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let program = full.path().join("studio");
        let path = env::join_paths([empty.path(), full.path()]).unwrap();
        fs::create_dir(empty.path().join("studio")).unwrap();
        fs::write(&program, "#!/bin/sh\n").unwrap();
        assert_eq!(find("studio", &path), None, "it cannot be executed");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(find("studio", &path), Some(program.clone()));
        assert_eq!(
            find(program.to_str().unwrap(), &OsString::new()),
            Some(program)
        );
        assert_eq!(find("studio", &OsString::new()), None);
        assert_eq!(find("../studio", &path), None);
    }
}
