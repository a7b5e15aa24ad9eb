use crate::{
    domain::{Catalogue, CatalogueFeature, Error},
    store::{self, catalogue::Offer},
};

use super::{
    App, create_request::data_of, create_template::properties_of,
    update_feature::draft_of as feature_draft, update_template::draft_of as template_draft,
};

impl App {
    /// All live features and templates, in display order. A row that Atelier cannot read, which it does not write, is an error
    /// that names it.
    pub async fn export_catalogue(&self) -> Result<Catalogue, Error> {
        let offers = store::catalogue::read(&self.store).await?.into_iter();
        let features = offers.map(|offer| exported(&offer));
        Ok(Catalogue {
            features: features.collect::<Result<_, _>>()?,
        })
    }
}

fn exported(offer: &Offer) -> Result<CatalogueFeature, Error> {
    properties_of(&offer.feature)?;
    for template in &offer.templates {
        data_of(template)?;
    }
    Ok(CatalogueFeature {
        feature: feature_draft(&offer.feature),
        templates: offer.templates.iter().map(template_draft).collect(),
    })
}
