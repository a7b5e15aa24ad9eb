//! Pictures and LoRAs of a request that its provider could not take: its jobs would fail.

use crate::{
    app::App,
    domain::{Checks, Offer, RequestDraft},
    provider::{Inputs, Preset},
};

use super::links::pictures_of;

impl App {
    /// Notes those that the request brings, and LoRAs of its template's defaults, if this process has the provider.
    pub(super) fn check_inputs(&self, draft: &RequestDraft, offer: Offer<'_>, checks: &mut Checks) {
        let Some(provider) = self.providers.get(offer.properties.provider()) else {
            return;
        };
        let mut inputs = Inputs::default();
        if provider.takes_pictures(offer.category) {
            let pictures = pictures_of(draft, offer.template).into_iter();
            inputs.pictures = pictures.map(|(field, _)| field).collect();
        }
        let (own, template) = (&draft.input.lora_weights, offer.template);
        let inputs = match template.filter(|_| own.is_none()) {
            Some(template) => inputs.with_loras(&template.defaults.lora_weights, |_| {
                "template_id".to_owned()
            }),
            None => inputs.with_loras(own, |name| format!("input.lora_weights.weights.{name}")),
        };
        for (field, problem) in provider.check_inputs(Preset::of_offer(offer), &inputs) {
            checks.add(field, problem);
        }
    }
}
