//! A command that makes media: what it is called with, and what it may use.

use minijinja::{Environment, UndefinedBehavior, Value, value::Serde};

use super::{JobInput, JsonMap, prompt};

/// What an argument's template may name.
pub const NAMES: [&str; 19] = [
    "aspect_ratio",
    "attempt",
    "cfg_scale",
    "duration_seconds",
    "extra",
    "format",
    "frame_rate",
    "height",
    "job_id",
    "negative_prompt",
    "output",
    "prompt",
    "prompt_file",
    "seed",
    "style",
    "system_prompt",
    "user_prompt",
    "variables",
    "width",
];

/// Longest argument in bytes; Linux takes no more than 128 KiB.
const MAX_ARGUMENT_BYTES: usize = 128 * 1024 - 1;

/// Templates of arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Gives exactly one argument, which may be empty.
    One(String),
    /// Gives one argument for each, or none at all if one of them is empty.
    Optional(Vec<String>),
}

impl Argument {
    /// Its templates, at least one.
    pub fn templates(&self) -> &[String] {
        match self {
            Self::One(template) => std::slice::from_ref(template),
            Self::Optional(templates) => templates,
        }
    }
}

/// How the command gets the prompt, besides its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptBy {
    /// On standard input.
    Stdin,
    /// A file whose path is `prompt_file`.
    File,
    /// Only through its arguments.
    None,
}

/// How the command tells its progress on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressBy {
    /// `progress 0.42 drawing` or `progress 42% drawing`; other lines are passed over.
    Lines,
    /// As `ffmpeg -progress pipe:1` does: `out_time_us=4200000`, against the duration asked for.
    Ffmpeg,
    /// Not at all; what it prints is passed over.
    None,
}

/// Where a run of a command takes place.
pub struct Run<'a> {
    /// Of the job that it runs.
    pub job_id: i64,
    /// From 1.
    pub attempt: u32,
    /// Where all other values come from that an argument may name.
    pub input: &'a JobInput,
    /// Path of the folder for what is made.
    pub output: &'a str,
    /// Path of the file that holds the prompt, if there is one.
    pub prompt_file: Option<&'a str>,
}

/// The arguments of one run; or why they cannot be made.
pub fn render(templates: &[Argument], run: &Run<'_>) -> Result<Vec<String>, String> {
    let environment = environment();
    let context = context(run)?;
    let mut arguments = Vec::new();
    for (index, argument) in templates.iter().enumerate() {
        // Without its template, which may hold what is the operator's own.
        let render = |environment: &_, template: &_, context: &_| {
            render_one(environment, template, context)
                .map_err(|problem| format!("args[{index}] of the command {problem}"))
        };
        match argument {
            Argument::One(template) => {
                arguments.push(render(&environment, template, &context)?);
            }
            Argument::Optional(group) => {
                let rendered: Result<Vec<_>, _> = group
                    .iter()
                    .map(|template| render(&environment, template, &context))
                    .collect();
                let rendered = rendered?;
                if !rendered.iter().any(String::is_empty) {
                    arguments.extend(rendered);
                }
            }
        }
    }
    Ok(arguments)
}

/// Whether a command gets a field of a request.
pub fn reads(templates: &[Argument], prompt: PromptBy, input: &str) -> bool {
    if input == "user_prompt" {
        return prompt != PromptBy::None || name(templates, "prompt") || name(templates, input);
    }
    name(templates, input)
}

fn name(templates: &[Argument], input: &str) -> bool {
    let environment = environment();
    templates
        .iter()
        .flat_map(Argument::templates)
        .any(|template| {
            let parsed = environment.template_from_str(template);
            parsed.is_ok_and(|parsed| parsed.undeclared_variables(false).contains(input))
        })
}

/// Checks an argument's template: its syntax, and that all it names is there.
pub fn check(template: &str) -> Result<(), String> {
    let environment = environment();
    let parsed = environment
        .template_from_str(template)
        .map_err(|error| prompt::sentence(&error))?;
    let mut unknown: Vec<String> = parsed
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !NAMES.contains(&name.as_str()) && !is_function(&environment, name))
        .collect();
    unknown.sort_unstable();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "names {}; there is {}",
            unknown.join(", "),
            NAMES.join(", ")
        ))
    }
}

pub(super) fn is_function(environment: &Environment<'_>, name: &str) -> bool {
    environment.globals().any(|(global, _)| global == name)
}

/// What a job does not have is empty: no job has everything.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = prompt::environment();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment
}

