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

const STUDIO: &str = r#"
[exec.studio]
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
    let studio = &loaded.config.exec.commands["studio"];
    assert_eq!(studio.program, "studio");
    assert_eq!(
        studio.arguments[2],
        Argument::Optional(vec!["--seed".into(), "{{ seed }}".into()])
    );
    assert_eq!(studio.timeout, Duration::from_secs(90));
    let shown = loaded.to_toml();
    assert!(shown.contains("[exec.studio] # atelier.toml:2"), "{shown}");
    let again = load(&shown).unwrap();
    for (name, command) in &loaded.config.exec.commands {
        assert_eq!(&again.config.exec.commands[name], command);
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let loaded = load("[exec.studio]\ncommand = \"x\"\nmakes = [\"audio\"]").unwrap();
    let studio = &loaded.config.exec.commands["studio"];
    assert_eq!((studio.prompt, studio.repeatable), (PromptBy::Stdin, true));
    assert_eq!((studio.memory, studio.output_bytes), (2 << 30, 256 << 20));
    for (key, default, _) in KEYS
        .iter()
        .filter(|(_, default, _)| default.starts_with('`'))
    {
        let line = format!("{key} = {}\n", default.trim_matches('`'));
        let table = write("studio", studio, None);
        assert!(table.contains(&line), "{line} is not in {table}");
    }
}

#[test]
fn the_voice_is_there_without_any_table_and_a_table_replaces_it() {
    let loaded = load("").unwrap();
    assert_eq!(loaded.config.exec.commands["voice"].program, "espeak-ng");
    assert!(loaded.command_sources.is_empty());
    let replaced = load("[exec.voice]\ncommand = \"say\"\nmakes = [\"audio\"]").unwrap();
    let voice = &replaced.config.exec.commands["voice"];
    assert_eq!((voice.program.as_str(), voice.arguments.len()), ("say", 0));
}

#[test]
fn every_template_of_the_voice_is_fit_for_use() {
    for argument in &voice().arguments {
        for template in templates(argument) {
            assert_eq!(command::check(template), Ok(()));
        }
    }
}

#[test]
fn every_problem_of_a_table_is_told_with_its_key_and_line() {
    let told = problems(
        "[exec]\nvoice = 1\n[exec.Studio]\ncomand = \"x\"\nargs = [\"{{ promt }}\", \"{{ seed\", 3, [\"a\", 4]]\n\
         makes = [\"pictures\"]\nprompt = \"pipe\"\ntimeout = \"0s\"\nmemory = \"1KiB\"\n[exec.builtin]\ncommand = \"x\"\n\
         makes = []\n",
    );
    for expected in [
        "exec.voice (atelier.toml:2): expected a table [exec.NAME]",
        "exec.Studio (atelier.toml:3): expected a name of 1 to 64 characters",
        "exec.Studio.command (atelier.toml:3): expected the program to run",
        "exec.Studio.comand (atelier.toml:4): there is no such setting; did you mean exec.Studio.command?",
        "exec.Studio.args[0] (atelier.toml:5): expected a template; \"{{ promt }}\" names promt; there is aspect_ratio",
        "exec.Studio.args[1] (atelier.toml:5): expected a template; \"{{ seed\" cannot be rendered",
        "exec.Studio.args[2] (atelier.toml:5): expected a list whose items are texts",
        "exec.Studio.args[3] (atelier.toml:5): expected a list whose items are texts",
        "exec.Studio.makes (atelier.toml:6): expected a list of \"image\", \"video\" and \"audio\"",
        "exec.Studio.prompt (atelier.toml:7): expected one of \"stdin\", \"file\", \"none\", found \"pipe\"",
        "exec.Studio.timeout (atelier.toml:8): expected a duration",
        "exec.Studio.memory (atelier.toml:9): expected a value from \"8MiB\" to",
        "exec.builtin (atelier.toml:10): expected a name of",
        "exec.builtin.makes (atelier.toml:12): expected a list of",
    ] {
        assert!(
            told.iter().any(|told| told.starts_with(expected)),
            "missing: {expected}\nin: {told:#?}"
        );
    }
    assert_eq!(told.len(), 14, "{told:#?}");
}

#[test]
fn a_section_with_a_slip_in_its_name_is_told() {
    assert_eq!(
        problems("[exce.studio]\ncommand = \"x\"\n"),
        ["exce (atelier.toml:1): there is no such setting; did you mean exec?"]
    );
}
