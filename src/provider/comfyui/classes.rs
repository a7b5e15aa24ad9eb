//! What a server tells of its classes of nodes, as far as it is needed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::workflow::Graph;
use crate::provider::Unfit;

/// Most choices that are told.
const MAX_TOLD: usize = 20;

/// The classes by their names.
pub(super) struct Classes(BTreeMap<String, Class>);

struct Class {
    required: Vec<String>,
    /// What the server has for an input, such as its checkpoints, where it has a list of that.
    choices: BTreeMap<String, Vec<String>>,
}

impl Class {
    fn read(told: &Value) -> Self {
        let inputs = |group: &str| told["input"][group].as_object().into_iter().flatten();
        let both = inputs("required").chain(inputs("optional"));
        Self {
            required: inputs("required").map(|(name, _)| name.clone()).collect(),
            choices: both
                .filter_map(|(name, declared)| Some((name.clone(), choices(declared)?)))
                .collect(),
        }
    }
}

/// Newer servers have the list beside the word COMBO. A list of what was uploaded changes with each job.
fn choices(declared: &Value) -> Option<Vec<String>> {
    let (kind, more) = (&declared[0], &declared[1]);
    let mut keys = more.as_object().into_iter().flatten().map(|(key, _)| key);
    if keys.any(|key| key.ends_with("_upload")) {
        return None;
    }
    let listed = match kind.as_str() {
        Some("COMBO") => more["options"].as_array(),
        _ => kind.as_array(),
    };
    let texts = listed?
        .iter()
        .map(|choice| choice.as_str().map(str::to_owned));
    texts.collect()
}

impl Classes {
    pub(super) fn new(object_info: &Map<String, Value>) -> Self {
        let classes = object_info.iter();
        Self(
            classes
                .map(|(name, told)| (name.clone(), Class::read(told)))
                .collect(),
        )
    }

    /// What the server would refuse of a workflow.
    pub(super) fn check(&self, graph: &Graph) -> Vec<Unfit> {
        let mut wrong = Vec::new();
        for (id, node) in &graph.nodes {
            let name = node["class_type"].as_str().unwrap_or_default();
            let Some(class) = self.0.get(name) else {
                let expected = format!("of nodes that the server has, which has no {name} ({id})");
                wrong.push(Unfit::setting("workflow", expected));
                continue;
            };
            let inputs = node["inputs"].as_object();
            let has = |name: &str| {
                let part = format!("{name}.");
                let is_it = |own: &String| own == name || own.starts_with(&part);
                inputs.is_some_and(|inputs| inputs.keys().any(is_it))
            };
            for input in class.required.iter().filter(|input| !has(input)) {
                let expected = format!("whole: node {id} ({name}) lacks its input {input}");
                wrong.push(Unfit::setting("workflow", expected));
            }
        }
        wrong
    }

    /// What an input of the workflow must be instead of this value, where the server has a list of what it can be.
    pub(super) fn misfit(&self, graph: &Graph, input: &str, value: &Value) -> Option<String> {
        let value = value.as_str().filter(|value| !value.is_empty())?;
        let lists = graph.places(input).filter_map(|(node, input)| {
            let class = self.0.get(node["class_type"].as_str()?)?;
            class.choices.get(input)
        });
        let mut lists = lists.filter(|list| !list.iter().any(|choice| choice == value));
        let list = lists.next()?;
        let told = list[..list.len().min(MAX_TOLD)].join(", ");
        let more = if list.len() > MAX_TOLD { ", ..." } else { "" };
        Some(format!(
            "one of what the server has ({told}{more}), not {value:?}"
        ))
    }
}
