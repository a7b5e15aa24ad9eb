//! What the documents say of the program is what the program says of itself.

use atelier::config::{Config, Inputs};

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
fn the_example_configuration_holds() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/atelier.example.toml");
    let inputs = Inputs {
        file: Some(file.into()),
        ..Inputs::default()
    };
    assert!(Config::load(&inputs).is_ok());
}
