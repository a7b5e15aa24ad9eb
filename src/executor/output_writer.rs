use bytes::Bytes;
use serde_json::json;

use crate::{
    app::{StoredFile, StoredOutput},
    domain::{JsonMap, Reason, Recipe, job::Failure},
    entity::MediaRole,
    media::{
        Derivation, DeriveError, InspectError, Inspected, Original, StorageKey, embed_recipe,
        inspect, inspect_with_still,
    },
    provider::{Content, Output, OutputFile, clean},
};

use super::{
    attempt::Attempt,
    derivations::{role_of, wanted},
    failure::{Mishap, invalid_output},
};

/// What an attempt made, with all files in the storage.
#[derive(Debug)]
pub(super) struct Ingested {
    pub(super) outputs: Vec<StoredOutput>,
    /// The files that could not be made of the outputs, as `output_metadata.omitted` tells them.
    pub(super) omitted: Vec<JsonMap>,
}

/// Takes in the output of one attempt.
pub(super) struct Intake<'a> {
    attempt: &'a Attempt<'a>,
    /// Of the output that is being taken in; embedded in its files unless the feature wants none there.
    recipe: Recipe,
    /// Files that have been stored.
    files: usize,
    omitted: Vec<JsonMap>,
    /// Whether it can be tried again.
    last: bool,
}

impl<'a> Intake<'a> {
    pub(super) fn of(attempt: &'a Attempt<'a>, recipe: &Recipe) -> Self {
        Self {
            attempt,
            recipe: recipe.clone(),
            files: 0,
            omitted: Vec::new(),
            last: false,
        }
    }

    /// Leaves out what there is no thread for, rather than losing the output.
    pub(super) fn for_the_last_time(self) -> Self {
        Self { last: true, ..self }
    }

    /// Finds out what the provider's files are, makes the further files of them and stores them all, one output after the
    /// other. Their rows come later, with the job's end: an object without a row is harmless.
    pub(super) async fn take(mut self, output: &Output) -> Result<Ingested, Mishap> {
        if output.files.is_empty() {
            let sentence = "The generator finished without making anything.";
            return Err(Mishap::lasting(Failure::new(
                Reason::ProviderNoOutput,
                sentence,
            )));
        }
        let mut outputs = Vec::with_capacity(output.files.len());
        for (index, file) in output.files.iter().enumerate() {
            let seed = file.seed.unwrap_or(self.attempt.task.input.seed);
            self.recipe.set_seed(seed);
            let (original, stored) = self.take_original(file).await?;
            outputs.push(StoredOutput {
                file: stored,
                seed: file.seed,
                metadata: clean::map(file.metadata.clone()),
                derived: self.derive_all(index, &original).await?,
            });
        }
        Ok(Ingested {
            outputs,
            omitted: self.omitted,
        })
    }

    async fn take_original(&mut self, file: &OutputFile) -> Result<(Original, StoredFile), Mishap> {
        let content = self.read(&file.content).await?;
        let settings = &self.attempt.executor.settings;
        let (inspected, still) = inspect_with_still(content.clone(), &settings.limits).await?;
        let (format, category) = (inspected.facts.format, self.attempt.job.category);
        if format.kind() != category.into() {
            let detail = format!("expected {}, got {format}", category.as_str());
            return Err(Mishap::lasting(invalid_output(detail)));
        }
        let original = Original::new(
            content.clone(),
            &inspected,
            still,
            settings.limits,
            settings.conversion_time,
        );
        let stored = self.store(MediaRole::Original, content, inspected).await?;
        Ok((original, stored))
    }

    /// Makes what the job asks for besides the original. What cannot be made is noted: it must not cost the user the
    /// output.
    async fn derive_all(
        &mut self,
        index: usize,
        original: &Original,
    ) -> Result<Vec<StoredFile>, Mishap> {
        let mut derived = Vec::new();
        for derivation in wanted(&self.attempt.task.input, original.format()) {
            self.attempt.task.progress.say(&doing(derivation));
            match self.derive(original, derivation).await {
                Ok(file) => derived.push(file),
                Err(Undone::Omitted(error)) => self.omit(index, derivation, &error),
                Err(Undone::Busy) if self.last => self.omit(index, derivation, &DeriveError::Busy),
                Err(Undone::Busy) => return Err(InspectError::Busy.into()),
                Err(Undone::Missed(mishap)) => return Err(mishap),
            }
        }
        Ok(derived)
    }

    async fn derive(
        &mut self,
        original: &Original,
        derivation: Derivation,
    ) -> Result<StoredFile, Undone> {
        let content = original
            .derive(derivation, self.attempt.time_to_derive())
            .await?;
        let limits = &self.attempt.executor.settings.limits;
        let inspected = inspect(content.clone(), limits)
            .await
            .map_err(DeriveError::from)?;
        let stored = self.store(role_of(derivation), content, inspected).await;
        let mut stored = stored.map_err(Undone::Missed)?;
        if let Derivation::Thumbnail(side) = derivation {
            stored.thumbnail_size = Some(side);
        }
        Ok(stored)
    }

