//! The paths that a Rust file names, as far as the order of layers needs them.

use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::path::Path;

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, ItemMod, ItemUse, Macro, MetaList, UseTree};

/// What one file names, without the unit tests in it.
pub(super) struct Source {
    file: String,
    /// How many steps above the code that is being read the root of the crate is.
    depth: usize,
    in_crate: Vec<Vec<String>>,
    /// All other paths, as they are written.
    others: Vec<Vec<String>>,
    roots: BTreeSet<String>,
}

impl Source {
    pub(super) fn read(root: &Path, file: &Path) -> Self {
        let code = fs::read_to_string(file).unwrap();
        let file = file.strip_prefix(root).unwrap();
        Self::of(file.to_str().unwrap(), &code)
    }

    fn of(file: &str, code: &str) -> Self {
        let mut source = Self {
            file: file.to_owned(),
            depth: file.split('/').count(),
            in_crate: Vec::new(),
            others: Vec::new(),
            roots: BTreeSet::new(),
        };
        let code = syn::parse_file(code).unwrap_or_else(|error| panic!("{file}: {error}"));
        source.visit_file(&code);
        source
    }

    /// The path of the file in `src`.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Every path from the root of the crate, `use` trees written out, whether it begins with `crate` or climbs there.
    pub(super) fn paths_in_crate(&self) -> &[Vec<String>] {
        &self.in_crate
    }

    /// What the file takes of a crate, or of a module that it has imported by this name.
    pub(super) fn names_of<'a>(&'a self, module: &'a str) -> impl Iterator<Item = &'a String> {
        let below = self.others.iter().filter(move |path| path[0] == module);
        below.filter_map(|path| path.get(1))
    }

    /// The first names of all paths: crates, and modules and types that the file has imported or has itself.
    pub(super) fn path_roots(&self) -> &BTreeSet<String> {
        &self.roots
    }

    fn add(&mut self, path: Vec<String>) {
        let climbed = path.iter().take_while(|name| *name == "super").count();
        let from_root = match path.first() {
            Some(first) if first == "crate" => Some(1),
            _ => (climbed > 0 && climbed >= self.depth).then_some(climbed),
        };
        match from_root {
            Some(start) if path.len() > start => self.in_crate.push(path[start..].to_vec()),
            None if path.len() > 1 => {
                self.roots.insert(path[0].clone());
                self.others.push(path);
            }
            _ => {}
        }
    }

    fn add_use(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                return self.add_use(&step.tree, path);
            }
            UseTree::Group(group) => {
                let trees = group.items.iter();
                return trees.for_each(|tree| self.add_use(tree, path.clone()));
            }
            UseTree::Name(name) => path.push(name.ident.to_string()),
            UseTree::Rename(name) => path.push(name.ident.to_string()),
            UseTree::Glob(_) => {}
        }
        self.roots.extend(path.first().cloned());
        self.add(path);
    }

    /// Paths in what only a macro understands, all of them below `start`.
    fn add_tokens(&mut self, mut at: Cursor, start: &[String]) {
        let mut path = Vec::new();
        let mut colons = 0;
        while let Some((_, after)) = at.token_tree() {
            let is_colon = at.punct().is_some_and(|(sign, _)| sign.as_char() == ':');
            if !is_colon && colons < 2 {
                self.add(mem::take(&mut path));
            }
            if let Some((name, _)) = at.ident() {
                if path.is_empty() {
                    path = start.to_vec();
                }
                path.push(name.to_string());
            } else if let Some((inside, ..)) = at.any_group() {
                self.add_tokens(inside, &mem::take(&mut path));
            }
            colons = if is_colon { colons + 1 } else { 0 };
            at = after;
        }
        self.add(path);
    }
}

impl Visit<'_> for Source {
    fn visit_item_mod(&mut self, module: &ItemMod) {
        if !module.attrs.iter().any(is_for_tests) {
            self.depth += 1;
            visit::visit_item_mod(self, module);
            self.depth -= 1;
        }
    }

    fn visit_item_use(&mut self, item: &ItemUse) {
        self.add_use(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let names = path.segments.iter();
        self.add(names.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &Macro) {
        visit::visit_macro(self, called);
        self.add_tokens(TokenBuffer::new2(called.tokens.clone()).begin(), &[]);
    }

    fn visit_meta_list(&mut self, list: &MetaList) {
        visit::visit_meta_list(self, list);
        self.add_tokens(TokenBuffer::new2(list.tokens.clone()).begin(), &[]);
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let condition = attribute.parse_args::<Ident>();
    attribute.path().is_ident("cfg") && condition.is_ok_and(|name| name == "test")
}

#[test]
fn paths_are_written_out_and_comments_texts_and_unit_tests_are_passed_over() {
    let source = Source::of(
        "app/watch.rs",
        r##"
        // crate::comment
        use crate::{a::{self, b as c, d::*}, e};
        use super::sibling;
        fn f() { super::super::g::h::<crate::i::I>("crate::text", '"', crate::j) }
        const T: &str = r#"crate::raw"#;
        fn k(of: &'static crate::k::K) { log!(of = %crate::l::m(), "crate::text", [super::super::n::{o, p}]) }
        mod inner { use super::super::super::q; use super::super::sibling; }
        #[derive(Clone, outer::Derived)]
        struct S(<outer::T as crate::r::R>::U);
        #[cfg(test)]
        mod tests { use crate::test; }
        "##,
    );
    let paths = source.paths_in_crate().iter();
    let paths: Vec<String> = paths.map(|path| path.join("::")).collect();
    let expected = [
        "a::self", "a::b", "a::d", "e", "g::h", "i::I", "j", "k::K", "l::m", "n::o", "n::p", "q",
        "r::R::U",
    ];
    assert_eq!(paths, expected);
    let outer: Vec<&String> = source.names_of("outer").collect();
    assert_eq!(outer, ["Derived", "T"]);
}
