//! The command line as it is read: what of that which begins with `-` is a flag, and what is somebody's text.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory, Parser};

use super::{CommandLine, output};

/// The command whose arguments are texts.
const GENERATE: &str = "generate";
/// The option of it that takes any.
const TEXT_OPTION: &str = "negative-prompt";
/// Stands before a text, so that it does not begin with `-`; nobody sees it where a message repeats the text.
const MARK: char = '\u{2060}';

/// Reads the command line that the process was started with.
///
/// # Errors
/// How the process ends, if that is all there is to do.
pub(super) fn read() -> Result<CommandLine, ExitCode> {
    parse(std::env::args_os().collect()).map_err(|error| end(&error))
}

/// A text that was given, which [`read`] may have marked.
pub(super) fn text(given: &str) -> Result<String, String> {
    Ok(given.strip_prefix(MARK).unwrap_or(given).to_owned())
}

fn parse(given: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    let marked = marked(&given);
    CommandLine::try_parse_from(marked).map_err(|error| with_hint(error, &given))
}

/// Shows help, the version, or what is wrong.
fn end(error: &clap::Error) -> ExitCode {
    let shown = error.print().and_then(|()| io::stdout().flush());
    if error.use_stderr() {
        return u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from);
    }
    match output::printed(shown) {
        Ok(()) => ExitCode::SUCCESS,
        Err(unprinted) => {
            output::complain(&mut io::stderr(), &unprinted);
            ExitCode::FAILURE
        }
    }
}

/// The arguments with a mark before each text that begins with `-`. Behind `--` all are taken as they are.
fn marked(given: &[OsString]) -> Vec<OsString> {
    let mut marked = given.to_vec();
    let Some(begin) = given.iter().position(|it| it == GENERATE) else {
        return marked;
    };
    let command = built();
    let Some(generate) = command.find_subcommand(GENERATE) else {
        return marked;
    };
    for (at, pair) in given.windows(2).enumerate().skip(begin) {
        let (Some(before), Some(text)) = (pair[0].to_str(), pair[1].to_str()) else {
            continue;
        };
        if text == "--" {
            break;
        }
        let is_text = match option(generate, before) {
            Some(option) if option.get_long() == Some(TEXT_OPTION) => !is_flag(generate, text),
            Some(_) => false,
            None => !looks_like_flag(text),
        };
        if text.starts_with('-') && is_text {
            marked[at + 1] = format!("{MARK}{text}").into();
        }
    }
    marked
}

fn built() -> Command {
    let mut command = CommandLine::command();
    command.build();
    command
}

/// The option whose value comes next.
fn option<'a>(command: &'a Command, given: &str) -> Option<&'a Arg> {
    let is_named = |arg: &&Arg| match given.strip_prefix("--") {
        Some(name) => arg.get_long() == Some(name),
        None => is_short(arg, given),
    };
    let named = command.get_arguments().find(is_named);
    named.filter(|arg| arg.get_action().takes_values())
}

fn is_short(arg: &Arg, given: &str) -> bool {
    let short = arg.get_short().map(|short| format!("-{short}"));
    short.as_deref() == Some(given)
}

/// `-x` may be a value, `-n` is none.
fn is_flag(command: &Command, given: &str) -> bool {
    match given.starts_with("--") {
        true => looks_like_flag(given),
        false => command.get_arguments().any(|arg| is_short(arg, given)),
    }
}

/// Flags begin with a letter, and there are no blanks in them.
fn looks_like_flag(given: &str) -> bool {
    let name = given.split('=').next().unwrap_or_default();
    let letters = name.trim_start_matches('-');
    let is_named = letters.is_empty() || letters.starts_with(|it: char| it.is_ascii_alphabetic());
    is_named && !name.contains(char::is_whitespace)
}

/// The error, with how a text is given where one may have been meant.
fn with_hint(mut error: clap::Error, given: &[OsString]) -> clap::Error {
    let text_of = |kind, error: &clap::Error| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let about = text_of(ContextKind::InvalidArg, &error);
    let hint = match error.kind() {
        ErrorKind::UnknownArgument => {
            // The library names the letter that it stumbled over.
            let letter = about.strip_prefix('-').filter(|it| !it.starts_with('-'));
            let is_meant = |it: &&str| it.starts_with('-') && !it.starts_with("--");
            let words = given.iter().filter_map(|it| it.to_str()).filter(is_meant);
            let word = letter.and_then(|letter| words.clone().find(|it| it.contains(letter)));
            let Some(word) = word else {
                return error;
            };
            let word = word.to_owned();
            error.insert(ContextKind::InvalidArg, ContextValue::String(word.clone()));
            match option_before(&word, given) {
                Some(option) => {
                    format!("if '{word}' is the value of '{option}', write '{option}={word}'")
                }
                None => {
                    format!("if '{word}' is a text, write it at the end behind '--': -- '{word}'")
                }
            }
        }
        ErrorKind::InvalidValue
            if about.contains(TEXT_OPTION)
                && text_of(ContextKind::InvalidValue, &error).is_empty() =>
        {
            format!("a text that looks like a flag is given as '--{TEXT_OPTION}=--text'")
        }
        _ => return error,
    };
    let hint = ContextValue::StyledStrs(vec![StyledStr::from(hint)]);
    error.insert(ContextKind::Suggested, hint);
    error
}

