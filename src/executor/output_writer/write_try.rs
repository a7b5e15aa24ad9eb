//! One try to store an output: its files are looked at one by one, get their recipes, and have further files made of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use image::DynamicImage;
use tokio::time::timeout;

use crate::{
    app::{StoredFile, StoredOutput},
    domain::{
        FileName, MediaRole, MediaType, Omission, Place, Reason, Recipe, Remark, job::Failure,
    },
    executor::{
        attempt_error::{AttemptError, invalid_output},
        derivations::{omission, progress_message, role_of, wanted},
    },
    media::{
        Derivation, DeriveError, InspectError, Inspected, Original, StorageKey, embed_recipe,
        inspect, inspect_with_still, without_clip,
    },
    provider::{Output, OutputFile, Verdict, clean},
    store::queue::Lease,
};

use super::OutputWriter;

/// What is told of a photo that came with a clip.
const CLIP_CUT: &str = "The clip that came behind the photo was cut off.";

/// What came of an output.
pub(super) struct Written {
    pub(super) outputs: Vec<StoredOutput>,
    /// The files that could not be made of the outputs.
    pub(super) omitted: Vec<Omission>,
    /// What was done to them.
    pub(super) remarks: Vec<Remark>,
    /// How many may not be here.
    pub(super) withheld: usize,
}

/// One try to write all files of an output.
pub(super) struct WriteTry<'a> {
    writer: &'a OutputWriter<'a>,
    /// Of the output that is being written; embedded in its files unless the feature wants none there.
    recipe: Recipe,
    /// Which output is in hand, and of how many.
    turn: (usize, usize),
    /// Where the files stand that have been stored, by their SHA-256.
    files: BTreeMap<String, StorageKey>,
    /// The files that could not be made of the outputs.
    omitted: Vec<Omission>,
    /// What was done to the outputs.
    remarks: Vec<Remark>,
    /// Of what kinds those are that may not be here.
    withheld: Vec<String>,
    /// Whether there is no further try.
    last: bool,
}

impl<'a> WriteTry<'a> {
    pub(super) fn of(writer: &'a OutputWriter<'a>, recipe: &Recipe) -> Self {
        Self {
            writer,
            recipe: recipe.clone(),
            turn: (0, 1),
            files: BTreeMap::new(),
            omitted: Vec::new(),
            remarks: Vec::new(),
            withheld: Vec::new(),
            last: false,
        }
    }

    /// Leaves out what there is no thread for, rather than losing the output.
    pub(super) fn for_the_last_time(self) -> Self {
        Self { last: true, ..self }
    }

    /// Finds out what the provider's files are, makes the further files of them and stores them all, one output after the
    /// other. Returns the outputs and what was left out.
    pub(super) async fn write(mut self, output: &Output) -> Result<Written, AttemptError> {
        if output.files.is_empty() {
            let sentence = "The generator finished without making anything.";
            let mut failure = Failure::new(Reason::ProviderNoOutput, sentence);
            if !output.answer.is_empty() {
                failure = failure.with_detail(clean::text(&output.answer));
            }
            return Err(AttemptError::permanent(failure));
        }
        let mut outputs = Vec::with_capacity(output.files.len());
        for (index, file) in output.files.iter().enumerate() {
            self.turn = (index, output.files.len());
            self.tell(0.0, "storing");
            let seed = file.seed.unwrap_or(self.writer.task.input.seed);
            self.recipe.set_seed(seed);
            let index = outputs.len();
            let Some((original, stored)) = self.write_original(index, file).await? else {
                continue;
            };
            outputs.push(StoredOutput {
                file: stored,
                seed: file.seed,
                metadata: clean::map(file.metadata.clone()),
                derived: self.derive_all(index, &original).await?,
            });
        }
        if outputs.is_empty() {
            let sentence = "What was made may not be here.".to_owned();
            return Err(AttemptError::rejected(sentence, &self.withheld));
        }
        Ok(Written {
            outputs,
            omitted: self.omitted,
            remarks: self.remarks,
            withheld: self.withheld.len(),
        })
    }

    async fn write_original(
        &mut self,
        index: usize,
        file: &OutputFile,
    ) -> Result<Option<(Original, StoredFile)>, AttemptError> {
        let writer = self.writer;
        let (content, is_cut) = without_clip(writer.read(&file.content).await?);
        let (inspected, still) = inspect_with_still(content.clone(), &writer.limits).await?;
        let (format, category) = (inspected.facts.format, writer.task.media_type);
        if format.kind() != category.into() {
            let detail = format!("expected {}, got {format}", category.as_str());
            return Err(AttemptError::permanent(invalid_output(detail)));
        }
        if !self.accepts(still.as_ref()).await? {
            return Ok(None);
        }
        if is_cut {
            let remark = CLIP_CUT;
            self.remarks.push(Remark { index, remark });
        }
        let original = Original::new(
            content.clone(),
            &inspected,
            still,
            writer.limits,
            writer.conversion_time,
        );
        let stored = self.store(MediaRole::Original, content, inspected).await?;
        Ok(Some((original, stored)))
    }