fn render_one(
    environment: &Environment<'_>,
    template: &str,
    context: &JsonMap,
) -> Result<String, String> {
    let rendered = environment
        .render_str(template, Value::from(Serde(context)))
        .map_err(|error| prompt::sentence(&error))?;
    if rendered.contains('\0') {
        return Err("has a character U+0000".to_owned());
    }
    if rendered.len() > MAX_ARGUMENT_BYTES {
        return Err(format!(
            "has {} bytes; at most {MAX_ARGUMENT_BYTES} are allowed",
            rendered.len()
        ));
    }
    Ok(rendered)
}

/// Without what is not set, so that it renders as nothing.
fn context(run: &Run<'_>) -> Result<JsonMap, String> {
    let input = serde_json::to_value(run.input).map_err(|error| error.to_string())?;
    let serde_json::Value::Object(mut context) = input else {
        return Err("the job's input is no object".to_owned());
    };
    context.retain(|name, _| NAMES.contains(&name.as_str()));
    context.insert("attempt".to_owned(), run.attempt.into());
    context.insert("job_id".to_owned(), run.job_id.into());
    context.insert("output".to_owned(), run.output.into());
    if let Some(file) = run.prompt_file {
        context.insert("prompt_file".to_owned(), file.into());
    }
    Ok(context)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(templates: Vec<Argument>, changes: &serde_json::Value) -> Vec<String> {
        let mut input = json!({
            "provider": "studio", "prompt": "a 'b' \"c\"\n--d", "user_prompt": "", "seed": 7,
            "width": 640, "height": 360, "aspect_ratio": "16:9",
        });
        let changes = changes.as_object().unwrap().clone();
        input.as_object_mut().unwrap().extend(changes);
        let input: JobInput = serde_json::from_value(input).unwrap();
        let run = Run {
            job_id: 3,
            attempt: 2,
            input: &input,
            output: "/tmp/o",
            prompt_file: None,
        };
        render(&templates, &run).unwrap()
    }

    fn one(template: &str) -> Argument {
        Argument::One(template.to_owned())
    }

    fn optional(templates: &[&str]) -> Argument {
        let templates = templates.iter().map(|template| (*template).to_owned());
        Argument::Optional(templates.collect())
    }

    #[test]
    fn a_command_reads_the_fields_that_its_arguments_name_and_the_prompt_that_it_is_given() {
        let command = vec![
            one("{{ width }}x{{ seed + 1 }}"),
            optional(&["-n", "{{ negative_prompt | upper }}"]),
        ];
        let fields = [
            "seed",
            "negative_prompt",
            "cfg_scale",
            "user_media_urls",
            "user_prompt",
        ];
        let read = |prompt| fields.map(|field| reads(&command, prompt, field));
        assert_eq!(read(PromptBy::None), [true, true, false, false, false]);
        assert_eq!(read(PromptBy::Stdin), [true, true, false, false, true]);
    }

    #[test]
    fn each_item_gives_exactly_one_argument_whatever_stands_in_it() {
        let templates = vec![
            one("{{ prompt }}"),
            one("{{ negative_prompt }}"),
            one("{{ width }}x{{ height }}"),
            one("{{ output }}/{{ job_id }}-{{ attempt }}.{{ format or 'png' }}"),
        ];
        assert_eq!(
            arguments(templates, &json!({})),
            ["a 'b' \"c\"\n--d", "", "640x360", "/tmp/o/3-2.png"]
        );
    }

    #[test]
    fn a_group_with_an_empty_item_is_left_out() {
        let templates = || {
            vec![
                optional(&["-s", "{{ style.speed }}"]),
                optional(&["-f", "{{ style.deep.er }}"]),
                optional(&["-t", "{{ duration_seconds }}"]),
            ]
        };
        assert_eq!(arguments(templates(), &json!({})), [""; 0]);
        assert_eq!(
            arguments(
                templates(),
                &json!({ "style": { "speed": 160 }, "duration_seconds": 4 })
            ),
            ["-s", "160", "-t", "4"]
        );
    }

    #[test]
    fn a_template_is_checked_before_it_is_used() {
        assert_eq!(
            check("{{ style.voice or 'en' }} {{ range(2) | length }}"),
            Ok(())
        );
        assert!(check("{{ prompt").unwrap_err().contains("line 1"));
        let unknown = check("{{ voice }} {{ env }}").unwrap_err();
        assert!(unknown.starts_with("names env, voice; "), "{unknown}");
    }

    #[test]
    fn what_no_command_could_take_is_refused() {
        let environment = environment();
        for (template, context) in [
            ("{{ prompt }}", json!({ "prompt": "a\0b" })),
            ("{{ prompt }}", json!({ "prompt": "x".repeat(200_000) })),
            ("{{ 'x' * 1000000000 }}", json!({})),
        ] {
            let context = context.as_object().unwrap();
            assert!(
                render_one(&environment, template, context).is_err(),
                "{template}"
            );
        }
    }
}
