//! The paths that a Rust file names, as far as the order of layers needs them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The code of one file in words and signs, without comments, literals and the unit tests at its end.
pub struct Source {
    file: String,
    tokens: Vec<String>,
}

impl Source {
    pub fn read(root: &Path, file: &Path) -> Self {
        let code = fs::read_to_string(file).unwrap();
        let code = code.split("#[cfg(test)]\nmod ").next().unwrap();
        let file = file.strip_prefix(root).unwrap();
        Self {
            file: file.to_str().unwrap().to_owned(),
            tokens: tokens(code),
        }
    }

    /// The path of the file in `src`.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every path from the root of the crate, `use` trees written out, whether it begins with `crate` or climbs there.
    pub fn paths_in_crate(&self) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for start in 0..self.tokens.len() {
            if start > 0 && self.tokens[start - 1] == "::" {
                continue;
            }
            if let Some(below) = self.below_root(start) {
                self.expand(below, &mut Vec::new(), &mut paths);
            }
        }
        paths
    }

    /// What the file takes of a module that it has imported by this name.
    pub fn paths_below(&self, module: &str) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for start in 0..self.tokens.len() {
            let first = start == 0 || self.tokens[start - 1] != "::";
            if first && self.is(start, module) && self.is(start + 1, "::") {
                self.expand(start + 2, &mut Vec::new(), &mut paths);
            }
        }
        paths
    }

    /// The first names of all paths: crates, and modules, types and variables of the file's own.
    pub fn path_roots(&self) -> BTreeSet<&str> {
        let tokens = self.tokens.iter().map(String::as_str);
        let tokens: Vec<&str> = tokens.collect();
        let mut roots = BTreeSet::new();
        for (index, token) in tokens.iter().enumerate() {
            let before = index.checked_sub(1).map_or("", |before| tokens[before]);
            let after = tokens.get(index + 1).copied().unwrap_or("");
            if before != "::" && (after == "::" || before == "use") {
                roots.insert(*token);
            }
        }
        roots
    }

    /// Where the path that starts here goes on below the root of the crate, if it does.
    fn below_root(&self, start: usize) -> Option<usize> {
        if self.is(start, "crate") && self.is(start + 1, "::") {
            return Some(start + 2);
        }
        let mut climbed = 0;
        let mut next = start;
        while self.is(next, "super") && self.is(next + 1, "::") {
            climbed += 1;
            next += 2;
        }
        (climbed > 0 && climbed >= self.depth()).then_some(next)
    }

    /// How many steps above the file's module the root of the crate is.
    fn depth(&self) -> usize {
        let parts = self.file.split('/').count();
        if self.file.ends_with("/mod.rs") {
            parts - 1
        } else {
            parts
        }
    }

    /// Writes the tree at `position` out into `paths` and returns the position behind it.
    fn expand(
        &self,
        mut position: usize,
        prefix: &mut Vec<String>,
        paths: &mut Vec<Vec<String>>,
    ) -> usize {
        let depth = prefix.len();
        while self
            .tokens
            .get(position)
            .is_some_and(|token| is_name(token))
        {
            prefix.push(self.tokens[position].clone());
            position += 1;
            if !self.is(position, "::") {
                break;
            }
            position += 1;
        }
        if self.is(position, "{") && (depth == prefix.len() || self.is(position - 1, "::")) {
            position += 1;
            while position < self.tokens.len() && !self.is(position, "}") {
                let next = self.expand(position, prefix, paths);
                position = match () {
                    () if self.is(next, "as") => next + 2,
                    // A comma, or a star that stands for itself.
                    () if next == position => next + 1,
                    () => next,
                };
            }
            position += 1;
        } else if prefix.len() > depth {
            paths.push(prefix.clone());
        }
        prefix.truncate(depth);
        position
    }

    fn is(&self, position: usize, token: &str) -> bool {
        self.tokens
            .get(position)
            .is_some_and(|found| found == token)
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, `::` and single signs.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => text_length(rest),
            'r' if raw_text_length(rest).is_some() => raw_text_length(rest).unwrap(),
            '\'' => character_length(rest),
            c if c.is_alphanumeric() || c == '_' => rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            c => c.len_utf8(),
        };
        let token = &rest[..length];
        if is_name(token) && !token.contains(['"', '#']) || token == "::" || "{},;*".contains(token)
        {
            tokens.push(token.to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// Length of the literal with its quotes.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a literal such as `r"a"` or `r#"a"#`; `None` if none starts here.
fn raw_text_length(rest: &str) -> Option<usize> {
    let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
    let content = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end)?;
    Some(1 + hashes + 1 + length + end.len())
}

/// Length of a character literal, or 1 for the sign of a lifetime.
fn character_length(rest: &str) -> usize {
    let mut inner = rest.char_indices().skip(1);
    match inner.next() {
        Some((_, '\\')) => rest[2..].find('\'').map_or(1, |end| {
            // The escaped character may itself be a quote.
            if end == 0 { 4 } else { end + 3 }
        }),
        Some(_) => match inner.next() {
            Some((index, '\'')) => index + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[test]
fn paths_are_written_out_and_comments_and_texts_are_passed_over() {
    let source = Source {
        file: "app/watch.rs".to_owned(),
        tokens: tokens(
            "// crate::comment\nuse crate::{a::{self, b as c, d::*}, e};\nfn f() { super::super::g::h(\"crate::text\", '\"', crate::i) }
             const T: &str = r#\"crate::raw\"#; use super::sibling; let x: &'static crate::j::K = 1;",
        ),
    };
    let paths: Vec<String> = source
        .paths_in_crate()
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(paths, ["a::self", "a::b", "a::d", "e", "g::h", "i", "j::K"]);
}
