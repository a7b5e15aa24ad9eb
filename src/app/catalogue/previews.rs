//! The pictures that the catalogue is shown by, made by its own providers, see docs/domain.md#previews.

use futures::TryStreamExt;

use crate::{
    app::{App, Include, template::data_of},
    domain::{
        Actor, Caller, Checks, Error, GenerationInput, JsonMap, Preview, RequestDraft, Schedule,
        Trace, WatchCursor,
    },
    entity::{feature, template},
    store,
};

/// Behind everything that a user waits for.
const PRIORITY: i32 = -100;

/// What became of the preview of a feature or a template.
#[derive(Debug)]
pub struct MadePreview {
    /// Name of the feature, and after a slash that of the template if it is one's.
    pub of: String,
    /// Its media, or why there is none.
    pub media_id: Result<i64, Error>,
}

impl App {
    /// Makes a preview for every live feature and template that has none, or for `all`, one at a time, as a request of the
    /// system user; none where there is no such user. `tell` hears of each.
    pub async fn make_previews(
        &self,
        all: bool,
        mut tell: impl FnMut(MadePreview) + Send,
    ) -> Result<(), Error> {
        let Some(user) = self.settings.system_user else {
            return Ok(());
        };
        for live in store::catalogue::read(&self.store).await? {
            let feature = &live.feature;
            let templates = live.templates.iter().map(Some);
            for template in templates.chain([None]) {
                let present = match template {
                    Some(template) => template.preview_media_id,
                    None => feature.preview_media_id,
                };
                let is_shown = match present.filter(|_| !all) {
                    Some(id) => self.is_live_media_of(user, id).await?,
                    None => false,
                };
                if is_shown || self.draining.is_cancelled() {
                    continue;
                }
                let name = template.map(|template| format!("/{}", template.name));
                tell(MadePreview {
                    of: format!("{}{}", feature.name, name.unwrap_or_default()),
                    media_id: self.make_preview(user, feature, template).await,
                });
            }
        }
        Ok(())
    }

    async fn make_preview(
        &self,
        user: i64,
        feature: &feature::Model,
        template: Option<&template::Model>,
    ) -> Result<i64, Error> {
        let caller = Caller::TrustedService;
        let draft = draft(user, feature, template)?;
        let (made, _) = self
            .create_request(caller, draft, &Checks::default())
            .await?;
        let id = made.request.id;
        let cursor = WatchCursor::default();
        let news = self.watch_request(caller, id, cursor).await?;
        news.try_for_each(|_| async { Ok(()) }).await?;
        let cover = Include {
            cover: true,
            ..Include::default()
        };
        let included = self.include(cover, &[id]).await?.into_values();
        let media = included.filter_map(|included| included.cover).next();
        let media = media.ok_or_else(|| Error::internal(format!("request {id} made nothing")))?;
        let (checks, shown) = (Checks::default(), Some(media.id));
        let acting = self.acting(Actor::operator());
        match template {
            Some(template) => {
                let change = |draft: &mut crate::domain::TemplateDraft| {
                    draft.preview_media_id = shown;
                };
                acting
                    .update_template(template.id, "", checks, false, change)
                    .await?;
            }
            None => {
                let change = |draft: &mut crate::domain::FeatureDraft| {
                    draft.preview_media_id = shown;
                };
                acting
                    .update_feature(feature.id, "", checks, false, false, change)
                    .await?;
            }
        }
        Ok(media.id)
    }
}

fn draft(
    user_id: i64,
    feature: &feature::Model,
    template: Option<&template::Model>,
) -> Result<RequestDraft, Error> {
    let name = template.map_or(&feature.name, |template| &template.name);
    let words = words(name);
    let variables = match template {
        Some(template) => data_of(template)?.examples(&words),
        None => JsonMap::new(),
    };
    Ok(RequestDraft {
        user_id,
        project_id: None,
        feature_id: feature.id,
        template_id: template.map(|template| template.id),
        feature: String::new(),
        template: String::new(),
        user_prompt: words,
        user_media_urls: Vec::new(),
        input: GenerationInput {
            variables,
            ..GenerationInput::default()
        },
        metadata: JsonMap::new(),
        priority: PRIORITY,
        schedule: Schedule::default(),
        idempotency_key: String::new(),
        client: None,
        preview: Some(Preview::default()),
        plan: None,
        trace: Trace::default(),
    })
}

/// "Grand opening" of "grand_opening".
fn words(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    let rest = chars.map(|c| if matches!(c, '_' | '-') { ' ' } else { c });
    first.into_iter().chain(rest).collect()
}