    /// Whether what is seen of the output in hand may be here. What nothing here decodes nobody sees.
    async fn accepts(&mut self, still: Option<&DynamicImage>) -> Result<bool, AttemptError> {
        let still = still.filter(|_| self.writer.task.media_type != MediaType::Audio);
        let Some(still) = still else {
            return Ok(true);
        };
        let verdict = self.writer.moderation.judge_picture(still).await;
        match verdict.map_err(|error| AttemptError::not_judged(&error))? {
            Verdict::Accepted => Ok(true),
            Verdict::Rejected(kinds) => {
                self.withheld.push(kinds.join(", "));
                Ok(false)
            }
        }
    }

    /// Makes what the job asks for besides the original. What cannot be made is noted: it must not cost the user the
    /// output.
    async fn derive_all(
        &mut self,
        index: usize,
        original: &Original,
    ) -> Result<Vec<StoredFile>, AttemptError> {
        let task = self.writer.task;
        let mut derived = Vec::new();
        let wanted = wanted(&task.input, original.format());
        let steps = wanted.len() + 1;
        for (step, derivation) in wanted.into_iter().enumerate() {
            self.tell(
                (step + 1) as f64 / steps as f64,
                &progress_message(derivation),
            );
            match self.derive(original, derivation).await {
                Ok(file) => derived.push(file),
                Err(NotDerived::Omitted(error)) => self.omit(index, derivation, &error),
                Err(NotDerived::Busy) if self.last => {
                    self.omit(index, derivation, &DeriveError::Busy);
                }
                Err(NotDerived::Busy) => return Err(InspectError::Busy.into()),
                Err(NotDerived::NotStored(error)) => return Err(error),
            }
        }
        Ok(derived)
    }

    async fn derive(
        &mut self,
        original: &Original,
        derivation: Derivation,
    ) -> Result<StoredFile, NotDerived> {
        let time = self.writer.time_to_derive();
        let limits = &self.writer.limits;
        let made = async {
            let content = original.derive(derivation, time).await?;
            let inspected = inspect(content.clone(), limits).await?;
            Ok((content, inspected))
        };
        let phase = self.writer.traced.phase("derive");
        phase.set("atelier.media.role", <&str>::from(role_of(derivation)));
        let made = timeout(time, made).await;
        drop(phase);
        let (content, inspected) = made.unwrap_or(Err(DeriveError::TimedOut))?;
        let stored = self.store(role_of(derivation), content, inspected).await;
        let mut stored = stored.map_err(NotDerived::NotStored)?;
        if let Derivation::Thumbnail(side) = derivation {
            stored.thumbnail_size = Some(side);
        }
        Ok(stored)
    }

    /// The place of the output in hand.
    fn place(&self) -> Place {
        let (index, outputs) = self.turn;
        Place {
            variation: self.writer.variation,
            index: (outputs > 1).then_some(index),
        }
    }

    /// Tells how much of the output in hand is done.
    fn tell(&self, done: f64, message: &str) {
        let (index, outputs) = self.turn;
        let share = (index as f64 + done) / outputs.max(1) as f64;
        self.writer.task.progress.send_after(share, message);
    }

    fn omit(&mut self, index: usize, derivation: Derivation, error: &DeriveError) {
        tracing::warn!(?derivation, %error, "a file cannot be made of an output");
        self.omitted.push(omission(index, derivation, error));
    }

    /// Puts one file into the storage, unless the attempt has put the same there, under a key that no other file of it has.
    async fn store(
        &mut self,
        role: MediaRole,
        content: Bytes,
        mut inspected: Inspected,
    ) -> Result<StoredFile, AttemptError> {
        let tells = matches!(role, MediaRole::Original | MediaRole::Format);
        let (content, recipe_not_embedded) = match tells {
            true => self.embed(content, &mut inspected).await,
            false => (content, None),
        };
        let key = match self.files.get(&inspected.facts.sha256) {
            Some(key) => key.clone(),
            None => self.put(role, content, &inspected).await?,
        };
        Ok(StoredFile {
            key,
            role,
            inspected,
            thumbnail_size: None,
            recipe_not_embedded,
        })
    }

    async fn put(
        &mut self,
        role: MediaRole,
        content: Bytes,
        inspected: &Inspected,
    ) -> Result<StorageKey, AttemptError> {
        let Lease { job_id, token } = self.writer.lease;
        let facts = &inspected.facts;
        let key = StorageKey::for_output(*job_id, token, self.files.len(), facts.format);
        let name = FileName {
            prompt: &self.writer.task.input.user_prompt,
            request_id: self.writer.request_id,
            place: self.place(),
            role,
        };
        self.writer.put(&key, content, name).await?;
        self.files.insert(facts.sha256.clone(), key.clone());
        Ok(key)
    }

    /// The file with its recipe; or as it is, and why. Its making is told elsewhere too, so that fails no job.
    async fn embed(&self, content: Bytes, inspected: &mut Inspected) -> (Bytes, Option<String>) {
        if self.writer.task.input.omit_recipe {
            return (content, None);
        }
        let (recipe, limits) = (self.recipe.text(), &self.writer.limits);
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
}

/// Why a further file is not there.
enum NotDerived {
    /// It cannot be made.
    Omitted(DeriveError),
    /// There was no thread for it.
    Busy,
    /// It was made, and the storage does not take it.
    NotStored(AttemptError),
}

impl From<DeriveError> for NotDerived {
    fn from(error: DeriveError) -> Self {
        match error {
            DeriveError::Busy => Self::Busy,
            permanent => Self::Omitted(permanent),
        }
    }
}
