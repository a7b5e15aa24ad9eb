//! Workflows, and how the inputs of a job get into them: only values at places that an operator has named.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::bindings::{self, Bindings, FAMILIES, INPUTS};
use crate::{
    config::ComfyUiConfig,
    domain::{JobInput, JsonMap},
    provider::Unfit,
};

/// Keys of settings and styles that are not for `settings.NAME`.
const OWN_KEYS: [&str; 2] = ["workflow", "bindings"];

/// The workflows of a provider.
#[derive(Debug)]
pub(super) struct Library {
    files: BTreeMap<String, JsonMap>,
    default: Option<Value>,
    bindings: Bindings,
}

/// A workflow, by the ids of its nodes, and where it takes inputs.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    pub(super) nodes: JsonMap,
    bindings: Bindings,
}

impl Library {
    /// Reads the workflows of a configuration; an error is what is wrong with it.
    pub(super) fn read(config: &ComfyUiConfig) -> Result<Self, String> {
        let mut files = BTreeMap::new();
        if let Some(folder) = &config.workflows {
            let unreadable = |error| format!("the workflows in {}: {error}", folder.display());
            for entry in fs::read_dir(folder).map_err(unreadable)? {
                let path = entry.map_err(unreadable)?.path();
                if path.extension().is_some_and(|it| it == "json") {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    files.insert(name.into_owned(), read_file(&path)?);
                }
            }
        }
        if config.workflow.is_none() && !config.bindings.is_empty() {
            return Err("its bindings are of no workflow: name it as workflow".to_owned());
        }
        let library = Self {
            files,
            default: config.workflow.clone().map(Value::String),
            bindings: config.bindings.clone(),
        };
        let wrong = match library.graph(&[]) {
            Ok(graph) => graph.map(|graph| graph.check()).unwrap_or_default(),
            Err(unfit) => vec![unfit],
        };
        match wrong.first() {
            Some(Unfit { key, expected, .. }) => Err(format!("its {key} must be {expected}")),
            None => Ok(library),
        }
    }

    /// The workflow that the last of these levels names, else the configuration's; `None` if nobody names one.
    pub(super) fn graph(&self, levels: &[&JsonMap]) -> Result<Option<Graph>, Unfit> {
        let (named, bindings) = self.chosen(levels)?;
        let nodes = named.map(|workflow| self.nodes(workflow)).transpose()?;
        Ok(nodes.map(|nodes| Graph { nodes, bindings }))
    }

    /// Where that workflow takes inputs.
    pub(super) fn bindings(&self, levels: &[&JsonMap]) -> Option<Bindings> {
        let (named, bindings) = self.chosen(levels).ok()?;
        named.map(|_| bindings)
    }

    /// The bindings of a level hold over those below it, but not over those below its workflow.
    fn chosen<'a>(
        &'a self,
        levels: &[&'a JsonMap],
    ) -> Result<(Option<&'a Value>, Bindings), Unfit> {
        let mut named = self.default.as_ref();
        let mut bindings = self.bindings.clone();
        for level in levels {
            if let Some(workflow) = level.get("workflow") {
                named = Some(workflow);
                bindings.clear();
            }
            bindings.extend(bindings::read(level)?);
        }
        Ok((named, bindings))
    }

    fn nodes(&self, workflow: &Value) -> Result<JsonMap, Unfit> {
        match workflow {
            Value::String(name) => self.files.get(name).cloned().ok_or_else(|| {
                let names: Vec<_> = self.files.keys().map(String::as_str).collect();
                let expected = match names.as_slice() {
                    [] => "a workflow itself: the provider has no folder of them".to_owned(),
                    names => format!("a file of the provider: {}", names.join(", ")),
                };
                Unfit::setting("workflow", &expected)
            }),
            workflow => {
                as_nodes(workflow).map_err(|expected| Unfit::setting("workflow", &expected))
            }
        }
    }

    /// What is wrong with a level of settings that stands over these.
    pub(super) fn check(&self, below: &[&JsonMap], level: &JsonMap) -> Vec<Unfit> {
        let levels: Vec<_> = below.iter().copied().chain([level]).collect();
        let graph = match self.graph(&levels) {
            Ok(Some(graph)) => graph,
            Ok(None) => return Vec::new(),
            Err(unfit) => return vec![unfit],
        };
        let unbound = level.keys().filter(|key| {
            !OWN_KEYS.contains(&key.as_str()) && !graph.takes(&format!("settings.{key}"))
        });
        let unbound = unbound.map(|key| {
            Unfit::setting(key, format!("left out, or bound as settings.{key}")).unread()
        });
        let wrong = graph.check().into_iter();
        wrong
            .chain(unbound)
            .chain(graph.misfits("settings.", level))
            .collect()
    }
}

