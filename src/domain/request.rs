//! From a request to the inputs of its jobs, see docs/domain.md#resolving-a-request.

use codec::Format;
use serde::Serialize;

use super::{
    Caller, Checks, Error, FeatureProperties, Flaw, GenerationInput, JobInput, JsonMap, MediaType,
    Origin, Plan, Schedule, TemplateData, Trace, input::RANDOM_SEED, output::OutputForm,
    sha256_hex,
};

mod status;

pub use status::RequestStatus;

const MAX_MEDIA_URLS: usize = 16;
const MAX_KEY_CHARS: usize = 128;
/// Bounds of a job's priority, so that no caller can outrank all others for ever.
const PRIORITIES: std::ops::RangeInclusive<i32> = -100..=100;

/// Changes with what a payload is made of, or how it is written. The first form had no such mark.
const FINGERPRINT_FORM: &str = "2:";

/// The server's own limits, where a feature sets none.
#[derive(Clone, Copy, Debug)]
pub struct IntakeLimits {
    /// Longest user prompt, in characters.
    pub prompt_chars: usize,
    /// Most variations of one request.
    pub variations: usize,
}

/// Before stored keys of a client: no key that is given has such a character.
const KEY_MARK: char = '\u{1f}';

/// How a template is tried: its request makes one small output, whatever it asks for, and the template may be inactive.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Preview {
    /// What the template is to say; `None`: what it says, or that there is no template.
    pub data: Option<TemplateData>,
}

/// A request as a client sends it.
#[derive(Clone, Debug, Serialize)]
pub struct RequestDraft {
    /// Whose request it is, see docs/domain.md#users.
    pub user_id: i64,
    /// A collection of the Workspace domain, which nobody looks up.
    pub project_id: Option<i64>,
    /// Must be live and active; 0 where it is told by its name or by the template.
    pub feature_id: i64,
    /// `None`: no template, or one told by its name. Must be live, active and of the feature.
    pub template_id: Option<i64>,
    /// The feature's name, in the place of its id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub feature: String,
    /// The template's name as `feature/template`, in the place of its id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// Trimmed before it is checked and stored.
    pub user_prompt: String,
    /// What the user attached: at most 16 http or https URLs.
    pub user_media_urls: Vec<String>,
    /// What is not set comes from the template's defaults, then from the feature.
    pub input: GenerationInput,
    /// Free data of the caller, within the bounds of [`Checks::json`].
    pub metadata: JsonMap,
    /// Higher runs first; see [`Self::with_allowed_priority`] for what holds.
    pub priority: i32,
    /// When its jobs may start.
    #[serde(skip_serializing_if = "Schedule::is_open")]
    pub schedule: Schedule,
    /// Not part of the payload that it stands for.
    #[serde(skip)]
    pub idempotency_key: String,
    /// Whose key that is, see [`Self::stored_key`]; `None`: no client's.
    #[serde(skip)]
    pub client: Option<String>,
    /// Set where a template is only tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The plan whose limits hold, by its name; `None`: that of who has none. A user may have another by the time he repeats a
    /// call.
    #[serde(skip)]
    pub plan: Option<String>,
    /// What the call is known by; two calls with one key have different ones.
    #[serde(skip)]
    pub trace: Trace,
}

impl RequestDraft {
    /// Whether it says in some way which feature it is for.
    pub fn tells_feature(&self) -> bool {
        let tells_template = !self.template.is_empty() || self.template_id.is_some_and(|id| id > 0);
        self.feature_id > 0 || self.feature_id == 0 && (!self.feature.is_empty() || tells_template)
    }

