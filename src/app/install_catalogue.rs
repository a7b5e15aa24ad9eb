use serde::Deserialize;

use crate::{
    domain::{Checks, Error, FeatureDraft, FeatureProperties, TemplateData, TemplateDraft},
    entity::MediaType,
    store::{self, Transaction},
};

use super::App;

/// Features and templates as a TOML file lists them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    features: Vec<FeatureEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureEntry {
    name: String,
    #[serde(default)]
    description: String,
    category: MediaType,
    #[serde(default)]
    system_prompt: String,
    #[serde(default)]
    preview_url: String,
    #[serde(default)]
    icon_url: String,
    #[serde(default)]
    order_index: i32,
    #[serde(default)]
    properties: FeatureProperties,
    #[serde(default)]
    templates: Vec<TemplateEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateEntry {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    preview_url: String,
    #[serde(default)]
    order_index: i32,
    template_data: TemplateData,
}

impl App {
    /// Installs a catalogue if no feature was ever made, all of it or nothing. Returns whether it did.
    pub async fn install_catalogue(&self, toml: &str) -> Result<bool, Error> {
        if !store::feature::is_empty(self.store.reader()).await? {
            return Ok(false);
        }
        let catalogue: Catalogue =
            toml::from_str(toml).map_err(|error| Error::internal(format!("catalogue: {error}")))?;
        let tx = self.store.begin().await?;
        for entry in catalogue.features {
            match self.install_feature(&tx, entry).await {
                // Another replica started at the same moment and is ahead.
                Err(Error::FeatureNameTaken { .. }) => {
                    tx.rollback().await?;
                    return Ok(false);
                }
                outcome => outcome?,
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn install_feature(&self, tx: &Transaction, entry: FeatureEntry) -> Result<(), Error> {
        let draft = FeatureDraft {
            name: entry.name,
            description: entry.description,
            category: Some(entry.category),
            system_prompt: entry.system_prompt,
            properties: entry.properties.clone(),
            preview_url: entry.preview_url,
            icon_url: entry.icon_url,
            is_active: true,
            order_index: entry.order_index,
        };
        let category = draft.check(Checks::default())?;
        let feature = store::feature::insert(tx, draft, category, self.clock.now()).await?;
        for template in entry.templates {
            let draft = TemplateDraft {
                feature_id: feature.id,
                name: template.name,
                description: template.description,
                data: template.template_data,
                preview_url: template.preview_url,
                tags: template.tags,
                is_active: true,
                order_index: template.order_index,
            };
            let mut checks = Checks::default();
            draft.check(&entry.properties, category, &mut checks);
            checks.finish(())?;
            store::template::insert(tx, draft, self.clock.now()).await?;
        }
        Ok(())
    }
}
