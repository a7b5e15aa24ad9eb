//! Providers as a configuration names them.

use atelier::config::{Config, Flag, Inputs, ProviderConfig};

/// A provider of whose table these are the lines, such as `kind=openai`.
pub(crate) fn provider(table: &[&str]) -> ProviderConfig {
    let flags = table.iter();
    let flags = flags.map(|line| Flag::Set(format!("providers.service.{line}")));
    let inputs = Inputs {
        file: Some("/dev/null".into()),
        flags: flags.collect(),
        ..Inputs::default()
    };
    let mut providers = Config::load(&inputs).unwrap().config.providers;
    providers.remove("service").unwrap()
}