fn read_file(path: &Path) -> Result<JsonMap, String> {
    let wrong = |error: String| format!("{}: {error}", path.display());
    let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let json = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    as_nodes(&json).map_err(|expected| wrong(format!("must be {expected}")))
}

/// The nodes of a workflow in the API format; an error says what it must be.
fn as_nodes(workflow: &Value) -> Result<JsonMap, String> {
    let is_node = |node: &Value| node["class_type"].is_string() && node["inputs"].is_object();
    match workflow {
        Value::Object(nodes) if !nodes.is_empty() && nodes.values().all(is_node) => {
            Ok(nodes.clone())
        }
        Value::Object(it) if it.contains_key("nodes") => {
            Err("a workflow in the API format (Export (API)), not one of the editor".to_owned())
        }
        _ => Err("a workflow in the API format: nodes with class_type and inputs".to_owned()),
    }
}

/// The node and its input.
fn split(place: &str) -> Option<(&str, &str)> {
    place.split_once(".inputs.")
}

impl Graph {
    pub(super) fn takes(&self, input: &str) -> bool {
        self.bindings.contains_key(input)
    }

    /// The nodes and their inputs that take an input.
    pub(super) fn places(&self, input: &str) -> impl Iterator<Item = (&Value, &str)> {
        let places = self.bindings.get(input).into_iter().flatten();
        let split = places.filter_map(|place| split(place));
        split.filter_map(|(node, input)| Some((self.nodes.get(node)?, input)))
    }

    fn held(&self, place: &str) -> Option<&Value> {
        let (node, input) = split(place)?;
        self.nodes.get(node)?["inputs"].get(input)
    }

    /// Bindings of what there is no such input, no such place, or a place of another type; and a workflow that would deliver
    /// the same file twice.
    pub(super) fn check(&self) -> Vec<Unfit> {
        let mut wrong = Vec::new();
        for (input, places) in &self.bindings {
            let key = format!("bindings.{input}");
            let known = INPUTS.iter().find(|(name, _)| name == input);
            let of_family = FAMILIES.iter().any(|family| input.starts_with(family));
            if known.is_none() && !of_family {
                let names: Vec<_> = INPUTS.iter().map(|(name, _)| *name).collect();
                let families = FAMILIES.map(|family| format!("{family}NAME"));
                let expected = format!("one of {}, {}", names.join(", "), families.join(", "));
                wrong.push(Unfit::setting(&key, &expected));
                continue;
            }
            for place in places {
                let held = self.held(place);
                let expected = match (held, known) {
                    (Some(Value::Array(_) | Value::Object(_)) | None, _) => {
                        "where the workflow holds a value"
                    }
                    (Some(held), Some((_, true))) if !held.is_number() => "where a number is held",
                    (Some(held), Some((_, false))) if !held.is_string() => "where a text is held",
                    _ => continue,
                };
                wrong.push(Unfit::setting(&key, format!("{expected}, not {place}")));
            }
        }
        if !self.takes("seed") && self.prefixes().next().is_none() {
            let expected = "where the seed goes: without it, and without any filename_prefix, ComfyUI answers like prompts \
                            with one and the same file";
            wrong.push(Unfit::setting("bindings.seed", expected));
        }
        wrong
    }

    /// Those of these values of a family of inputs that their places cannot hold, with what they can. Pictures are uploaded
    /// later.
    pub(super) fn misfits(&self, family: &str, values: &JsonMap) -> Vec<Unfit> {
        let is_picture = |value: &Value| value.is_object();
        let values = values.iter().filter(|(_, value)| !is_picture(value));
        let misfits = values.filter_map(|(name, value)| {
            let places = self.bindings.get(&format!("{family}{name}"))?;
            let mut held = places.iter().filter_map(|place| self.held(place));
            let held = held.find(|held| fitting(held, value, false).is_none())?;
            let expected = match held {
                Value::Number(_) => "a number",
                Value::Bool(_) => "true or false",
                _ => "a text",
            };
            Some(Unfit::setting(name, expected))
        });
        misfits.collect()
    }

    /// The nodes that name their files.
    fn prefixes(&self) -> impl Iterator<Item = &String> {
        let named = |node: &Value| node["inputs"]["filename_prefix"].is_string();
        self.nodes
            .iter()
            .filter(move |(_, node)| named(node))
            .map(|(id, _)| id)
    }

