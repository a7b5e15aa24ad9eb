//! Renders a template's prompt: strictly, within bounds of work and output.

use std::collections::BTreeSet;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, value::Serde};

use super::JsonMap;

/// Always there beside the template's variables.
pub(super) const USER_PROMPT: &str = "user_prompt";
/// Longest rendered prompt, in characters: room for the longest user prompt and the longest template.
const MAX_RENDERED_CHARS: usize = 200_000;
/// Bound on instructions and on memory (about 64 bytes each): a prompt needs a few hundred.
const FUEL: u64 = 50_000;

/// Where templates are rendered: strictly, and within bounds of work.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// The variables that a prompt names, or why it is not well formed.
pub(super) fn variables(source: &str) -> Result<BTreeSet<String>, String> {
    let environment = environment();
    let template = environment
        .template_from_str(source)
        .map_err(|error| sentence(&error))?;
    Ok(template.undeclared_variables(false).into_iter().collect())
}

/// The prompt with its variables filled in, trimmed; or why it cannot be made.
pub(super) fn render(
    source: &str,
    variables: &JsonMap,
    user_prompt: &str,
) -> Result<String, String> {
    let environment = environment();
    let template = environment
        .template_from_str(source)
        .map_err(|error| sentence(&error))?;
    let mut context: JsonMap = variables.clone();
    context.insert(USER_PROMPT.to_owned(), user_prompt.into());
    let rendered = template
        .render(Value::from(Serde(&context)))
        .map_err(|error| sentence(&error))?;
    let rendered = rendered.trim();
    let chars = rendered.chars().count();
    if chars > MAX_RENDERED_CHARS {
        return Err(format!(
            "gives a prompt of {chars} characters; at most {MAX_RENDERED_CHARS} are allowed"
        ));
    }
    Ok(rendered.to_owned())
}

/// What is wrong with a template, for the person who wrote it.
pub(super) fn sentence(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "takes too much work to render".to_owned();
    }
    let detail = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("cannot be rendered: {detail} (line {line})"),
        None => format!("cannot be rendered: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &serde_json::Value) -> JsonMap {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn variables_and_the_user_s_prompt_are_filled_in() {
        let source = "{{ user_prompt }}{% if brand %} — {{ brand }}{% endif %}";
        assert_eq!(
            render(source, &map(&json!({ "brand": "Phở <24>" })), "Xin chào"),
            Ok("Xin chào — Phở <24>".to_owned())
        );
        assert_eq!(
            render(source, &map(&json!({ "brand": "" })), "Xin chào"),
            Ok("Xin chào".to_owned())
        );
    }

    #[test]
    fn a_missing_variable_is_an_error() {
        let error = render("{{ place }}", &JsonMap::new(), "x");
        assert!(error.is_err(), "{error:?}");
        assert_eq!(
            variables("{{ place }} {{ user_prompt }}"),
            Ok(["place", "user_prompt"].map(str::to_owned).into())
        );
    }

    #[test]
    fn a_broken_template_says_where() {
        let error = variables("a\n{{ oops").err().unwrap_or_default();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn endless_work_and_endless_output_are_stopped() {
        for source in [
            "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
            "{{ 'x' * 1000000000 }}",
            "{% for a in range(9999) %}{% for b in range(9) %}{{ user_prompt }}{% endfor %}{% endfor %}",
            &format!(
                "{{% set x = user_prompt %}}{}{{{{ x }}}}",
                "{% set x = x ~ x %}".repeat(60)
            ),
            "{{ user_prompt | indent(1000000000, true) }}",
            "{{ user_prompt | batch(1000000000, 'x') }}",
        ] {
            assert!(
                render(source, &JsonMap::new(), "0123456789").is_err(),
                "{source}"
            );
        }
    }
}