    /// The field that tells its feature.
    pub fn feature_field(&self) -> &'static str {
        match (self.feature.as_str(), self.template.as_str()) {
            ("", "") => "feature_id",
            ("", _) => "template",
            _ => "feature",
        }
    }

    /// The field that tells its template.
    pub fn template_field(&self) -> &'static str {
        if self.template.is_empty() {
            "template_id"
        } else {
            "template"
        }
    }

    /// Whether the idempotency key is one that a request can have been stored with.
    pub fn has_valid_key(&self) -> bool {
        let mut checks = Checks::default();
        checks.text("idempotency_key", &self.idempotency_key, MAX_KEY_CHARS);
        !self.idempotency_key.is_empty() && checks.into_violations().is_empty()
    }

    /// The key as it is stored. Those of different clients never meet; one that was stored for no client, as all once were, is
    /// as it was given, and holds for every client.
    pub fn stored_key(&self) -> String {
        let key = &self.idempotency_key;
        match &self.client {
            Some(client) => {
                let told_apart = format!("{client}{KEY_MARK}{key}");
                format!("{KEY_MARK}{}", sha256_hex(told_apart.as_bytes()))
            }
            None => key.clone(),
        }
    }

    /// The request with the priority that the caller may give it: a trusted service's within bounds, an end user's always 0.
    pub fn with_allowed_priority(self, caller: Caller) -> Self {
        let priority = match caller {
            Caller::TrustedService => self.priority.clamp(*PRIORITIES.start(), *PRIORITIES.end()),
            Caller::User(_) => 0,
        };
        Self { priority, ..self }
    }

    /// The form and a digest of the payload, in 64 characters: two calls with one idempotency key must have the same.
    pub fn fingerprint(&self) -> Result<String, Error> {
        let payload = serde_json::to_vec(self).map_err(Error::internal)?;
        let mut fingerprint = format!("{FINGERPRINT_FORM}{}", sha256_hex(&payload));
        fingerprint.truncate(64);
        Ok(fingerprint)
    }

    /// Whether this may be the payload with that fingerprint. One of another form cannot be compared, and an upgrade must make
    /// no repetition a mistake.
    pub fn matches(&self, fingerprint: &str) -> Result<bool, Error> {
        Ok(!fingerprint.starts_with(FINGERPRINT_FORM) || self.fingerprint()? == fingerprint)
    }
}

/// What a request is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What the feature makes.
    pub category: MediaType,
    /// The feature's, copied into each job.
    pub system_prompt: Option<&'a str>,
    /// The feature's limits.
    pub properties: &'a FeatureProperties,
    /// `None` where the request has none.
    pub template: Option<&'a TemplateData>,
    /// How long outputs are of which nobody says how long; `None` where only the generator knows, or they have no length.
    pub own_seconds: Option<u32>,
    /// What the user may have; `None` where nothing limits that.
    pub plan: Option<&'a Plan>,
    /// Where the two come from.
    pub origin: &'a Origin,
}

/// A request that keeps all the rules.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Trimmed.
    pub user_prompt: String,
    /// The prompt that the template made; `None` where the user's is taken as it is.
    pub template_prompt: Option<String>,
    /// Whether chance gave the seeds, since nobody set one.
    pub random_seed: bool,
    /// One for each variation, in order.
    pub jobs: Vec<JobInput>,
    /// Credits that each of the jobs takes; 0 is free.
    pub cost_per_job: i64,
    /// Attempts at each of the jobs; `None`: as many as the server makes.
    pub max_attempts: Option<i32>,
}

impl Resolved {
    /// Credits that all of the jobs take together.
    pub fn cost(&self) -> i64 {
        let jobs = i64::try_from(self.jobs.len()).unwrap_or(i64::MAX);
        self.cost_per_job.saturating_mul(jobs)
    }
}

