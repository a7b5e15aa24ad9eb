//! Which fields an update changes (AIP-134, AIP-161).

use prost_types::FieldMask;

use crate::domain::{Checks, Flaw, Problem};

const PATHS: &str = "update_mask.paths";
/// More than any message here has fields.
const MAX_PATHS: usize = 64;
const EVERYTHING: &str = "*";

/// A field that a mask may name, in the form `T` that the domain knows the message in.
pub(super) struct Field<T> {
    pub(super) path: &'static str,
    pub(super) is_set: fn(&T) -> bool,
    pub(super) copy: fn(&mut T, &T),
}

/// Fields of a form, by the paths that they have in the message.
macro_rules! fields {
    ($form:ty { $($path:literal => $($field:ident).+),+ $(,)? }) => {
        &[$($crate::rpc::field_mask::Field {
            path: $path,
            is_set: |form: &$form| !$crate::rpc::field_mask::is_default(&form.$($field).+),
            copy: |to: &mut $form, from: &$form| to.$($field).+.clone_from(&from.$($field).+),
        }),+]
    };
}
pub(super) use fields;

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The fields of a message, by who may change them.
pub(super) struct Fields<T: 'static> {
    /// A field within another one has the other's path and a point before its name.
    pub(super) changeable: &'static [Field<T>],
    pub(super) immutable: &'static [&'static str],
    pub(super) output_only: &'static [&'static str],
}

/// The fields that one update changes.
pub(super) struct UpdateMask<T: 'static>(Vec<&'static Field<T>>);

impl<T> UpdateMask<T> {
    pub(super) fn copy(&self, to: &mut T, from: &T) {
        for field in &self.0 {
            (field.copy)(to, from);
        }
    }

    /// Whether the field is changed, by itself or as a part of another.
    pub(super) fn covers(&self, path: &str) -> bool {
        self.0
            .iter()
            .any(|field| field.path == path || is_within(path, field.path))
    }
}

impl<T> Fields<T> {
    /// What the mask stands for. Paths that it must not have go to `checks`.
    pub(super) fn select(
        &self,
        mask: Option<FieldMask>,
        given: &T,
        checks: &mut Checks,
    ) -> UpdateMask<T> {
        let paths = mask.unwrap_or_default().paths;
        if paths.is_empty() {
            return self.filter(|field| !self.has_parts(field) && (field.is_set)(given));
        }
        if paths == [EVERYTHING] {
            return self.filter(|field| !field.path.contains('.'));
        }
        let mut named = Vec::new();
        if checks.count(PATHS, paths.len(), MAX_PATHS) {
            for (index, path) in paths.iter().enumerate() {
                match self.find(path, &named) {
                    Ok(field) => named.push(field),
                    Err(problem) => checks.add(format!("{PATHS}[{index}]"), problem),
                }
            }
        }
        UpdateMask(named)
    }

    fn filter(&self, wanted: impl Fn(&Field<T>) -> bool) -> UpdateMask<T> {
        let fields = self.changeable.iter();
        UpdateMask(fields.filter(|field| wanted(field)).collect())
    }

    fn has_parts(&self, field: &Field<T>) -> bool {
        self.changeable
            .iter()
            .any(|other| is_within(other.path, field.path))
    }

    /// The field with this path, or why it must not be named beside the others.
    fn find(&self, path: &str, named: &[&Field<T>]) -> Result<&'static Field<T>, Problem> {
        let Some(field) = self.changeable.iter().find(|field| field.path == path) else {
            return Err(self.refusal(path));
        };
        if named.iter().any(|other| other.path == path) {
            return Err(Problem::duplicate(path));
        }
        let around =
            |other: &&&Field<T>| is_within(path, other.path) || is_within(other.path, path);
        match named.iter().find(around) {
            Some(other) => Err(Flaw::Conflict
                .says(format!("overlaps with {}: name one of them", other.path))
                .found(path)),
            None => Ok(field),
        }
    }

    fn refusal(&self, path: &str) -> Problem {
        if path == EVERYTHING {
            return Flaw::Conflict.says("must stand alone, since it names everything");
        }
        if self.immutable.contains(&path) {
            return Flaw::NotSupported.says(format!("{path} never changes"));
        }
        if self.output_only.contains(&path) {
            return Flaw::NotSupported.says(format!("{path} is set by the server"));
        }
        let names = |of: &str| -> Vec<&str> {
            let parts = self.changeable.iter();
            parts.filter_map(|field| part(field.path, of)).collect()
        };
        let (group, known) = match path.split_once('.') {
            Some((group, _)) if !names(group).is_empty() => (group, names(group)),
            _ => (
                "",
                self.filter(|field| !field.path.contains('.'))
                    .0
                    .iter()
                    .map(|field| field.path)
                    .collect(),
            ),
        };
        let of = if group.is_empty() {
            String::new()
        } else {
            format!(" of {group}")
        };
        let words = format!(
            "is not a field that can be changed; those{of} are {}",
            known.join(", ")
        );
        Flaw::UnknownName.says(words).allowed(known).found(path)
    }
}

/// Whether the path lies within the field at `outer`.
fn is_within(path: &str, outer: &str) -> bool {
    part(path, outer).is_some()
}

