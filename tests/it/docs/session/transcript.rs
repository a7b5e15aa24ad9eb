//! The commands in the console blocks of a document, with the output that it shows for them.

use crate::docs::pages::Page;

/// One command of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Number of its first line in the document.
    pub line: usize,
    /// As it stands there.
    pub text: String,
    /// Those of its first part: up to a pipe or a comment.
    pub words: Vec<String>,
    /// The lines below it up to the next command; empty when the document shows none.
    pub output: String,
}

impl Shown {
    /// Whether the command begins with these words.
    pub(super) fn starts_with(&self, beginning: &str) -> bool {
        let mut words = self.words.iter();
        beginning
            .split(' ')
            .all(|word| words.next().is_some_and(|own| own == word))
    }
}

/// A console block, in which one command may need what another has made.
#[derive(Debug)]
pub(super) struct Session {
    pub commands: Vec<Shown>,
}

impl Session {
    pub(super) fn shows_output(&self) -> bool {
        self.commands
            .iter()
            .any(|command| !command.output.is_empty())
    }
}

/// All ```` ```console ```` blocks, in order; they may be parts of a list.
pub(super) fn sessions(page: &Page) -> Vec<Session> {
    let mut sessions = Vec::new();
    let mut lines = page.text.lines().zip(1..);
    while let Some((fence, _)) = lines
        .by_ref()
        .find(|(line, _)| line.trim_start() == "```console")
    {
        let indent = fence.len() - fence.trim_start().len();
        let block = lines
            .by_ref()
            .take_while(|(line, _)| line.trim_start() != "```")
            .map(|(line, number)| (number, line.get(indent..).unwrap_or_default()));
        let commands = commands(&block.collect::<Vec<_>>());
        sessions.push(Session { commands });
    }
    sessions
}

fn commands(block: &[(usize, &str)]) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    let mut lines = block.iter();
    while let Some((number, line)) = lines.next() {
        let Some(start) = line.strip_prefix("$ ") else {
            if let Some(command) = commands.last_mut() {
                command.output.push_str(line);
                command.output.push('\n');
            }
            continue;
        };
        let mut text = start.to_owned();
        let words = loop {
            if let Some(words) = words(&text) {
                break words;
            }
            let (_, more) = lines.next().expect("the command has no end");
            text.push('\n');
            text.push_str(more);
        };
        commands.push(Shown {
            line: *number,
            text,
            words,
            output: String::new(),
        });
    }
    commands
}

/// The words of a command as a shell splits them, up to a pipe or a comment; `None` when it goes on in the next line.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        let word = words.last_mut()?;
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.push(letter),
            (None, '|' | '#') if word.is_empty() => break,
            (None, '\'' | '"') => quote = Some(letter),
            (None, '\\') => match letters.next() {
                Some('\n') => {}
                escaped => word.push(escaped?),
            },
            (None, letter) if letter.is_whitespace() => words.push(String::new()),
            (None, letter) => word.push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    quote.is_none().then_some(words)
}

#[test]
fn commands_are_read_with_their_lines_words_and_outputs() {
    let text = "text\n```console\n$ other 1 | more # x\nx\n$ curl -d '{\n  \"a\": 1\n}' \\\n    there\n{}\n...\n```\n\
                - a\n\n  ```console\n  $ curl b\n  ```\n";
    let page = Page {
        path: "a.md".into(),
        text: text.to_owned(),
    };
    let sessions = sessions(&page);
    let [other, call] = &sessions[0].commands[..] else {
        panic!("{sessions:#?}");
    };
    assert_eq!((other.line, call.line), (3, 5));
    assert_eq!(other.words, ["other", "1"]);
    assert!(other.starts_with("other 1") && !other.starts_with("other 1 2"));
    assert_eq!(call.words, ["curl", "-d", "{\n  \"a\": 1\n}", "there"]);
    assert_eq!(call.output, "{}\n...\n");
    assert_eq!(sessions[1].commands[0].text, "curl b");
    assert!(sessions[0].shows_output() && !sessions[1].shows_output());
}
