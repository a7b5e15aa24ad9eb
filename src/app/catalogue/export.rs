//! The catalogue as it is now. What a catalogue could not be read from again is refused instead of written.

use crate::{
    app::{
        App,
        feature::{draft_of as feature_draft, properties_of},
        template::data_of,
        template::draft_of as template_draft,
    },
    domain::{Catalogue, CatalogueFeature, Error},
    store::{self, catalogue::LiveFeature},
};

impl App {
    /// All live features and templates, in display order. A row that Atelier cannot read, which it does not write, is an error
    /// that names it.
    pub async fn export_catalogue(&self) -> Result<Catalogue, Error> {
        let live_features = store::catalogue::read(&self.store).await?.into_iter();
        let features = live_features.map(|live| exported(&live));
        Ok(Catalogue {
            features: features.collect::<Result<_, _>>()?,
        })
    }
}

fn exported(live: &LiveFeature) -> Result<CatalogueFeature, Error> {
    properties_of(&live.feature)?;
    for template in &live.templates {
        data_of(template)?;
    }
    Ok(CatalogueFeature {
        feature: feature_draft(&live.feature),
        templates: live.templates.iter().map(template_draft).collect(),
    })
}
