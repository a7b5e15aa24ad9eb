//! Pictures of a request where its provider takes none, and links that nobody would follow.

use std::sync::Arc;

use url::Url;

use crate::{
    app::App,
    domain::{Checks, Flaw, Offer, RequestDraft, TemplateData},
    media::Upload,
    provider::{MASK, Preset, Provider},
};

impl App {
    /// Notes a mask that the request's provider has no place for, its links where links are not followed, and uploads where
    /// the provider would get their links, which lead nowhere; as far as this process has that provider.
    pub(super) fn check_links(&self, draft: &RequestDraft, offer: Offer<'_>, checks: &mut Checks) {
        let provider = self.providers.get(offer.properties.provider());
        let category = offer.category;
        let mut pictures = pictures_of(draft, offer.template);
        let takes = provider
            .as_ref()
            .is_some_and(|it| it.takes_pictures(category));
        let mask = draft.input.mask_url.as_deref();
        if let Some(mask) = mask.filter(|url| !url.is_empty()) {
            if provider.as_ref().is_some_and(|it| !it.takes_mask(category)) {
                let words = "must be left out: the generator of this feature takes no mask";
                checks.add(MASK, Flaw::NotSupported.says(words));
            } else if provider.is_some() && pictures.is_empty() {
                let words = "must be left out: there is no picture that it could be one of";
                checks.add(MASK, Flaw::Conflict.says(words));
            }
            pictures.push((MASK.to_owned(), Some(mask)));
        }
        // A service that gets a link follows it as we would.
        let reads = |it: &Arc<dyn Provider>| it.reads(Preset::of_offer(offer), "user_media_urls");
        let follows = takes || provider.as_ref().is_some_and(reads);
        for (field, link) in pictures {
            if link.is_some_and(|link| self.upload_named(draft.user_id, link).is_some()) {
                // It is read here, and told of elsewhere.
                continue;
            }
            let words = match (takes, link.map(Upload::is_link)) {
                (false, Some(true)) => {
                    "must be left out: the provider takes no pictures that are sent along"
                }
                (_, Some(false)) if follows && self.links.is_none() => {
                    "must be left out: links are not followed by this server"
                }
                (_, Some(false)) if follows => {
                    self.check_link(field, link.unwrap_or_default(), checks);
                    continue;
                }
                _ => continue,
            };
            checks.add(field, Flaw::NotSupported.says(words));
        }
    }

    /// Notes a link that would never be followed. One that is none is told of elsewhere.
    fn check_link(&self, field: String, link: &str, checks: &mut Checks) {
        let url = Url::parse(link).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        let judged = self.links.as_ref().zip(url);
        if let Some(Err(error)) = judged.map(|(fetcher, url)| fetcher.judge(&url)) {
            checks.add(
                field,
                Flaw::NotSupported.says(format!("must be another link: {error}")),
            );
        }
    }
}

/// The fields that bring pictures, with their links where they do so by one.
pub(super) fn pictures_of<'a>(
    draft: &'a RequestDraft,
    template: Option<&'a TemplateData>,
) -> Vec<(String, Option<&'a str>)> {
    let attached = draft.user_media_urls.iter().enumerate();
    let attached =
        attached.map(|(index, link)| (format!("user_media_urls[{index}]"), Some(link.as_str())));
    let variables = template.into_iter().flat_map(TemplateData::pictures);
    let variables = variables.filter_map(|variable| {
        let given = draft.input.variables.get(&variable.name)?;
        let is_there = !given.is_null() && given.as_str() != Some("");
        let field = format!("input.variables.{}", variable.name);
        is_there.then_some((field, given.as_str()))
    });
    attached.chain(variables).collect()
}
