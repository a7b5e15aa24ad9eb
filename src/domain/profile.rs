//! How a service that works on tasks speaks, as data: see docs/providers/profiles.md.

mod check;
mod format;
mod pointer;
mod template;

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::MediaType;

pub use format::{
    Auth, Call, Cancel, Definition, Errors, Meaning, Outcome, Pictures, Poll, Probe, Progress,
    Signature, Submit, Webhook,
};
pub use pointer::Pointers;
pub use template::{Body, Filler, Path, Text};

macro_rules! shipped {
    ($($name:literal)+) => {
        [$(($name, include_str!(concat!("../../profiles/", $name, ".toml")))),+]
    };
}

/// The profiles that ship, by their names.
pub const SHIPPED: [(&str, &str); 16] = shipped!(
    "ark" "bfl" "cog" "dashscope" "fal" "horde" "kling" "luma" "minimax" "openai" "openrouter" "replicate" "runway" "sd-server" "veo" "xai"
);

/// The tables that are laid over the whole for media of a type.
const TYPES: [MediaType; 3] = [MediaType::Image, MediaType::Video, MediaType::Audio];

/// A service's profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// As it was asked for.
    pub source: String,
    /// What holds for media of every type.
    pub base: Definition,
    by_type: BTreeMap<&'static str, Definition>,
}

impl Profile {
    /// Reads the profile of this name; or that of the file, of which `read` gives the text.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn load(
        source: &str,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Result<Self, String> {
        let text = match source.strip_prefix("file:") {
            Some(path) => read(path)?,
            None => shipped(source)?.to_owned(),
        };
        Self::parse(source, &text)
    }

    /// Reads a profile's text.
    ///
    /// # Errors
    /// As [`Profile::load`].
    pub fn parse(source: &str, text: &str) -> Result<Self, String> {
        let mut whole = table(text)?;
        if let Some(base) = whole.remove("extends") {
            let name = base.as_str().ok_or("extends: a name is expected")?;
            let mut base = table(shipped(name)?)?;
            lay_over(&mut base, whole);
            whole = base;
        }
        let mut layers = Vec::new();
        for media_type in TYPES {
            let layer = match whole.remove(media_type.as_str()) {
                None => Table::new(),
                Some(Value::Table(layer)) => checked(media_type, layer)?,
                Some(_) => return Err(format!("{}: a table is expected", media_type.as_str())),
            };
            layers.push((media_type.as_str(), layer));
        }
        let base = Definition::read(whole.clone())?;
        if base.makes.is_empty() {
            return Err("makes: at least one of image, video and audio is expected".to_owned());
        }
        let mut by_type = BTreeMap::new();
        for (name, layer) in layers {
            let mut whole = whole.clone();
            lay_over(&mut whole, layer);
            let read = Definition::read(whole).map_err(|wrong| format!("{name}: {wrong}"))?;
            if read.makes.iter().any(|made| made.as_str() == name) {
                read.check().map_err(|wrong| format!("{name}: {wrong}"))?;
            }
            by_type.insert(name, read);
        }
        Ok(Self {
            source: source.to_owned(),
            base,
            by_type,
        })
    }

    /// The same, which sends further inputs, by their names, in these fields of the submission.
    #[must_use]
    pub fn sending(mut self, fields: &BTreeMap<String, String>) -> Self {
        let definitions = self.by_type.values_mut().chain([&mut self.base]);
        for body in definitions.filter_map(|definition| definition.submit.body.as_mut()) {
            body.extend(fields);
        }
        self
    }

    /// What holds for media of this type.
    pub fn of(&self, media_type: MediaType) -> &Definition {
        self.by_type.get(media_type.as_str()).unwrap_or(&self.base)
    }
}

/// A layer has nothing that holds for the service as a whole.
fn checked(media_type: MediaType, layer: Table) -> Result<Table, String> {
    const LAYERED: [&str; 6] = ["cancel", "errors", "pictures", "poll", "result", "submit"];
    match layer.keys().find(|key| !LAYERED.contains(&key.as_str())) {
        None => Ok(layer),
        Some(key) => Err(format!(
            "{}.{key}: it can only stand for all types",
            media_type.as_str()
        )),
    }
}

fn shipped(name: &str) -> Result<&'static str, String> {
    let found = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
    found.map(|(_, text)| *text).ok_or_else(|| {
        let names = SHIPPED.map(|(name, _)| name).join(", ");
        format!("there is no profile {name:?}; there are {names}, and file:PATH")
    })
}

fn table(text: &str) -> Result<Table, String> {
    text.parse()
        .map_err(|error: toml::de::Error| error.to_string().trim().to_owned())
}

/// Tables go over tables key by key, everything else in the place of what is there.
pub(crate) fn lay_over(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
