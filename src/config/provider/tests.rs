//! Tables of commands, read, refused and printed again.

use std::path::Path;

use super::super::{Config, Loaded, Problems, layer::Layers};
use super::*;

fn load(content: &str) -> Result<Loaded, Problems> {
    let mut layers = Layers::default();
    layers.read_toml(Path::new("atelier.toml"), content);
    Config::from_layers(layers)
}

fn problems(content: &str) -> Vec<String> {
    let problems = load(content).unwrap_err().0;
    problems.iter().map(ToString::to_string).collect()
}

fn exec<'a>(loaded: &'a Loaded, name: &str) -> &'a ExecConfig {
    match &loaded.config.providers[name] {
        ProviderConfig::Exec(exec) => exec,
        other => panic!("{other:?}"),
    }
}

const STUDIO: &str = r#"
[providers.studio]
kind = "exec"
command = "studio"
args = ["--size", "{{ width }}x{{ height }}", ["--seed", "{{ seed }}"], "--", "{{ prompt }}"]
prompt = "file"
makes = ["image", "video"]
timeout = "90s"
memory = "1GiB"
output_bytes = "10MiB"
progress = "ffmpeg"
pass_environment = ["CUDA_VISIBLE_DEVICES"]
repeatable = false
install = "ask the operator"
"#;

#[test]
fn a_table_is_read_and_printed_as_it_was() {
    let loaded = load(STUDIO).unwrap();
    let studio = exec(&loaded, "studio");
    assert_eq!(studio.command, "studio");
    assert_eq!(
        studio.args[2],
        Argument::Optional(vec!["--seed".into(), "{{ seed }}".into()])
    );
    assert_eq!(studio.timeout, Duration::from_secs(90));
    let shown = loaded.to_toml();
    let program = "[providers.studio]\nkind = \"exec\" # atelier.toml:3\ncommand = \"studio\" # atelier.toml:4\n";
    assert!(shown.contains(program), "{shown}");
    let again = load(&shown).unwrap().config.providers;
    assert_eq!(
        format!("{again:?}"),
        format!("{:?}", loaded.config.providers)
    );
}

#[test]
fn what_is_not_written_has_its_default() {
    let loaded =
        load("[providers.studio]\nkind = \"exec\"\ncommand = \"x\"\nmakes = [\"audio\"]").unwrap();
    let studio = exec(&loaded, "studio");
    assert_eq!((studio.prompt, studio.repeatable), (PromptBy::Stdin, true));
    assert_eq!((studio.memory, studio.output_bytes), (2 << 30, 256 << 20));
}

#[test]
fn the_voice_is_there_without_any_table_and_a_table_replaces_it() {
    let loaded = load("").unwrap();
    assert_eq!(loaded.config.providers["voice"].kind(), "voice");
    assert!(loaded.sources.is_empty());
    let replaced =
        load("[providers.voice]\nkind = \"exec\"\ncommand = \"say\"\nmakes = [\"audio\"]").unwrap();
    let voice = exec(&replaced, "voice");
    assert_eq!((voice.command.as_str(), voice.args.len()), ("say", 0));
}

#[test]
fn a_language_is_spoken_by_a_command() {
    let piper = "[providers.piper]\nkind = \"exec\"\ncommand = \"piper\"\nmakes = [\"audio\"]\n";
    let voice = "[providers.voice]\nkind = \"voice\"\nlanguages = { vi = \"piper\" }\n";
    assert!(load(&format!("{piper}{voice}")).is_ok());
    assert_eq!(
        problems(voice),
        [
            "providers.voice.languages.vi (atelier.toml:1): expected the name of a provider of the kind exec that makes audio"
        ]
    );
    let told = problems("[providers.voice]\nkind = \"voice\"\nlanguages = { vi = \"\" }\n");
    assert!(
        told[0].starts_with("providers.voice.languages (atelier.toml:3): expected a table"),
        "{told:?}"
    );
}

#[test]
fn every_problem_of_a_table_is_told_with_its_key_and_line() {
    let told = problems(
        "[providers]\nvoice = 1\n[providers.Studio]\nkind = \"exec\"\ncomand = \"x\"\nargs = [\"{{ promt }}\"]\n\
         makes = [\"pictures\"]\nprompt = \"pipe\"\ntimeout = \"1ms\"\nmemory = \"1KiB\"\n[providers.builtin]\nkind = \"exec\"\n\
         command = \"x\"\nmakes = []\n[providers.clip]\ncommand = \"x\"\n[providers.film]\nkind = \"film\"\n[exec.song]\ncommand = \"x\"\n\
         [providers.empty]\n",
    );
    let expected = [
        "providers.voice (atelier.toml:2): expected a table [providers.NAME] with its kind, NAME being that of the provider",
        "exec.song (atelier.toml:19): expected a table [providers.song] with kind = \"exec\"",
        "providers.Studio (atelier.toml:3): expected a name of 1 to 64 characters",
        "providers.Studio.args (atelier.toml:6): expected templates; \"{{ promt }}\" names promt; there is aspect_ratio",
        "providers.Studio.command (atelier.toml:3): expected text that is not empty",
        "providers.Studio.comand (atelier.toml:5): there is no such setting; did you mean providers.Studio.command?",
        "providers.Studio.makes (atelier.toml:7): expected a list of \"image\", \"video\" and \"audio\"",
        "providers.Studio.prompt (atelier.toml:8): expected one of \"stdin\", \"file\", \"none\", found \"pipe\"",
        "providers.Studio.timeout (atelier.toml:9): expected a value from \"100ms\" to \"24h\"",
        "providers.Studio.memory (atelier.toml:10): expected a value from \"8MiB\" to",
        "providers.builtin (atelier.toml:11): expected a name of",
        "providers.builtin.makes (atelier.toml:14): expected a list of",
        "providers.clip.kind (atelier.toml:15): expected one of \"exec\", \"openai\", \"comfyui\", \"sdapi\", \"task\", \"voice\", \"scripted\"",
        "providers.film.kind (atelier.toml:18): expected one of \"exec\", \"openai\", \"comfyui\", \"sdapi\", \"task\", \"voice\", \"scripted\", found \"film\"",
        "providers.empty.kind (atelier.toml:21): expected one of",
    ];
    for expected in expected {
        assert!(
            told.iter().any(|told| told.starts_with(expected)),
            "missing: {expected}\nin: {told:#?}"
        );
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn arguments_are_texts_or_groups_of_texts() {
    for args in ["3", "[3]", "[[]]", "[[\"a\", 4]]", "[\"{{ seed\"]"] {
        let told = problems(&format!(
            "[providers.studio]\nkind = \"exec\"\ncommand = \"x\"\nmakes = [\"image\"]\nargs = {args}\n"
        ));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(
            told[0].starts_with("providers.studio.args (atelier.toml:5): expected "),
            "{told:?}"
        );
    }
}

#[test]
fn a_section_with_a_slip_in_its_name_is_told() {
    assert_eq!(
        problems("[provider.studio]\ncommand = \"x\"\n"),
        ["provider (atelier.toml:1): there is no such setting; did you mean providers?"]
    );
}
