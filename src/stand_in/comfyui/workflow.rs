//! Workflows as ComfyUI checks and orders them, by a table of classes in the form of its `object_info`.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value, json};

pub(super) type Nodes = Map<String, Value>;

/// Some of the nodes that ComfyUI comes with.
pub(super) static CLASSES: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("object_info.json")).unwrap_or_default());

pub(super) fn class(node: &Value) -> &str {
    node["class_type"].as_str().unwrap_or_default()
}

/// Where an input comes from, if from another node.
fn link(value: &Value) -> Option<(&str, usize)> {
    match value.as_array()?.as_slice() {
        [id, slot] => Some((id.as_str()?, usize::try_from(slot.as_u64()?).ok()?)),
        _ => None,
    }
}

/// The node and what it stands on, in an order in which they can run.
pub(super) fn order(nodes: &Nodes, id: &str) -> Vec<String> {
    fn visit<'a>(
        nodes: &'a Nodes,
        id: &'a str,
        seen: &mut BTreeSet<&'a str>,
        order: &mut Vec<String>,
    ) {
        let Some(node) = nodes.get(id).filter(|_| seen.insert(id)) else {
            return;
        };
        let inputs = node["inputs"].as_object().into_iter().flatten();
        for (source, _) in inputs.filter_map(|(_, value)| link(value)) {
            visit(nodes, source, seen, order);
        }
        order.push(id.to_owned());
    }
    let mut order = Vec::new();
    visit(nodes, id, &mut BTreeSet::new(), &mut order);
    order
}

/// The nearest node of this class on the way to the node, or to one of its inputs.
pub(super) fn upstream<'a>(nodes: &'a Nodes, id: &str, of: &str) -> Option<&'a Value> {
    let order = order(nodes, id);
    let found = order.iter().rev().filter_map(|id| nodes.get(id));
    found.into_iter().find(|node| class(node) == of)
}

/// The node that an input is linked to.
pub(super) fn source<'a>(node: &'a Value, input: &str) -> Option<&'a str> {
    link(&node["inputs"][input]).map(|(id, _)| id)
}

/// What two nodes have in common that make the same.
pub(super) fn signature(nodes: &Nodes, id: &str) -> String {
    let order = order(nodes, id);
    let parts = order
        .iter()
        .map(|id| (id, &nodes[id]["class_type"], &nodes[id]["inputs"]));
    json!(parts.collect::<Vec<_>>()).to_string()
}

/// The output nodes that can run, and the errors of the others; an error is the body of a refusal.
pub(super) fn check(
    nodes: &Nodes,
    has_file: impl Fn(&str) -> bool,
) -> Result<(Vec<String>, Value), Value> {
    for (id, node) in nodes {
        if !CLASSES.contains_key(class(node)) {
            let message = format!(
                "Cannot execute because node {} does not exist.",
                class(node)
            );
            return Err(refusal(
                "invalid_prompt",
                &message,
                &format!("Node ID '#{id}'"),
                &json!({}),
            ));
        }
    }
    let is_output = |node: &Value| CLASSES[class(node)]["output_node"] == json!(true);
    let outputs: Vec<_> = nodes
        .iter()
        .filter(|(_, node)| is_output(node))
        .map(|(id, _)| id)
        .collect();
    if outputs.is_empty() {
        return Err(refusal(
            "prompt_no_outputs",
            "Prompt has no outputs",
            "",
            &json!({}),
        ));
    }
    let mut wrong = Map::new();
    for (id, node) in nodes {
        let errors = errors(nodes, node, &has_file);
        if !errors.is_empty() {
            let error = json!({ "errors": errors, "dependent_outputs": outputs, "class_type": class(node) });
            wrong.insert(id.clone(), error);
        }
    }
    let runs = |id: &&String| order(nodes, id).iter().all(|id| !wrong.contains_key(id));
    let good: Vec<_> = outputs.iter().copied().filter(runs).cloned().collect();
    let wrong = Value::Object(wrong);
    match good.is_empty() {
        true => {
            let message = "Prompt outputs failed validation";
            Err(refusal(
                "prompt_outputs_failed_validation",
                message,
                "",
                &wrong,
            ))
        }
        false => Ok((good, wrong)),
    }
}

pub(super) fn refusal(kind: &str, message: &str, details: &str, node_errors: &Value) -> Value {
    let error = json!({ "type": kind, "message": message, "details": details, "extra_info": {} });
    json!({ "error": error, "node_errors": node_errors })
}

fn errors(nodes: &Nodes, node: &Value, has_file: impl Fn(&str) -> bool) -> Vec<Value> {
    let mut errors = Vec::new();
    let required = CLASSES[class(node)]["input"]["required"].as_object();
    for (name, kind) in required.into_iter().flatten() {
        let value = node["inputs"].get(name);
        let found = match value {
            None => Some((
                "required_input_missing",
                "Required input is missing".to_owned(),
            )),
            Some(value) => error(nodes, kind, value),
        };
        let found = found.or_else(|| {
            let file = value
                .and_then(Value::as_str)
                .filter(|_| kind[1]["image_upload"] == json!(true))?;
            let missing = (
                "custom_validation_failed",
                "Custom validation failed for node".to_owned(),
            );
            (!has_file(file)).then_some(missing)
        });
        if let Some((kind, message)) = found {
            let extra = json!({ "input_name": name, "received_value": value });
            errors.push(
                json!({ "type": kind, "message": message, "details": name, "extra_info": extra }),
            );
        }
    }
    errors
}

/// What is wrong with a value of this kind.
fn error(nodes: &Nodes, kind: &Value, value: &Value) -> Option<(&'static str, String)> {
    if value.is_array() {
        let source = link(value).and_then(|(id, slot)| {
            let node = nodes.get(id)?;
            Some(&CLASSES[class(node)]["output"][slot])
        });
        return match source {
            None => Some(("bad_linked_input", "Bad linked input".to_owned())),
            Some(made) if *made != kind[0] => {
                let message = "Return type mismatch between linked nodes".to_owned();
                Some(("return_type_mismatch", message))
            }
            Some(_) => None,
        };
    }
    if let Some(choices) = kind[0].as_array() {
        let message = format!("Value not in list: {value}");
        return (!choices.contains(value)).then_some(("value_not_in_list", message));
    }
    let (least, most) = (&kind[1]["min"], &kind[1]["max"]);
    match kind[0].as_str().unwrap_or_default() {
        "INT" | "FLOAT" => match (value.as_f64(), least.as_f64(), most.as_f64()) {
            (None, ..) => Some(("invalid_input_type", format!("Failed to convert {value}"))),
            (Some(it), Some(least), _) if it < least => {
                let message = format!("Value {value} smaller than min of {least}");
                Some(("value_smaller_than_min", message))
            }
            (Some(it), _, Some(most)) if it > most => Some((
                "value_bigger_than_max",
                format!("Value {value} bigger than max of {most}"),
            )),
            _ => None,
        },
        "STRING" => None,
        _ => Some(("bad_linked_input", "Bad linked input".to_owned())),
    }
}
