//! Links of a request that nobody would follow.

use crate::{
    app::App,
    domain::{Checks, Flaw, Offer, RequestDraft, TemplateData},
};

impl App {
    /// Notes the links of a request whose provider takes pictures, where links are not followed.
    pub(super) fn check_links(&self, draft: &RequestDraft, offer: Offer<'_>, checks: &mut Checks) {
        let provider = self.providers.get(offer.properties.provider());
        let takes = provider.is_some_and(|provider| provider.takes_pictures(offer.category));
        if self.links.is_some() || !takes {
            return;
        }
        let is_link = |name: &str| {
            let given = draft.input.variables.get(name);
            given.is_some_and(|given| given.as_str().is_some_and(|text| !text.is_empty()))
        };
        let variables = offer.template.into_iter().flat_map(TemplateData::pictures);
        let variables = variables.filter(|variable| is_link(&variable.name));
        let variables = variables.map(|variable| format!("input.variables.{}", variable.name));
        let attached = 0..draft.user_media_urls.len();
        let attached = attached.map(|index| format!("user_media_urls[{index}]"));
        for field in attached.chain(variables) {
            let words = "must be left out: links are not followed by this server";
            checks.add(field, Flaw::NotSupported.says(words));
        }
    }
}
