use super::*;
use crate::provider::comfyui::classes::Classes;

fn library(workflow: Option<&str>, bindings: Value) -> Library {
    let file = include_bytes!("../../../../examples/comfyui/text-to-image.json");
    let nodes = as_nodes(&serde_json::from_slice(file).unwrap()).unwrap();
    Library {
        files: [("text-to-image.json".to_owned(), nodes)].into(),
        default: workflow.map(Value::from),
        bindings: bindings::read(&map(json!({ "bindings": bindings }))).unwrap(),
    }
}

fn map(json: Value) -> JsonMap {
    serde_json::from_value(json).unwrap()
}

fn input(more: Value) -> JobInput {
    let mut input = map(json!({
        "provider": "comfy", "prompt": "a cat", "user_prompt": "cat", "seed": 7, "width": 640, "height": 480,
        "aspect_ratio": "4:3",
    }));
    input.extend(map(more));
    serde_json::from_value(Value::Object(input)).unwrap()
}

#[test]
fn each_mistake_of_settings_is_named() {
    let library = library(
        Some("text-to-image.json"),
        json!({ "prompt": "6.inputs.text" }),
    );
    let alone = json!({ "1": { "class_type": "SaveText", "inputs": { "text": "" } } });
    for (settings, key, expected) in [
        (
            json!({ "workflow": "other.json" }),
            "workflow",
            "a file of the provider: text-to-image.json",
        ),
        (
            json!({ "workflow": { "nodes": [] } }),
            "workflow",
            "Export (API)",
        ),
        (json!({ "workflow": { "1": {} } }), "workflow", "class_type"),
        (
            json!({ "workflow": alone }),
            "bindings.seed",
            "where the seed goes",
        ),
        (
            json!({ "bindings": { "colour": "6.inputs.text" } }),
            "bindings.colour",
            "one of ",
        ),
        (
            json!({ "bindings": { "seed": "30.inputs.seed" } }),
            "bindings.seed",
            "holds a value",
        ),
        (
            json!({ "bindings": { "seed": "3.inputs.model" } }),
            "bindings.seed",
            "holds a value",
        ),
        (
            json!({ "bindings": { "seed": "6.inputs.text" } }),
            "bindings.seed",
            "a number is held",
        ),
        (
            json!({ "bindings": { "prompt": "3.inputs.steps" } }),
            "bindings.prompt",
            "a text is held",
        ),
        (
            json!({ "bindings": { "prompt": 7 } }),
            "bindings.prompt",
            "a place",
        ),
        (json!({ "steps": 20 }), "steps", "settings.steps"),
        (
            json!({ "steps": "many", "bindings": { "settings.steps": "3.inputs.steps" } }),
            "steps",
            "a number",
        ),
    ] {
        let found = library.check(&[], &map(settings.clone()));
        let told = found
            .iter()
            .any(|it| it.key == key && it.expected.contains(expected));
        assert!(told, "{settings}: {found:?}");
    }
    let right = json!({ "steps": 20, "bindings": { "settings.steps": "3.inputs.steps" } });
    assert_eq!(library.check(&[], &map(right)), []);
}

#[test]
fn bindings_belong_to_the_workflow_that_they_stand_with() {
    let library = library(
        Some("text-to-image.json"),
        json!({ "prompt": "6.inputs.text", "seed": "3.inputs.seed" }),
    );
    let settings = map(json!({ "bindings": { "width": "5.inputs.width" } }));
    let graph = library.graph(&[&settings]).unwrap().unwrap();
    assert!(graph.takes("seed") && graph.takes("width"));
    let style =
        map(json!({ "workflow": "text-to-image.json", "bindings": { "prompt": "7.inputs.text" } }));
    let graph = library.graph(&[&settings, &style]).unwrap().unwrap();
    assert!(graph.takes("prompt") && !graph.takes("seed") && !graph.takes("width"));
}

#[test]
fn inputs_get_to_their_places_and_nothing_else_changes() {
    let library = library(
        Some("text-to-image.json"),
        json!({
            "prompt": ["6.inputs.text", "7.inputs.text"], "seed": "3.inputs.seed", "cfg_scale": "3.inputs.cfg",
            "width": "5.inputs.width", "variables.steps": "3.inputs.steps", "settings.sampler": "3.inputs.sampler_name",
        }),
    );
    let graph = library.graph(&[]).unwrap().unwrap();
    let input = input(json!({
        "system_prompt": "Ink.", "variables": { "steps": "12", "other": ["4", 0] }, "settings": { "sampler": "euler" },
        "style": { "sampler": "ddim" },
    }));
    let filled = graph.filled(&input, &BTreeMap::new(), "key").unwrap();
    let mut expected = graph.nodes.clone();
    for (node, name, value) in [
        ("6", "text", json!("Ink.\n\na cat")),
        ("7", "text", json!("Ink.\n\na cat")),
        ("3", "seed", json!(7)),
        ("5", "width", json!(640)),
        ("3", "steps", json!(12)),
        ("3", "sampler_name", json!("ddim")),
        ("9", "filename_prefix", json!("atelier-key")),
    ] {
        expected[node]["inputs"][name] = value;
    }
    assert_eq!(filled, expected);
}

#[test]
fn no_value_becomes_a_link_a_structure_or_another_type() {
    let library = library(
        Some("text-to-image.json"),
        json!({
            "variables.text": "6.inputs.text", "variables.steps": "3.inputs.steps",
        }),
    );
    let graph = library.graph(&[]).unwrap().unwrap();
    for variables in [
        json!({ "text": ["4", 0] }),
        json!({ "text": { "__type": "core/ASSET", "info": { "id": "x" } } }),
        json!({ "text": null }),
        json!({ "steps": "many" }),
        json!({ "steps": true }),
    ] {
        let input = input(json!({ "variables": variables }));
        let filled = graph.filled(&input, &BTreeMap::new(), "key");
        assert!(filled.is_err(), "{variables}: {filled:?}");
    }
}

#[test]
fn a_server_without_a_class_or_with_further_inputs_is_told() {
    let told = json!({
        "KSampler": { "input": { "required": { "seed": ["INT"], "eta": ["FLOAT"] } } }, "CheckpointLoaderSimple": {},
        "CLIPTextEncode": { "input": {} }, "EmptyLatentImage": {}, "VAEDecode": null,
    });
    let classes = Classes::new(&map(told));
    let library = library(Some("text-to-image.json"), json!({}));
    let found = classes.check(&library.graph(&[]).unwrap().unwrap());
    let found: Vec<_> = found.iter().map(|it| it.expected.as_str()).collect();
    assert_eq!(
        found,
        [
            "whole: node 3 (KSampler) lacks its input eta",
            "of nodes that the server has, which has no SaveImage (9)",
        ]
    );
}
