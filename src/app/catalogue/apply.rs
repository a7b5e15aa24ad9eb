//! Brings what is live to what a catalogue says. A dry run does all of it too and rolls back, so that it tells exactly
//! what would happen.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    app::{
        Acting, App,
        feature::{delete_whole, draft_of as feature_draft},
        template::draft_of as template_draft,
    },
    domain::{
        AuditAction, Catalogue, CatalogueFeature, Checks, Deed, Error, FeatureDraft, TemplateDraft,
        changed_feature_fields, changed_template_fields, tell_in_file,
    },
    entity::{feature, template},
    store::{
        self, Transaction,
        catalogue::{LiveFeature, Purpose},
    },
};

/// How to apply a catalogue.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyOptions {
    /// Everything is done and then rolled back.
    pub dry_run: bool,
    /// Live features and templates that the catalogue does not have are deleted.
    pub prune: bool,
}

/// What became of one feature or template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueChange {
    /// Name of the feature.
    pub feature: String,
    /// `None`: the feature itself.
    pub template: Option<String>,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What applying a catalogue did to one feature or template, or would do in a dry run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// No live one had the name.
    Created,
    /// The keys of the catalogue that changed.
    Changed(Vec<String>),
    /// It was so already.
    Unchanged,
    /// It is not in the catalogue, and was deleted, as [`ApplyOptions::prune`] says.
    Removed,
    /// It is not in the catalogue, and stays.
    Kept,
}

/// The live features, or the live templates of one, by name.
type ByName<T> = BTreeMap<String, T>;

impl Acting<'_> {
    /// Makes the live features and templates what the catalogue says, all of them or none: features are found by name,
    /// templates by name within their feature. Applied again it changes nothing.
    ///
    /// # Errors
    /// [`Error::Validation`] when a feature has another category; [`Error::FeatureInUse`] when one that is to be deleted has
    /// pending or processing jobs.
    pub async fn apply_catalogue(
        &self,
        catalogue: Catalogue,
        options: ApplyOptions,
    ) -> Result<Vec<CatalogueChange>, Error> {
        let apply = (AuditAction::ApplyCatalogue, options);
        self.change_catalogue(apply, catalogue).await
    }

    pub(super) async fn change_catalogue(
        &self,
        (action, options): (AuditAction, ApplyOptions),
        catalogue: Catalogue,
    ) -> Result<Vec<CatalogueChange>, Error> {
        self.app.check_providers(&catalogue)?;
        let apply = async |tx: &Transaction| {
            let application = Application {
                tx,
                now: self.app.clock.now(),
                prune: options.prune,
                changes: Vec::new(),
                deeds: Vec::new(),
            };
            let (changes, mut deeds) = application.run(catalogue).await?;
            if !deeds.is_empty() {
                deeds.push(Deed::of(action).with("entries", deeds.len()));
            }
            Ok((changes, deeds))
        };
        self.write_unless(options.dry_run, apply).await
    }
}

impl App {
    /// Checks features and templates against their providers, as far as this process knows these.
    fn check_providers(&self, catalogue: &Catalogue) -> Result<(), Error> {
        let mut checks = Checks::default();
        for (index, CatalogueFeature { feature, templates }) in
            catalogue.features.iter().enumerate()
        {
            let path = format!("features[{index}]");
            let mut found = Checks::default();
            self.check_maker(feature, &mut found);
            tell_in_file(&path, found.into_violations(), &mut checks);
            let Some(category) = feature.category else {
                continue;
            };
            for (index, template) in templates.iter().enumerate() {
                let mut found = Checks::default();
                self.check_look(&feature.properties, category, &template.data, &mut found);
                let path = format!("{path}.templates[{index}]");
                tell_in_file(&path, found.into_violations(), &mut checks);
            }
        }
        checks.finish(())
    }
}

/// Jobs and templates of a feature are made for its category, so it stays.
fn check_categories(catalogue: &Catalogue, live: &ByName<LiveFeature>) -> Result<(), Error> {
    let mut checks = Checks::default();
    for (index, entry) in catalogue.features.iter().enumerate() {
        let before = live.get(&entry.feature.name);
        let before = before.map(|live| live.feature.category);
        if let (Some(before), Some(after)) = (before, entry.feature.category) {
            checks.require(
                before == after,
                &format!("features[{index}].category"),
                || {
                    format!(
                        "cannot change: the feature {:?} is there with {}, not {}",
                        entry.feature.name,
                        before.as_str(),
                        after.as_str()
                    )
                },
            );
        }
    }
    checks.finish(())
}

/// The transaction in which a catalogue is applied, and what it has done so far.
struct Application<'a> {
    tx: &'a Transaction,
    now: DateTime<Utc>,
    prune: bool,
    changes: Vec<CatalogueChange>,
    deeds: Vec<Deed>,
}