    /// What nodes are called, by their ids.
    pub(super) fn titles(&self) -> BTreeMap<String, String> {
        let title = |node: &Value| {
            let title = node["_meta"]["title"].as_str();
            title.or(node["class_type"].as_str()).map(str::to_owned)
        };
        let nodes = self.nodes.iter();
        nodes
            .map(|(id, node)| (id.clone(), title(node).unwrap_or_default()))
            .collect()
    }

    /// The nodes that nodes stand on, by their ids.
    pub(super) fn sources(&self) -> BTreeMap<String, Vec<String>> {
        let sources = |node: &Value| {
            let inputs = node["inputs"].as_object().into_iter().flatten();
            let sources = inputs.filter_map(|(_, value)| value[0].as_str());
            sources.map(str::to_owned).collect()
        };
        let nodes = self.nodes.iter();
        nodes
            .map(|(id, node)| (id.clone(), sources(node)))
            .collect()
    }

    /// The workflow with the inputs of a job and its uploaded pictures, by the fields that name them. `key` tells the job's
    /// files from those of others. An error is a sentence for the user.
    pub(super) fn filled(
        &self,
        input: &JobInput,
        pictures: &BTreeMap<String, Value>,
        key: &str,
    ) -> Result<JsonMap, String> {
        let mut nodes = self.nodes.clone();
        for (name, places) in &self.bindings {
            let Some(value) = self.value(name, input, pictures) else {
                continue;
            };
            for place in places {
                let held = split(place).and_then(|(node, input)| {
                    nodes.get_mut(node)?.get_mut("inputs")?.get_mut(input)
                });
                // The places were checked, but a template may have changed since.
                let held = held.ok_or_else(|| format!("The workflow has no place {place}."))?;
                *held = fitting(held, &value, pictures.values().any(|it| *it == value))
                    .ok_or_else(|| format!("The generator cannot take this value of {name}."))?;
            }
        }
        let named: Vec<_> = self.prefixes().cloned().collect();
        for id in named {
            let prefix = &mut nodes[&id]["inputs"]["filename_prefix"];
            if let Value::String(prefix) = prefix {
                prefix.push_str(&format!("-{key}"));
            }
        }
        Ok(nodes)
    }

    /// The value of an input; `None` leaves what the workflow holds.
    fn value(
        &self,
        name: &str,
        input: &JobInput,
        pictures: &BTreeMap<String, Value>,
    ) -> Option<Value> {
        let text = |text: &str| (!text.is_empty()).then(|| json!(text));
        let number = |number: u32| (number > 0).then(|| json!(number));
        match name {
            "prompt" if self.takes("system_prompt") => Some(json!(input.prompt)),
            "prompt" => Some(json!(input.instructed_prompt())),
            "system_prompt" => Some(json!(input.system_prompt.as_deref().unwrap_or_default())),
            "user_prompt" => Some(json!(input.user_prompt)),
            "negative_prompt" => text(&input.negative_prompt),
            "seed" => Some(json!(input.seed)),
            "cfg_scale" => input.cfg_scale.map(Value::from),
            "width" => number(input.width),
            "height" => number(input.height),
            "aspect_ratio" => text(&input.aspect_ratio),
            "format" => input.format.as_deref().and_then(text),
            "duration_seconds" => input.duration_seconds.map(Value::from),
            "frame_rate" => input.frame_rate.map(Value::from),
            // As models count them: the first, and those that follow.
            "frames" => Some(json!(
                u64::from(input.duration_seconds?) * u64::from(input.frame_rate?) + 1
            )),
            "model" => input.model.as_deref().and_then(text),
            _ => {
                let (family, own) = name.split_once('.')?;
                match family {
                    "lora_weights" => input.lora_weights.get(own).copied().map(Value::from),
                    "pictures" => pictures.get(&format!("user_media_urls[{own}]")).cloned(),
                    "settings" => input.style.get(own).or(input.settings.get(own)).cloned(),
                    _ if input.pictures.iter().any(|it| it == own) => {
                        pictures.get(&format!("input.variables.{own}")).cloned()
                    }
                    _ => input.variables.get(own).cloned(),
                }
            }
        }
    }
}

/// The value as the place holds it. A list would be taken for a link to another node, and is refused like any structure that
/// is not our own reference to a picture.
fn fitting(held: &Value, value: &Value, is_picture: bool) -> Option<Value> {
    match (held, value) {
        (Value::String(_), _) if is_picture => Some(value.clone()),
        (Value::Number(_), Value::String(text)) => text.trim().parse().ok().map(Value::Number),
        (Value::String(_), Value::Number(_) | Value::Bool(_)) => Some(json!(value.to_string())),
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_)) => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
