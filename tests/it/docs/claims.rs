//! What the documents say of the program is what the program says of itself, and what they point at is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use atelier::config::{Config, Inputs};

use crate::docs::pages::{Page, page, pages, root};
use crate::support::process::run;

/// Where comments may point at the documents.
const COMMENTED: [&str; 6] = ["src", "migration", "proto", "tests", "deploy", "examples"];

/// A plugin whose answer is empty; as protoc it tells a version.
const NO_PLUGIN: &str =
    "#!/bin/sh\n[ \"$1\" != --version ] || { echo libprotoc 33.1; exit; }\ncat >/dev/null\n";

/// Fewer would mean that they were not found.
const LEAST_POINTERS: usize = 10;

#[test]
fn the_page_on_configuration_lists_every_setting_as_it_is() {
    assert!(
        page("docs/configuration.md")
            .text
            .contains(Config::reference().trim())
    );
}

#[test]
fn the_page_on_browsers_shows_the_first_steps_of_a_web_page_as_the_compiler_checks_them() {
    let code = include_str!("../../../examples/web/src/first_steps.ts").trim();
    let shown = page("docs/clients/browser.md").blocks("ts");
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].1, code);
}

#[test]
fn the_page_on_node_shows_what_stands_in_the_examples() {
    let programs = ["generate.mjs", "generate_buf.mjs"]
        .map(|name| fs::read_to_string(root().join("examples/node").join(name)).unwrap());
    for (line, code) in page("docs/clients/node.md").blocks("js") {
        assert!(
            programs.iter().any(|program| program.contains(&code)),
            "{line}"
        );
    }
}