    fn omit(&mut self, index: usize, derivation: Derivation, error: &DeriveError) {
        tracing::warn!(?derivation, %error, "a file cannot be made of an output");
        let mut omission = JsonMap::from_iter([
            ("index".to_owned(), json!(index)),
            ("role".to_owned(), json!(role_of(derivation))),
            ("reason".to_owned(), json!(sentence(error))),
        ]);
        match derivation {
            Derivation::Format(format) => {
                omission.insert("format".to_owned(), json!(format.as_str()));
            }
            Derivation::Thumbnail(side) => {
                omission.insert("thumbnail_size".to_owned(), json!(side));
            }
            Derivation::Poster | Derivation::Preview => {}
        }
        self.omitted.push(omission);
    }

    /// Puts one file into the storage, under a key that no other file of the attempt has.
    async fn store(
        &mut self,
        role: MediaRole,
        content: Bytes,
        mut inspected: Inspected,
    ) -> Result<StoredFile, Mishap> {
        let tells = matches!(role, MediaRole::Original | MediaRole::Format);
        let (content, recipe_not_embedded) = match tells {
            true => self.embed(content, &mut inspected).await,
            false => (content, None),
        };
        let Attempt { job, lease, .. } = self.attempt;
        let key = StorageKey::for_output(job.id, &lease.token, self.files, inspected.facts.format);
        self.files += 1;
        self.put(&key, content).await?;
        Ok(StoredFile {
            key,
            role,
            inspected,
            thumbnail_size: None,
            recipe_not_embedded,
        })
    }

    /// The time that it takes does not count. A stop ends the waiting for a storage that is away.
    async fn put(&self, key: &StorageKey, content: Bytes) -> Result<(), Mishap> {
        let storage = &self.attempt.executor.app.storage;
        let _standstill = self.attempt.stopwatch.stand_still();
        let hopeless = async {
            self.attempt.task.cancelled.cancelled().await;
            storage.gone().await;
        };
        let put = tokio::select! {
            put = storage.put(key, content) => put,
            () = hopeless => return Err(Mishap::storage_away()),
        };
        put.map_err(|error| {
            tracing::warn!(%error, "cannot store a file yet");
            error.into()
        })
    }

    /// The file with its recipe; or as it is, and why. Its making is told elsewhere too, so that fails no job.
    async fn embed(&self, content: Bytes, inspected: &mut Inspected) -> (Bytes, Option<String>) {
        if self.attempt.task.input.omit_recipe {
            return (content, None);
        }
        let limits = &self.attempt.executor.settings.limits;
        let recipe = self.recipe.text();
        match embed_recipe(content.clone(), &inspected.facts, recipe, limits).await {
            Ok((embedded, facts)) => {
                inspected.facts = facts;
                (embedded, None)
            }
            Err(why) => {
                tracing::debug!(why, "a file stays without its recipe");
                (content, Some(why))
            }
        }
    }

    async fn read(&self, content: &Content) -> Result<Bytes, Mishap> {
        let path = match content {
            Content::Memory(bytes) => return Ok(bytes.clone()),
            Content::File(path) => path,
        };
        let unreadable = |error: std::io::Error| {
            Mishap::lasting(invalid_output(format!("{}: {error}", path.display())))
        };
        let size = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
        let max = self.attempt.executor.settings.limits.max_bytes;
        if size > max {
            return Err(InspectError::TooLarge { size, max }.into());
        }
        Ok(tokio::fs::read(path).await.map_err(unreadable)?.into())
    }
}

/// Why a further file is not there.
enum Undone {
    /// It cannot be made.
    Omitted(DeriveError),
    /// There was no thread for it.
    Busy,
    /// Trying again may help.
    Missed(Mishap),
}

impl From<DeriveError> for Undone {
    fn from(error: DeriveError) -> Self {
        match error {
            DeriveError::Busy => Self::Busy,
            lasting => Self::Omitted(lasting),
        }
    }
}

/// What a person sees while a file is made.
fn doing(derivation: Derivation) -> String {
    match derivation {
        Derivation::Format(format) => format!("converting to {format}"),
        Derivation::Thumbnail(_) => "making thumbnails".to_owned(),
        Derivation::Poster => "making the poster".to_owned(),
        Derivation::Preview => "making the preview".to_owned(),
    }
}

/// Why a file is left out, for the user.
fn sentence(error: &DeriveError) -> &'static str {
    match error {
        DeriveError::Unsupported(_) => "It cannot be made of this original.",
        DeriveError::Corrupt(_) => "The original cannot be read to its end.",
        DeriveError::TooLarge => "It would be too large.",
        DeriveError::TimedOut => "It took too long.",
        DeriveError::Busy => "The server was too busy.",
    }
}
