//! Pictures of a request that its provider does not take, and links that nobody would follow.

use crate::{
    app::App,
    domain::{Checks, Flaw, Offer, RequestDraft, TemplateData},
    provider::MASK,
};

impl App {
    /// Notes pictures and a mask that the request's provider has no place for, and its links where links are not followed; as
    /// far as this process has that provider.
    pub(super) fn check_links(&self, draft: &RequestDraft, offer: Offer<'_>, checks: &mut Checks) {
        let Some(provider) = self.providers.get(offer.properties.provider()) else {
            return;
        };
        let category = offer.category;
        let mut pictures = pictures_of(draft, offer.template);
        let takes = provider.takes_pictures(category);
        let most = provider.max_pictures(category);
        for (field, _) in pictures.iter().skip(most).filter(|_| takes) {
            let words = format!(
                "must be left out: the generator of this feature takes {most} picture(s) at most"
            );
            checks.add(field.clone(), Flaw::NotSupported.says(words).max(most));
        }
        if draft
            .input
            .mask_url
            .as_ref()
            .is_some_and(|url| !url.is_empty())
        {
            if !provider.takes_mask(category) {
                let words = "must be left out: the generator of this feature takes no mask";
                checks.add(MASK, Flaw::NotSupported.says(words));
            } else if pictures.is_empty() {
                let words = "must be left out: there is no picture that it could be one of";
                checks.add(MASK, Flaw::Conflict.says(words));
            }
            pictures.push((MASK.to_owned(), true));
        }
        let links = pictures.into_iter().filter(|(_, is_link)| *is_link);
        for (field, _) in links.filter(|_| takes && self.links.is_none()) {
            let words = "must be left out: links are not followed by this server";
            checks.add(field, Flaw::NotSupported.says(words));
        }
    }
}

/// The fields that bring pictures, and whether they do so by a link.
fn pictures_of(draft: &RequestDraft, template: Option<&TemplateData>) -> Vec<(String, bool)> {
    let attached = 0..draft.user_media_urls.len();
    let attached = attached.map(|index| (format!("user_media_urls[{index}]"), true));
    let variables = template.into_iter().flat_map(TemplateData::pictures);
    let variables = variables.filter_map(|variable| {
        let given = draft.input.variables.get(&variable.name)?;
        let is_there = !given.is_null() && given.as_str() != Some("");
        let field = format!("input.variables.{}", variable.name);
        is_there.then_some((field, given.is_string()))
    });
    attached.chain(variables).collect()
}
