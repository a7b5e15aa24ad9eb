//! The documents of the repository, all of them.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with pages; each example and each client's language has one of its own.
const FOLDERS: [&str; 5] = [".", "docs", "docs/*", "examples", "examples/*"];

pub(super) struct Page {
    /// Within the repository, such as `docs/api.md`.
    pub path: PathBuf,
    pub text: String,
}

impl Page {
    /// Such as `docs/api.md:7`.
    pub(super) fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The code of all blocks in this language, with the number of each one's first line.
    pub(super) fn blocks(&self, language: &str) -> Vec<(usize, String)> {
        let fence = format!("```{language}");
        let mut lines = self.text.lines().zip(1..);
        let mut blocks = Vec::new();
        while let Some((_, number)) = lines.by_ref().find(|(line, _)| *line == fence) {
            let block = lines.by_ref().map(|(line, _)| line);
            let block: Vec<_> = block.take_while(|line| *line != "```").collect();
            blocks.push((number + 1, block.join("\n")));
        }
        blocks
    }

    /// What links may name: the headings as GitHub writes them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter_map(|line| line.strip_prefix('#'));
        headings
            .map(|heading| slug(heading.trim_start_matches('#').trim()))
            .collect()
    }

    /// The lines outside of code.
    pub(super) fn prose(&self) -> impl Iterator<Item = &str> {
        let mut in_code = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            in_code ^= is_fence;
            !in_code && !is_fence
        })
    }
}

pub(super) fn pages() -> Vec<Page> {
    let mut paths: Vec<_> = FOLDERS.into_iter().flat_map(files_of).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let read = |path: PathBuf| Page {
        text: fs::read_to_string(root().join(&path)).unwrap(),
        path,
    };
    paths.into_iter().map(read).collect()
}

pub(super) fn page(path: &str) -> Page {
    let found = pages()
        .into_iter()
        .find(|page| page.path == Path::new(path));
    found.unwrap_or_else(|| panic!("there is no {path}"))
}

/// What stands in a folder, or with `/*` in each of its folders.
fn files_of(folder: &str) -> Vec<PathBuf> {
    let Some(parent) = folder.strip_suffix("/*") else {
        return entries(Path::new(folder.trim_start_matches('.')));
    };
    let mut folders = entries(Path::new(parent));
    folders.retain(|path| root().join(path).is_dir());
    folders.iter().flat_map(|folder| entries(folder)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(root().join(folder)).unwrap();
    listed
        .map(|entry| folder.join(entry.unwrap().file_name()))
        .collect()
}

fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn anchors_are_those_of_the_headings_outside_of_code() {
    let page = Page {
        path: "a.md".into(),
        text:
            "# One: `two`, three\n```sh\n# none\n```\n### What a run gets, and what it may not do\n"
                .to_owned(),
    };
    assert_eq!(
        page.anchors(),
        ["one-two-three", "what-a-run-gets-and-what-it-may-not-do"]
    );
    assert_eq!(page.blocks("sh"), [(3, "# none".to_owned())]);
}