/// With plugins that make nothing, since those of the languages are not at hand: buf reads the file and compiles the contracts.
#[tokio::test]
async fn buf_takes_every_configuration_that_a_page_shows() {
    let configurations = pages().into_iter().flat_map(|page| page.blocks("yaml"));
    let mut count = 0;
    for (_, shown) in configurations.filter(|(_, shown)| shown.contains("\nplugins:")) {
        count += 1;
        let folder = tempfile::tempdir().unwrap();
        let template = folder.path().join("buf.gen.yaml");
        fs::write(&template, &shown).unwrap();
        let plugins = shown
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- local: "));
        for program in plugins.chain(["protoc"]) {
            let file = folder.path().join(program);
            fs::write(&file, NO_PLUGIN).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut buf = Command::new(root().join("tools/buf/node_modules/.bin/buf"));
        let path = std::env::var("PATH").unwrap();
        buf.args(["generate", "--output"])
            .arg(folder.path())
            .arg("--template")
            .arg(&template)
            .current_dir(root())
            .env("PATH", format!("{}:{path}", folder.path().display()));
        let output = run(buf).await;
        assert!(output.status.success(), "{shown}\n{output:?}");
    }
    assert_eq!(count, 3);
}

/// Code is compiled with the documentation of the client, with the example page, or run as an example, and nowhere else.
#[test]
fn code_stands_only_where_it_is_compiled() {
    for page in pages() {
        let compiled: &[&str] = match page.path.to_str().unwrap() {
            "docs/clients/rust.md" => &["rust,no_run"],
            "docs/clients/browser.md" => &["ts"],
            "docs/clients/node.md" => &["js"],
            _ => &[],
        };
        for fence in ["rust", "rust,no_run", "ts", "js"] {
            let stands = !page.blocks(fence).is_empty();
            assert!(
                !stands || compiled.contains(&fence),
                "{}",
                page.path.display()
            );
        }
    }
}

/// The page on each kind of provider that people configure.
const KINDS: [(&str, &str); 6] = [
    ("comfyui", "docs/providers/comfyui.md"),
    ("exec", "docs/providers/exec.md"),
    ("openai", "docs/providers/openai.md"),
    ("sdapi", "docs/providers/sdapi.md"),
    ("task", "docs/providers/task.md"),
    ("voice", "docs/providers/voice.md"),
];

#[test]
fn the_pages_on_providers_list_every_key_as_it_is() {
    let references = Config::provider_references();
    for (kind, path) in KINDS {
        let (_, reference) = references.iter().find(|(it, _)| *it == kind).unwrap();
        assert!(page(path).text.contains(reference), "{path}:\n{reference}");
    }
    let plans = Config::plan_reference();
    assert!(page("docs/plans.md").text.contains(&plans), "{plans}");
    let limits = Config::provider_limits_reference();
    assert!(page("docs/providers.md").text.contains(&limits), "{limits}");
    assert_eq!(references.len(), KINDS.len() + 1, "scripted is for tests");
}

#[test]
fn the_example_configuration_holds() {
    let inputs = Inputs {
        file: Some(root().join("atelier.example.toml")),
        ..Inputs::default()
    };
    assert!(Config::load(&inputs).is_ok());
}

#[test]
fn the_configuration_of_traces_in_the_documents_holds() {
    let blocks = page("docs/operations.md").blocks("toml");
    let mut blocks = blocks.iter().filter(|(_, it)| it.contains("[traces]"));
    let (_, block) = blocks.next().unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, block.as_bytes()).unwrap();
    let inputs = Inputs {
        file: Some(file.path().to_owned()),
        ..Inputs::default()
    };
    let traces = Config::load(&inputs).unwrap().config.traces;
    assert_eq!((traces.one_in, &*traces.service), (10, "atelier-staging"));
    assert!(traces.endpoint.is_some() && traces.headers.is_some());
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let pages = pages();
    let mut broken = Vec::new();
    for page in &pages {
        for link in page.prose().flat_map(links) {
            if !link.contains("://") && !leads_somewhere(&pages, page, link) {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_page_is_linked_from_the_first_one_or_from_that_of_its_folder() {
    let pages = pages();
    for linked in pages.iter().filter(|page| page.path.starts_with("docs")) {
        let folder = linked.path.parent().unwrap();
        let (index, base) = match folder.parent() {
            Some(parent) if parent != Path::new("") => (folder.with_extension("md"), parent),
            _ => ("README.md".into(), Path::new("")),
        };
        let link = format!("({})", linked.path.strip_prefix(base).unwrap().display());
        assert!(page(index.to_str().unwrap()).text.contains(&link), "{link}");
    }
}

#[test]
fn every_comment_that_points_at_a_document_points_at_a_section_of_it() {
    let pages = pages();
    let files = COMMENTED
        .iter()
        .flat_map(|folder| files_below(&root().join(folder)));
    let mut count = 0;
    for file in files.filter(|file| !file.ends_with("docs/claims.rs")) {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        for pointer in pointers(&text) {
            count += 1;
            let (path, anchor) = pointer.split_once('#').unwrap_or((pointer, ""));
            let target = pages.iter().find(|page| page.path == Path::new(path));
            let found = target.is_some_and(|page| anchor.is_empty() || has_anchor(page, anchor));
            assert!(found, "{}: {pointer}", file.display());
        }
    }
    assert!(count >= LEAST_POINTERS, "{count} were found");
}

/// The targets of the links and pictures in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let in_markdown = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let in_html = line
        .split("src=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    in_markdown.chain(in_html)
}

fn leads_somewhere(pages: &[Page], from: &Page, link: &str) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let path = match path {
        "" => from.path.clone(),
        path => normal(&from.path.parent().unwrap().join(path)),
    };
    let target = pages.iter().find(|page| page.path == path);
    root().join(&path).exists()
        && (anchor.is_empty() || target.is_some_and(|page| has_anchor(page, anchor)))
}

fn has_anchor(page: &Page, anchor: &str) -> bool {
    page.anchors().iter().any(|own| own == anchor)
}

/// Without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path {
        if part == ".." {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

/// Such as `docs/domain.md#request-status`.
fn pointers(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |letter: char| letter.is_alphanumeric() || "/._-#".contains(letter);
    text.match_indices("docs/").filter_map(move |(start, _)| {
        let rest = &text[start..];
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let pointer = rest[..end].trim_end_matches('.');
        let path = pointer.split('#').next()?;
        path.ends_with(".md").then_some(pointer)
    })
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_ours = !path.ends_with("node_modules") && !path.ends_with("generated");
        if path.is_dir() && is_ours {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

#[test]
fn pointers_end_where_the_sentence_does() {
    let found: Vec<_> = pointers("see docs/a.md#b-c. And (docs/d.md), docs/images/x.jpg").collect();
    assert_eq!(found, ["docs/a.md#b-c", "docs/d.md"]);
}
