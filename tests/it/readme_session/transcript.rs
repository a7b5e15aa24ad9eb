//! The commands in the console blocks of a document, with the output that it shows for them.

/// One command of a document.
#[derive(Debug, PartialEq, Eq)]
pub struct Shown {
    /// Number of its first line in the document.
    pub line: usize,
    pub words: Vec<String>,
    /// The lines below it up to the next command; empty when the document shows none.
    pub output: String,
}

/// All commands of `program` in ```` ```console ```` blocks, in order.
pub fn transcript(document: &str, program: &str) -> Vec<Shown> {
    let mut commands = Vec::new();
    let mut lines = document.lines().enumerate().peekable();
    while let Some((_, line)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let mut block = Vec::new();
        for (number, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
            block.push((number + 1, line));
        }
        commands.extend(of_block(&block));
    }
    commands.retain(|command| command.words[0] == program);
    commands
}

fn of_block(block: &[(usize, &str)]) -> Vec<Shown> {
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
            words,
            output: String::new(),
        });
    }
    commands
}

/// The words of a command as a shell splits them; `None` when it goes on in the next line.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut letters = command.chars().peekable();
    while let Some(letter) = letters.next() {
        let word = words.last_mut()?;
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.push(letter),
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
    let document = "text\n```console\n$ other 1\nx\n$ curl -d '{\n  \"a\": 1\n}' \\\n    there\n{}\n...\n$ curl b\n```\n";
    let shown = transcript(document, "curl");
    assert_eq!(shown.len(), 2);
    assert_eq!((shown[0].line, shown[1].line), (5, 11));
    assert_eq!(shown[0].words, ["curl", "-d", "{\n  \"a\": 1\n}", "there"]);
    assert_eq!(shown[0].output, "{}\n...\n");
    assert_eq!(
        (&shown[1].words[1], shown[1].output.as_str()),
        (&"b".to_owned(), "")
    );
}
