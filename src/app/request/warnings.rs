//! What of a request has no effect, so that a user can be told before paying.

use crate::{
    app::App,
    domain::{Flaw, MediaType, RequestDraft, Violation},
    entity::job,
};

type IsGiven = fn(&RequestDraft) -> bool;

/// Fields of a request that not every provider reads.
const INPUTS: [(&str, IsGiven); 9] = [
    ("user_prompt", |draft| !draft.user_prompt.trim().is_empty()),
    ("user_media_urls", |draft| !draft.user_media_urls.is_empty()),
    ("input.negative_prompt", |draft| {
        is_text(&draft.input.negative_prompt)
    }),
    ("input.seed", |draft| {
        draft.input.seed.is_some_and(|seed| seed >= 0)
    }),
    ("input.cfg_scale", |draft| draft.input.cfg_scale.is_some()),
    ("input.lora_weights", |draft| {
        draft.input.lora_weights.iter().flatten().count() > 0
    }),
    ("input.product_url", |draft| {
        is_text(&draft.input.product_url)
    }),
    ("input.output.duration_seconds", |draft| {
        draft.input.output.duration_seconds > Some(0)
    }),
    ("input.extra", |draft| !draft.input.extra.is_empty()),
];

fn is_text(text: &Option<String>) -> bool {
    text.as_ref().is_some_and(|text| !text.is_empty())
}

impl App {
    /// Of a request that was accepted with these jobs.
    pub fn warnings(&self, draft: &RequestDraft, jobs: &[job::Model]) -> Vec<Violation> {
        let Some(job) = jobs.first() else {
            return Vec::new();
        };
        let text = |key: &str| job.input_json[key].as_str().unwrap_or_default();
        self.warnings_of(draft, job.category, text("provider"), text("prompt"))
    }

    /// What the provider does not read of what the request itself gives, and leaves out of the prompt. Nothing if this process
    /// does not have the provider.
    pub(super) fn warnings_of(
        &self,
        draft: &RequestDraft,
        category: MediaType,
        provider: &str,
        prompt: &str,
    ) -> Vec<Violation> {
        let Some(provider) = self.providers.get(provider) else {
            return Vec::new();
        };
        let name = |field: &'static str| field.rsplit('.').next().unwrap_or(field);
        let unread = INPUTS
            .iter()
            .filter(|(field, is_given)| is_given(draft) && !provider.reads(category, name(field)));
        let words = "is not read by the generator of this feature";
        let unread = unread.map(|(field, _)| Violation::new(*field, Flaw::Ignored.says(words)));
        let remarks = provider.remarks(category, prompt).into_iter();
        let remarks = remarks.map(|remark| Violation::new("user_prompt", remark));
        unread.chain(remarks).collect()
    }
}