/// The path's rest within the field at `outer`.
fn part<'a>(path: &'a str, outer: &str) -> Option<&'a str> {
    path.strip_prefix(outer)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Form {
        name: String,
        number: i32,
        parts: Parts,
    }

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Parts {
        left: bool,
        right: Vec<String>,
    }

    const FIELDS: Fields<Form> = Fields {
        changeable: fields!(Form {
            "name" => name,
            "number" => number,
            "parts" => parts,
            "parts.left" => parts.left,
            "parts.right" => parts.right,
        }),
        immutable: &["category"],
        output_only: &["id"],
    };

    fn mask(paths: &[&str]) -> Option<FieldMask> {
        Some(FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        })
    }

    /// The form after the update, or the paths that are refused.
    fn update(
        old: &Form,
        given: &Form,
        paths: Option<FieldMask>,
    ) -> Result<Form, Vec<(String, String)>> {
        let mut checks = Checks::default();
        let selection = FIELDS.select(paths, given, &mut checks);
        let violations: Vec<_> = checks
            .into_violations()
            .into_iter()
            .map(|violation| (violation.field, violation.description))
            .collect();
        let mut form = old.clone();
        selection.copy(&mut form, given);
        if violations.is_empty() {
            Ok(form)
        } else {
            Err(violations)
        }
    }

    fn form() -> impl Strategy<Value = Form> {
        (
            "[a-c]{0,2}",
            -1..2_i32,
            any::<bool>(),
            proptest::collection::vec("[a-b]", 0..2),
        )
            .prop_map(|(name, number, left, right)| Form {
                name,
                number,
                parts: Parts { left, right },
            })
    }

    proptest! {
        #[test]
        fn exactly_the_named_fields_change(
            old in form(),
            given in form(),
            paths in proptest::sample::subsequence(vec!["name", "number", "parts.left", "parts.right"], 1..=4).prop_shuffle(),
        ) {
            let chosen = |path| paths.contains(&path);
            let expected = Form {
                name: if chosen("name") { &given } else { &old }.name.clone(),
                number: if chosen("number") { &given } else { &old }.number,
                parts: Parts {
                    left: if chosen("parts.left") { &given } else { &old }.parts.left,
                    right: if chosen("parts.right") { &given } else { &old }.parts.right.clone(),
                },
            };
            prop_assert_eq!(update(&old, &given, mask(&paths)), Ok(expected));
        }

        #[test]
        fn everything_is_replaced_by_a_star_and_what_is_set_without_a_mask(old in form(), given in form()) {
            prop_assert_eq!(update(&old, &given, mask(&["*"])), Ok(given.clone()));
            prop_assert_eq!(
                update(&old, &given, mask(&["name", "number", "parts"])),
                Ok(given.clone())
            );
            for nothing in [None, mask(&[])] {
                let mut expected = old.clone();
                let all = FIELDS.select(None, &given, &mut Checks::default());
                all.copy(&mut expected, &given);
                let changed = update(&old, &given, nothing);
                prop_assert_eq!(&changed, &Ok(expected.clone()));
                prop_assert_eq!(&expected.name, if given.name.is_empty() { &old } else { &given }.name.as_str());
                prop_assert_eq!(expected.number, if given.number == 0 { &old } else { &given }.number);
                prop_assert_eq!(expected.parts.left, old.parts.left || given.parts.left);
                prop_assert_eq!(expected.parts.right.is_empty(), old.parts.right.is_empty() && given.parts.right.is_empty());
            }
        }

        #[test]
        fn nonsense_is_refused_and_never_panics(path in "[a-z.*_]{0,12}") {
            prop_assume!(path != "*" && FIELDS.changeable.iter().all(|field| field.path != path));
            prop_assert!(update(&Form::default(), &Form::default(), mask(&[&path])).is_err());
        }
    }

    #[test]
    fn a_path_that_must_not_be_there_is_told_by_its_place_and_with_what_may() {
        let refused = update(
            &Form::default(),
            &Form::default(),
            mask(&[
                "name",
                "id",
                "category",
                "colour",
                "parts.middle",
                "name",
                "parts.left",
                "parts",
                "*",
                "parts.right.0",
                "",
            ]),
        );
        let expected = [
            (1, "id is set by the server"),
            (2, "category never changes"),
            (
                3,
                "is not a field that can be changed; those are name, number, parts",
            ),
            (
                4,
                "is not a field that can be changed; those of parts are left, right",
            ),
            (5, "must be unique, \"name\" is there twice"),
            (7, "overlaps with parts.left: name one of them"),
            (8, "must stand alone, since it names everything"),
            (
                9,
                "is not a field that can be changed; those of parts are left, right",
            ),
            (
                10,
                "is not a field that can be changed; those are name, number, parts",
            ),
        ]
        .map(|(index, problem)| (format!("{PATHS}[{index}]"), problem.to_owned()));
        assert_eq!(refused, Err(expected.to_vec()));
    }

    #[test]
    fn a_part_is_covered_by_the_whole() {
        let mut checks = Checks::default();
        let selection = FIELDS.select(mask(&["parts"]), &Form::default(), &mut checks);
        assert!(selection.covers("parts.left") && selection.covers("parts"));
        assert!(!selection.covers("name") && !selection.covers("part"));
    }

    #[test]
    fn too_many_paths_are_one_violation() {
        let refused = update(
            &Form::default(),
            &Form::default(),
            mask(&["name"; MAX_PATHS + 1]),
        );
        let fields: Vec<_> = refused
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(fields, [PATHS]);
    }
}
