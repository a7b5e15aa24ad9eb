//! What of a request has no effect: refused where the feature says so, else told, before it is paid for and with its output. And
//! that nobody is known who would make it.

use crate::{
    app::App,
    domain::{
        Checks, Flaw, JobInput, JobStatus, MediaType, Offer, RequestDraft, TemplateData, Violation,
    },
    entity::job,
    provider::{MASK, Preset, Provider},
};

type IsGiven<T> = fn(&T) -> bool;

/// Fields of a request that not every provider reads; whether the request itself gives them, and whether its job has them.
const INPUTS: [(&str, IsGiven<RequestDraft>, IsGiven<JobInput>); 9] = [
    (
        "user_prompt",
        |draft| !draft.user_prompt.trim().is_empty(),
        |job| !job.user_prompt.is_empty(),
    ),
    (
        "user_media_urls",
        |draft| !draft.user_media_urls.is_empty(),
        |job| !job.media_urls.is_empty(),
    ),
    (
        "input.negative_prompt",
        |draft| is_text(&draft.input.negative_prompt),
        |job| !job.negative_prompt.is_empty(),
    ),
    (
        "input.seed",
        |draft| draft.input.seed.is_some_and(|seed| seed >= 0),
        |job| !job.random_seed,
    ),
    (
        "input.cfg_scale",
        |draft| draft.input.cfg_scale.is_some(),
        |job| job.cfg_scale.is_some(),
    ),
    (
        "input.lora_weights",
        |draft| draft.input.lora_weights.iter().flatten().count() > 0,
        |job| !job.lora_weights.is_empty(),
    ),
    (
        "input.product_url",
        |draft| is_text(&draft.input.product_url),
        |job| !job.product_url.is_empty(),
    ),
    (
        "input.output.duration_seconds",
        |draft| draft.input.output.duration_seconds > Some(0),
        |job| job.duration_seconds.is_some(),
    ),
    (
        "input.extra",
        |draft| !draft.input.extra.is_empty(),
        |job| !job.extra.is_empty(),
    ),
];

fn is_text(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

/// What the provider does not read of a job's input, by the fields of its request.
pub fn ignored_inputs(provider: &dyn Provider, category: MediaType, job: &JobInput) -> Vec<String> {
    let preset = Preset::of_job(category, job);
    let inputs = INPUTS.iter().filter(|(_, _, is_given)| is_given(job));
    let inputs = unread(provider, preset, inputs.map(|(field, ..)| *field));
    let given = |name: &&String| job.variables.get(*name).is_some_and(|it| !it.is_null());
    let pictures = job.pictures.iter().filter(given);
    let pictures = unread_pictures(provider, preset, pictures);
    let mask = !job.mask_url.is_empty() && !provider.takes_mask(category);
    let mask = mask.then(|| MASK.to_owned());
    inputs.into_iter().chain(pictures).chain(mask).collect()
}

fn ignored_of_draft<'a>(
    provider: &dyn Provider,
    preset: Preset<'_>,
    draft: &RequestDraft,
    pictures: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let inputs = INPUTS.iter().filter(|(_, is_given, _)| is_given(draft));
    let inputs = unread(provider, preset, inputs.map(|(field, ..)| *field));
    let given = |name: &&String| draft.input.variables.contains_key(*name);
    let pictures = unread_pictures(provider, preset, pictures.filter(given));
    inputs.into_iter().chain(pictures).collect()
}

fn unread(
    provider: &dyn Provider,
    preset: Preset<'_>,
    fields: impl Iterator<Item = &'static str>,
) -> Vec<String> {
    let name = |field: &'static str| field.rsplit('.').next().unwrap_or(field);
    let unread = fields.filter(|field| !provider.reads(preset, name(field)));
    unread.map(str::to_owned).collect()
}

/// A picture's variable may be read by its name, or as one of the links.
fn unread_pictures<'a>(
    provider: &dyn Provider,
    preset: Preset<'_>,
    names: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let reads = ["variables", "user_media_urls"];
    let reads = reads.iter().any(|input| provider.reads(preset, input));
    let unread = names.filter(|_| !reads);
    unread
        .map(|name| format!("input.variables.{name}"))
        .collect()
}

impl App {
    /// Of a request that was accepted with these jobs.
    pub async fn warnings(&self, draft: &RequestDraft, jobs: &[job::Model]) -> Vec<Violation> {
        let read = |job| serde_json::from_value(job).ok();
        let first = jobs.first();
        let first = first.and_then(|job| Some((job, read(job.input_json.clone())?)));
        let Some((job, input)) = first else {
            return Vec::new();
        };
        let mut warnings = self.warnings_of(draft, job.category, &input);
        if job.status == JobStatus::Pending {
            warnings.extend(self.without_worker(job.category, &input).await);
        }
        warnings
    }

    /// That no worker which is known now has any of the job's providers. One may come later, so nothing is refused.
    pub(super) async fn without_worker(
        &self,
        category: MediaType,
        job: &JobInput,
    ) -> Option<Violation> {
        let has = |name: &str| self.providers.get(name).is_some();
        if job.providers().any(has) {
            return None;
        }
        // The request is accepted by now, whatever becomes of the question.
        let announced = self.announced().await;
        let announced = announced
            .inspect_err(|error| tracing::warn!(%error, "cannot tell what the workers have"))
            .ok()?;
        let of_category = || announced.iter().filter(|it| it.category == category);
        let known = |name: &str| of_category().any(|it| it.provider == name && it.is_known());
        if job.providers().any(known) {
            return None;
        }
        let name = job.provider.as_str();
        let words = format!(
            "names a feature whose generator {name:?} no worker has that is known now: its jobs wait until one comes"
        );
        let problem = Flaw::UnknownName.says(words).found(name);
        Some(Violation::new("feature_id", problem))
    }

    /// What the provider does not read of what the request itself gives, and leaves out of the prompt. Nothing if this process
    /// does not have the provider.
    pub(super) fn warnings_of(
        &self,
        draft: &RequestDraft,
        category: MediaType,
        job: &JobInput,
    ) -> Vec<Violation> {
        let Some(provider) = self.providers.get(&job.provider) else {
            return Vec::new();
        };
        let preset = Preset::of_job(category, job);
        let ignored = ignored_of_draft(&*provider, preset, draft, job.pictures.iter());
        let words = "is not read by the generator of this feature";
        let ignored = ignored.into_iter();
        let ignored = ignored.map(|field| Violation::new(field, Flaw::Ignored.says(words)));
        let remarks = provider.remarks(category, &job.prompt).into_iter();
        let remarks = remarks.map(|remark| Violation::new("user_prompt", remark));
        ignored.chain(remarks).collect()
    }

    /// Notes what the provider does not read, where the feature has that refused and this process has the provider.
    pub(super) fn check_ignored(
        &self,
        draft: &RequestDraft,
        offer: Offer<'_>,
        checks: &mut Checks,
    ) {
        let provider = self.providers.get(offer.properties.provider());
        let provider = provider.filter(|_| offer.properties.refuse_ignored_inputs);
        let Some(provider) = provider else {
            return;
        };
        let pictures = offer.template.into_iter().flat_map(TemplateData::pictures);
        let pictures = pictures.map(|variable| &variable.name);
        let preset = Preset::of_offer(offer);
        for field in ignored_of_draft(&*provider, preset, draft, pictures) {
            let words = "must be left out: the generator of this feature does not read it";
            checks.add(field, Flaw::NotSupported.says(words));
        }
    }
}