impl Application<'_> {
    async fn run(
        mut self,
        catalogue: Catalogue,
    ) -> Result<(Vec<CatalogueChange>, Vec<Deed>), Error> {
        let purpose = if self.prune {
            Purpose::Delete
        } else {
            Purpose::Change
        };
        let live_features = store::catalogue::lock(self.tx, purpose).await?.into_iter();
        let mut live: ByName<LiveFeature> = live_features
            .map(|live| (live.feature.name.clone(), live))
            .collect();
        check_categories(&catalogue, &live)?;
        for entry in catalogue.features {
            let before = live.remove(&entry.feature.name);
            self.apply(entry, before).await?;
        }
        for left_over in live.into_values() {
            self.leave_out(left_over).await?;
        }
        Ok((self.changes, self.deeds))
    }

    fn note(&mut self, feature: &str, template: Option<&str>, kind: ChangeKind) {
        self.changes.push(CatalogueChange {
            feature: feature.to_owned(),
            template: template.map(str::to_owned),
            kind,
        });
    }

    async fn apply(
        &mut self,
        entry: CatalogueFeature,
        before: Option<LiveFeature>,
    ) -> Result<(), Error> {
        let name = entry.feature.name.clone();
        let (id, live) = match before {
            Some(live) => {
                self.change_feature(&entry, &live.feature).await?;
                (live.feature.id, live.templates)
            }
            None => (self.create_feature(&entry).await?, Vec::new()),
        };
        let live = live.into_iter();
        let mut live: ByName<_> = live.map(|row| (row.name.clone(), row)).collect();
        for mut draft in entry.templates {
            draft.feature_id = id;
            let before = live.remove(&draft.name);
            self.apply_template(&name, draft, before).await?;
        }
        for template in live.into_values() {
            self.leave_template_out(&name, &template).await?;
        }
        Ok(())
    }

    async fn create_feature(&mut self, entry: &CatalogueFeature) -> Result<i64, Error> {
        let draft = entry.feature.clone();
        let category = draft.check(Checks::default())?;
        self.note(&draft.name, None, ChangeKind::Created);
        let created = store::feature::insert(self.tx, draft, category, self.now).await?;
        let deed = Deed::to(AuditAction::CreateFeature, created.id);
        self.deeds.push(deed.with("name", created.name));
        Ok(created.id)
    }

    async fn change_feature(
        &mut self,
        entry: &CatalogueFeature,
        before: &feature::Model,
    ) -> Result<(), Error> {
        let changed = changed_feature_fields(&feature_draft(before), &entry.feature)?;
        if changed.is_empty() {
            self.note(&before.name, None, ChangeKind::Unchanged);
            return Ok(());
        }
        let draft = FeatureDraft {
            // A file names no media: its number is another in each database.
            preview_media_id: before.preview_media_id,
            ..entry.feature.clone()
        };
        store::feature::update(self.tx, before, draft, self.now).await?;
        let deed = Deed::to(AuditAction::UpdateFeature, before.id);
        self.deeds.push(deed.with("fields", changed.clone()));
        self.note(&before.name, None, ChangeKind::Changed(changed));
        Ok(())
    }

    async fn apply_template(
        &mut self,
        feature: &str,
        draft: TemplateDraft,
        before: Option<template::Model>,
    ) -> Result<(), Error> {
        let name = draft.name.clone();
        let kind = match before {
            None => {
                let created = store::template::insert(self.tx, draft, self.now).await?;
                let deed = Deed::to(AuditAction::CreateTemplate, created.id);
                let deed = deed.with("feature_id", created.feature_id);
                self.deeds.push(deed.with("name", created.name));
                ChangeKind::Created
            }
            Some(before) => {
                let changed = changed_template_fields(&template_draft(&before), &draft)?;
                if changed.is_empty() {
                    ChangeKind::Unchanged
                } else {
                    let draft = TemplateDraft {
                        preview_media_id: before.preview_media_id,
                        ..draft
                    };
                    store::template::update(self.tx, &before, draft, self.now).await?;
                    let deed = Deed::to(AuditAction::UpdateTemplate, before.id);
                    self.deeds.push(deed.with("fields", changed.clone()));
                    ChangeKind::Changed(changed)
                }
            }
        };
        self.note(feature, Some(&name), kind);
        Ok(())
    }

    /// A live feature that the catalogue does not have.
    async fn leave_out(&mut self, live: LiveFeature) -> Result<(), Error> {
        let kind = if self.prune {
            delete_whole(self.tx, &live.feature, self.now).await?;
            let deed = Deed::to(AuditAction::DeleteFeature, live.feature.id);
            self.deeds
                .push(deed.with("name", live.feature.name.as_str()));
            ChangeKind::Removed
        } else {
            ChangeKind::Kept
        };
        let feature = &live.feature.name;
        self.note(feature, None, kind.clone());
        for template in &live.templates {
            self.note(feature, Some(&template.name), kind.clone());
        }
        Ok(())
    }

    /// A live template that the catalogue does not have.
    async fn leave_template_out(
        &mut self,
        feature: &str,
        template: &template::Model,
    ) -> Result<(), Error> {
        let kind = if self.prune {
            store::template::set_deleted(self.tx, template, Some(self.now), self.now).await?;
            let deed = Deed::to(AuditAction::DeleteTemplate, template.id);
            self.deeds.push(deed.with("name", template.name.as_str()));
            ChangeKind::Removed
        } else {
            ChangeKind::Kept
        };
        self.note(feature, Some(&template.name), kind);
        Ok(())
    }
}
