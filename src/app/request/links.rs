//! Links of a request that nobody would follow.

use crate::{
    app::App,
    domain::{Checks, Flaw, Offer, RequestDraft, TemplateData},
    media::Upload,
};

impl App {
    /// Notes the links of a request whose provider takes pictures, where links are not followed, and the uploads of one whose
    /// provider does not: it would get their links, which lead nowhere.
    pub(super) fn check_links(&self, draft: &RequestDraft, offer: Offer<'_>, checks: &mut Checks) {
        let provider = self.providers.get(offer.properties.provider());
        let takes = provider.is_some_and(|provider| provider.takes_pictures(offer.category));
        let variables = offer.template.into_iter().flat_map(TemplateData::pictures);
        let variables = variables.filter_map(|variable| {
            let given = draft.input.variables.get(&variable.name)?.as_str()?;
            Some((format!("input.variables.{}", variable.name), given))
        });
        let attached = draft.user_media_urls.iter().enumerate();
        let attached = attached.map(|(index, link)| (format!("user_media_urls[{index}]"), &**link));
        let links = attached.chain(variables.filter(|(_, link)| !link.is_empty()));
        for (field, link) in links {
            let words = match (takes, Upload::is_link(link)) {
                (false, true) => {
                    "must be left out: the provider takes no pictures that are sent along"
                }
                (true, false) if self.links.is_none() => {
                    "must be left out: links are not followed by this server"
                }
                _ => continue,
            };
            checks.add(field, Flaw::NotSupported.says(words));
        }
    }
}
