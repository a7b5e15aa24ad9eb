//! What the documents say of the program is what the program says of itself.

use atelier::config::{COMMAND_KEYS, Config, Inputs};

#[test]
fn the_readme_lists_every_setting_as_it_is() {
    assert!(include_str!("../../README.md").contains(Config::reference().trim()));
}

#[test]
fn the_readme_shows_the_first_steps_of_a_page_as_the_compiler_checks_them() {
    let code = include_str!("../../examples/web/src/first_steps.ts").trim();
    assert!(include_str!("../../README.md").contains(&format!("```ts\n{code}\n```")));
}

#[test]
fn the_page_on_commands_lists_every_key_as_it_is() {
    let page = include_str!("../../docs/exec.md");
    for (key, default, meaning) in COMMAND_KEYS {
        let row = format!("| `{key}` | {default} | {meaning} |");
        assert!(page.contains(&row), "missing: {row}");
    }
}

#[test]
fn the_page_on_commands_shows_the_voice_as_it_is() {
    let page = include_str!("../../docs/exec.md");
    let table = page.split("```toml\n[exec.voice]").nth(1).unwrap();
    let table = format!("[exec.voice]{}", table.split("```").next().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("atelier.toml");
    std::fs::write(&file, table).unwrap();
    let inputs = Inputs {
        file: Some(file),
        ..Inputs::default()
    };
    let shown = Config::load(&inputs).unwrap().config.exec.commands;
    assert_eq!(shown["voice"], Config::default().exec.commands["voice"]);
}

#[test]
fn the_example_configuration_holds() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/atelier.example.toml");
    let inputs = Inputs {
        file: Some(file.into()),
        ..Inputs::default()
    };
    assert!(Config::load(&inputs).is_ok());
}
