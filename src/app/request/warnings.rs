//! What of a request has no effect, so that a user can be told before paying.

use crate::{
    app::App,
    domain::{Flaw, MediaType, RequestDraft, Violation},
    entity::job,
};

/// What a request may give that not every provider reads: the field, the name of the input of the job, and whether it is
/// given.
const INPUTS: [(&str, &str, fn(&RequestDraft) -> bool); 9] = [
    ("user_prompt", "prompt", |draft| {
        !draft.user_prompt.trim().is_empty()
    }),
    ("user_media_urls", "media_urls", |draft| {
        !draft.user_media_urls.is_empty()
    }),
    ("input.negative_prompt", "negative_prompt", |draft| {
        is_text(&draft.input.negative_prompt)
    }),
    ("input.seed", "seed", |draft| {
        draft.input.seed.is_some_and(|seed| seed >= 0)
    }),
    ("input.cfg_scale", "cfg_scale", |draft| {
        draft.input.cfg_scale.is_some()
    }),
    ("input.lora_weights", "lora_weights", |draft| {
        draft.input.lora_weights.iter().flatten().count() > 0
    }),
    ("input.product_url", "product_url", |draft| {
        is_text(&draft.input.product_url)
    }),
    (
        "input.output.duration_seconds",
        "duration_seconds",
        |draft| {
            draft
                .input
                .output
                .duration_seconds
                .is_some_and(|seconds| seconds > 0)
        },
    ),
    ("input.extra", "extra", |draft| {
        !draft.input.extra.is_empty()
    }),
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
        let unread = INPUTS
            .iter()
            .filter(|(_, input, is_given)| is_given(draft) && !provider.reads(category, input));
        let words = "is not read by the generator of this feature";
        let unread = unread.map(|(field, ..)| Violation::new(*field, Flaw::Ignored.says(words)));
        let remarks = provider.remarks(category, prompt).into_iter();
        let remarks = remarks.map(|remark| Violation::new("user_prompt", remark));
        unread.chain(remarks).collect()
    }
}
