//! The catalogue that an empty installation begins with. Replicas that start at the same moment may all try to install
//! it.

use crate::{
    app::App,
    domain::{Actor, AuditAction, Catalogue, Error},
    store,
};

use super::{ApplyOptions, ChangeKind};

impl App {
    /// Installs a catalogue if no feature was ever made, all of it or nothing. Returns whether it did.
    pub async fn install_catalogue(&self, toml: &str) -> Result<bool, Error> {
        if !store::feature::is_empty(self.store.reader()).await? {
            return Ok(false);
        }
        let catalogue = Catalogue::read(toml)?;
        let install = (AuditAction::InstallCatalogue, ApplyOptions::default());
        let acting = self.acting(Actor::operator());
        match acting.change_catalogue(install, catalogue).await {
            // A client has made one of its features at the same moment.
            Err(Error::FeatureNameTaken { .. }) => Ok(false),
            // Another replica that started at the same moment may have been ahead.
            outcome => Ok(outcome?
                .iter()
                .any(|change| change.kind == ChangeKind::Created)),
        }
    }
}