/// Resolves a request (first its own inputs, then the template's, then the feature's, see
/// docs/domain.md#resolving-a-request), or tells every violation at once.
///
/// `checks` holds what is wrong already; `random_seed` is used when neither the request nor the template sets one.
pub fn resolve(
    draft: &RequestDraft,
    offer: Offer<'_>,
    limits: IntakeLimits,
    random_seed: u32,
    mut checks: Checks,
) -> Result<Resolved, Error> {
    let user_prompt = check_draft(draft, offer.properties, limits, &mut checks);
    let input = match offer.template {
        Some(template) => {
            let defaults = template.input_defaults(offer.properties, offer.category);
            draft.input.clone().or(&defaults)
        }
        None => draft.input.clone(),
    };
    let variations = check_variations(&input, offer.properties, limits, &mut checks);
    let narrowed = offer.plan;
    let narrowed = narrowed.map(|plan| plan.narrow(&input.output, offer.properties));
    let properties = narrowed.as_ref().unwrap_or(offer.properties);
    let form = input
        .output
        .resolve("input.output", properties, offer.category, &mut checks)
        .shortened(offer.own_seconds, properties);
    if let Some(plan) = offer.plan {
        plan.check_feature(draft, &offer.origin.feature.name, &mut checks);
        plan.check_variations(variations, &mut checks);
        plan.check_output(
            (form.width, form.height),
            form.duration_seconds,
            &mut checks,
        );
    }
    let (variations, form) = match draft.preview {
        Some(_) => (1, form.of_preview(offer.properties, offer.category)),
        None => (variations, form),
    };
    let (variables, template_prompt) =
        fill_template(draft, offer.template, user_prompt, &mut checks);

    let first = first_job(
        offer,
        input,
        form,
        (user_prompt, template_prompt.clone()),
        variables,
        random_seed,
    );
    let jobs = (0..variations)
        .map(|variation| JobInput {
            seed: first.seed.wrapping_add(variation),
            ..first.clone()
        })
        .map(|job| JobInput {
            media_urls: draft.user_media_urls.clone(),
            ..job
        })
        .collect();
    checks.finish(Resolved {
        user_prompt: user_prompt.to_owned(),
        template_prompt,
        random_seed: first.random_seed,
        jobs,
        cost_per_job: offer.properties.cost_of(&first, variations),
        max_attempts: positive(offer.properties.max_attempts),
    })
}

/// Refuses a request that names no feature, with all else that is wrong with it as far as that can be told without one.
pub fn refuse_without_feature(
    draft: &RequestDraft,
    limits: IntakeLimits,
    mut checks: Checks,
) -> Error {
    let user_prompt = check_draft(draft, &FeatureProperties::default(), limits, &mut checks);
    fill_template(draft, None, user_prompt, &mut checks);
    Error::Validation(checks.into_violations())
}

/// Checks what a request says by itself; returns its prompt, trimmed.
fn check_draft<'a>(
    draft: &'a RequestDraft,
    properties: &FeatureProperties,
    limits: IntakeLimits,
    checks: &mut Checks,
) -> &'a str {
    check_identity(draft, checks);
    let user_prompt = check_prompt(&draft.user_prompt, properties, limits, checks);
    check_attachments(draft, checks);
    draft.input.check("input", checks);
    user_prompt
}

fn check_identity(draft: &RequestDraft, checks: &mut Checks) {
    checks.id("user_id", draft.user_id);
    checks.id("feature_id", draft.feature_id);
    for (field, id) in [
        ("project_id", draft.project_id),
        ("template_id", draft.template_id),
    ] {
        if let Some(id) = id {
            checks.id(field, id);
        }
    }
    checks.text("idempotency_key", &draft.idempotency_key, MAX_KEY_CHARS);
}

/// What the user writes, trimmed.
pub fn check_prompt<'a>(
    prompt: &'a str,
    properties: &FeatureProperties,
    limits: IntakeLimits,
    checks: &mut Checks,
) -> &'a str {
    let prompt = prompt.trim();
    checks.text("user_prompt", prompt, properties.prompt_chars(limits));
    checks.require(
        !prompt.is_empty() || properties.allow_empty_prompt,
        "user_prompt",
        || Flaw::Required.says("must not be empty"),
    );
    prompt
}

fn check_attachments(draft: &RequestDraft, checks: &mut Checks) {
    let count = draft.user_media_urls.len();
    checks.count("user_media_urls", count, MAX_MEDIA_URLS);
    for (index, url) in draft.user_media_urls.iter().enumerate() {
        checks.url(&format!("user_media_urls[{index}]"), url);
    }
    checks.json("metadata", &draft.metadata);
}

