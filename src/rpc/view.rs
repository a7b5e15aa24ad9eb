//! What the views leave out of messages. The contracts say it at each field, and a test holds them against the answers.

use prost_types::Struct;

use crate::domain::{Caller, Checks, Problem, View};

use super::proto;

/// The keys of a job's `output_metadata` that an end user is told.
const OF_OUTPUT: [&str; 5] = [
    "seed",
    "omitted",
    "omitted_characters",
    "remarks",
    "sound_omitted",
];
/// Those of a media's `metadata`.
const OF_MEDIA: [&str; 5] = [
    "variation",
    "index",
    "thumbnail_size",
    "undecoded",
    "damaged",
];

/// The view asked for; unspecified means the most that the caller may see.
pub(super) fn view_from(view: i32, caller: Caller, checks: &mut Checks) -> View {
    let asked = match proto::View::try_from(view) {
        Ok(proto::View::Unspecified) => None,
        Ok(proto::View::Basic) => Some(View::Basic),
        Ok(proto::View::User) => Some(View::User),
        Ok(proto::View::Full) => Some(View::Full),
        Err(_) => {
            checks.add("view", Problem::no_value_of("View", view));
            None
        }
    };
    View::granted(asked, caller, checks)
}

/// A message that is not the same in all views.
pub(super) trait Viewed: Sized {
    /// Leaves out what only VIEW_FULL has.
    fn for_user(&mut self);

    /// Leaves out what VIEW_BASIC has not either.
    fn for_gallery(&mut self) {}

    fn seen(mut self, view: View) -> Self {
        if view < View::Full {
            self.for_user();
        }
        if view < View::User {
            self.for_gallery();
        }
        self
    }
}

impl Viewed for proto::Feature {
    fn for_user(&mut self) {
        self.system_prompt.clear();
        if let Some(properties) = &mut self.properties {
            properties.provider.clear();
            properties.model.clear();
            properties.settings = None;
            properties.fallbacks.clear();
            properties.extra = None;
        }
    }

    fn for_gallery(&mut self) {
        self.translations.clear();
    }
}

impl Viewed for proto::Template {
    fn for_user(&mut self) {
        if let Some(data) = &mut self.template_data {
            data.for_user();
        }
    }

    fn for_gallery(&mut self) {
        self.template_data = None;
        self.translations.clear();
    }
}

impl Viewed for proto::TemplateData {
    fn for_user(&mut self) {
        self.prompt.clear();
        self.negative_prompt.clear();
        self.style = None;
        self.extra = None;
    }
}

impl Viewed for proto::Request {
    fn for_user(&mut self) {
        self.system_prompt.clear();
    }

    fn for_gallery(&mut self) {
        self.input = None;
        self.metadata = None;
    }
}

impl Viewed for proto::ResolvedInput {
    fn for_user(&mut self) {
        self.extra = None;
    }
}

impl Viewed for proto::Job {
    fn for_user(&mut self) {
        self.input = None;
        self.worker_id.clear();
        self.waiting_reason.clear();
        if let Some(error) = &mut self.error {
            error.detail.clear();
        }
        keep(&mut self.output_metadata, &OF_OUTPUT);
    }
}

impl Viewed for proto::JobEvent {
    fn for_user(&mut self) {
        self.worker_id.clear();
    }
}

impl Viewed for proto::Media {
    fn for_user(&mut self) {
        keep(&mut self.metadata, &OF_MEDIA);
    }
}

fn keep(object: &mut Option<Struct>, keys: &[&str]) {
    if let Some(object) = object {
        object.fields.retain(|key, _| keys.contains(&key.as_str()));
    }
}
