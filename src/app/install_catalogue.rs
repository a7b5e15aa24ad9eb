use crate::{
    domain::{Catalogue, Error},
    store,
};

use super::{App, ApplyOptions};

impl App {
    /// Installs a catalogue if no feature was ever made, all of it or nothing. Returns whether it did.
    pub async fn install_catalogue(&self, toml: &str) -> Result<bool, Error> {
        if !store::feature::is_empty(self.store.reader()).await? {
            return Ok(false);
        }
        let catalogue = Catalogue::read(toml)?;
        match self
            .apply_catalogue(catalogue, ApplyOptions::default())
            .await
        {
            // Another replica started at the same moment and is ahead.
            Err(Error::FeatureNameTaken { .. }) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }
}