/// The option before a word, as it was given, if it is one that takes a value.
fn option_before<'a>(word: &str, given: &'a [OsString]) -> Option<&'a str> {
    let at = given.iter().position(|it| it == word)?;
    let before = given.get(at.checked_sub(1)?)?.to_str()?;
    let root = built();
    let words = given.iter().skip(1).filter_map(|it| it.to_str());
    let asked = words.fold(&root, |command, word| {
        command.find_subcommand(word).unwrap_or(command)
    });
    option(asked, before).map(|_| before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command as Asked;

    fn generate(given: &[&str]) -> Result<crate::cli::generate::GenerateArguments, String> {
        let given = [&["atelier", "generate"], given].concat();
        let line = parse(given.into_iter().map(OsString::from).collect());
        match line.map_err(|error| error.to_string())?.command {
            Asked::Generate(arguments) => Ok(arguments),
            _ => panic!("it is another command"),
        }
    }

    #[test]
    fn a_text_that_begins_with_a_dash_is_a_text() {
        for prompt in [
            "-50% today",
            "- a dash",
            "-5",
            "--50% off--",
            "-sale today",
            "-giá = 5",
            "-50%=half",
        ] {
            let read = generate(&["-n4", "--json", prompt, "--seed", "7"]).unwrap();
            assert_eq!(read.prompt, prompt);
            assert_eq!(
                (read.variations, read.seed, read.json),
                (Some(4), Some(7), true)
            );
        }
        assert_eq!(generate(&["--", "--sale"]).unwrap().prompt, "--sale");
        assert_eq!(generate(&["--", "-5 x"]).unwrap().prompt, "-5 x");
        assert_eq!(generate(&["-"]).unwrap().prompt, "-");
    }

    #[test]
    fn a_value_that_begins_with_a_dash_is_a_value() {
        for (given, expected) in [
            (&["--negative-prompt", "-x"][..], "-x"),
            (&["--negative-prompt", "-50% x"], "-50% x"),
            (&["--negative-prompt", "- x"], "- x"),
            (&["--negative-prompt=--json"], "--json"),
            (&["--negative-prompt=-n"], "-n"),
        ] {
            let read = generate(&[&["cat"], given].concat()).unwrap();
            assert_eq!(read.negative_prompt.as_deref(), Some(expected));
            assert!(!read.json && read.prompt == "cat");
        }
        generate(&["cat", "--var", "k=-1", "--var", "n=- x"]).unwrap();
    }

    #[test]
    fn a_flag_in_the_place_of_a_text_is_no_text_and_the_hint_is_right() {
        for flag in ["--json", "-n", "--seed=7"] {
            let error = generate(&["cat", "--negative-prompt", flag]).unwrap_err();
            assert!(
                error.contains("a value is required for '--negative-prompt <TEXT>'"),
                "{error}"
            );
            assert!(error.contains("'--negative-prompt=--text'"), "{error}");
        }
        for misspelt in [
            &["--sed", "7", "cat"][..],
            &["cat", "--negative-prompt", "--sed"],
        ] {
            let error = generate(misspelt).unwrap_err();
            assert!(
                error.contains("unexpected argument '--sed'") && error.contains("'--seed'"),
                "{error}"
            );
        }
        let error = generate(&["-sale"]).unwrap_err();
        assert!(error.contains("unexpected argument '-sale'"), "{error}");
        assert!(error.contains("-- '-sale'"), "{error}");
        let error = generate(&["--json", "-sale"]).unwrap_err();
        assert!(error.contains("-- '-sale'"), "{error}");
    }

    #[test]
    fn a_value_that_looks_like_a_flag_is_told_how_it_is_given() {
        for (option, value) in [
            ("--out", "-d"),
            ("--seed", "-5"),
            ("-n", "-2"),
            ("--picture", "-a.png"),
            ("--set", "-a"),
        ] {
            let error = generate(&["cat", option, value]).unwrap_err();
            let hint = format!("if '{value}' is the value of '{option}', write '{option}={value}'");
            assert!(error.contains(&hint), "{error}");
        }
        let given = ["atelier", "catalogue", "apply", "--provider", "-x"];
        let read = parse(given.into_iter().map(OsString::from).collect());
        let error = read.map(drop).unwrap_err().to_string();
        assert!(error.contains("write '--provider=-x'"), "{error}");
        let read = generate(&["cat", "--out=-d", "--picture=-a.png"]).unwrap();
        assert_eq!(read.prompt, "cat");
    }

    #[test]
    fn a_value_of_another_option_is_left_as_it_is() {
        let error = generate(&["cat", "--out", "-5 x"]).unwrap_err();
        assert!(!error.contains(MARK), "{error}");
    }
}