fn check_variations(
    input: &GenerationInput,
    properties: &FeatureProperties,
    limits: IntakeLimits,
    checks: &mut Checks,
) -> u32 {
    let most = properties.variations(limits);
    // A negative number has been refused already.
    let asked = u32::try_from(input.batch_size).unwrap_or(1).max(1);
    checks.require(asked as usize <= most, "input.variations", || {
        let words = format!("must be at most {most} for this feature, got {asked}");
        Flaw::OutOfRange.says(words).min(1).max(most).found(asked)
    });
    asked.min(u32::try_from(most).unwrap_or(u32::MAX))
}

fn fill_template(
    draft: &RequestDraft,
    template: Option<&TemplateData>,
    user_prompt: &str,
    checks: &mut Checks,
) -> (JsonMap, Option<String>) {
    let Some(template) = template else {
        let unwanted = draft
            .input
            .variables
            .keys()
            .filter(|_| draft.template_id.is_none() && draft.template.is_empty());
        for name in unwanted {
            checks.add(
                format!("input.variables.{name}"),
                Flaw::NotSupported.says("must be left out: the request has no template"),
            );
        }
        return (JsonMap::new(), None);
    };
    template.fill(
        &draft.input.variables,
        user_prompt,
        "input.variables",
        checks,
    )
}

fn first_job(
    offer: Offer<'_>,
    input: GenerationInput,
    form: OutputForm,
    (user_prompt, template_prompt): (&str, Option<String>),
    variables: JsonMap,
    random_seed: u32,
) -> JobInput {
    JobInput {
        provider: offer.properties.provider().to_owned(),
        model: Some(offer.properties.model.clone()).filter(|model| !model.is_empty()),
        settings: offer.properties.settings.clone(),
        fallbacks: offer.properties.fallbacks.clone(),
        prompt: template_prompt
            .clone()
            .unwrap_or_else(|| user_prompt.to_owned()),
        user_prompt: user_prompt.to_owned(),
        template_prompt,
        system_prompt: offer.system_prompt.map(str::to_owned),
        negative_prompt: input.negative_prompt.unwrap_or_default(),
        media_urls: Vec::new(),
        seed: input
            .seed
            .and_then(|seed| u32::try_from(seed).ok())
            .unwrap_or(random_seed),
        random_seed: input.seed.is_none_or(|seed| seed == RANDOM_SEED),
        cfg_scale: input.cfg_scale,
        lora_weights: input.lora_weights.unwrap_or_default(),
        product_url: input.product_url.unwrap_or_default(),
        mask_url: input.mask_url.unwrap_or_default(),
        width: form.width,
        height: form.height,
        aspect_ratio: form
            .aspect_ratio
            .map_or_else(String::new, |ratio| ratio.to_string()),
        format: form.format.map(|format| format.to_string()),
        duration_seconds: form.duration_seconds,
        frame_rate: (offer.category == MediaType::Video).then(|| offer.properties.frame_rate()),
        formats: form.formats.iter().map(Format::to_string).collect(),
        derivatives: offer.properties.derivatives.made(offer.category),
        omit_recipe: offer.properties.omit_recipe,
        hide_prompt: offer.properties.hide_prompt,
        timeout_seconds: positive(offer.properties.job_timeout),
        origin: Some(offer.origin.clone()),
        style: offer
            .template
            .map(|template| template.style.clone())
            .unwrap_or_default(),
        pictures: offer
            .template
            .into_iter()
            .flat_map(|template| template.pictures().map(|picture| picture.name.clone()))
            .collect(),
        variables,
        extra: input.extra,
    }
}

/// What a feature has set; 0 is not set.
fn positive<T: TryFrom<i64>>(number: i64) -> Option<T> {
    T::try_from(number).ok().filter(|_| number > 0)
}

#[cfg(test)]
mod tests;
