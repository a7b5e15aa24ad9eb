//! What a template may say about how its pictures move.

use serde_json::{Map, Value};

use super::super::drawing::{Dice, DrawError};

/// How words and cards come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entrance {
    Rise,
    Fade,
    Pop,
    Slide,
}

/// Where the decoration goes, or whether it is approached or left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pan {
    Left,
    Right,
    In,
    Out,
    None,
}

/// How far the ground's colours wander.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drift {
    None,
    Gentle,
    Strong,
}

/// How fast one thing follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Calm,
    Steady,
    Brisk,
}

const ENTRANCES: &[(&str, Entrance)] = &[
    ("rise", Entrance::Rise),
    ("fade", Entrance::Fade),
    ("pop", Entrance::Pop),
    ("slide", Entrance::Slide),
];
const PANS: &[(&str, Pan)] = &[
    ("left", Pan::Left),
    ("right", Pan::Right),
    ("in", Pan::In),
    ("out", Pan::Out),
    ("none", Pan::None),
];
const DRIFTS: &[(&str, Drift)] = &[
    ("none", Drift::None),
    ("gentle", Drift::Gentle),
    ("strong", Drift::Strong),
];
const PACES: &[(&str, Pace)] = &[
    ("calm", Pace::Calm),
    ("steady", Pace::Steady),
    ("brisk", Pace::Brisk),
];

/// How a picture moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) entrance: Entrance,
    pub(super) pan: Pan,
    pub(super) drift: Drift,
    pub(super) pace: Pace,
}

impl Direction {
    /// Reads the style's `animation`; the dice choose what it leaves open.
    ///
    /// # Errors
    /// [`DrawError::Invalid`] names the first wrong key as `style.animation.<key>`.
    pub(super) fn read(style: &Map<String, Value>, dice: &Dice) -> Result<Self, DrawError> {
        let none = Map::new();
        let told = match style.get("animation") {
            None | Some(Value::Null) => &none,
            Some(Value::Object(told)) => told,
            Some(_) => return Err(invalid("animation", "a table".to_owned())),
        };
        let mut dice = dice.fork("animation");
        // Drawn in any case, so that naming one key leaves the others as they were.
        let entrance = dice.pick([
            Entrance::Rise,
            Entrance::Slide,
            Entrance::Pop,
            Entrance::Rise,
        ]);
        let pan = dice.pick([Pan::In, Pan::Out, Pan::Left, Pan::Right]);
        Ok(Self {
            entrance: one_of(told, "entrance", ENTRANCES)?.unwrap_or(entrance),
            pan: one_of(told, "pan", PANS)?.unwrap_or(pan),
            drift: one_of(told, "drift", DRIFTS)?.unwrap_or(Drift::Gentle),
            pace: one_of(told, "pace", PACES)?.unwrap_or(Pace::Steady),
        })
    }
}

fn one_of<T: Copy>(
    told: &Map<String, Value>,
    key: &str,
    names: &[(&str, T)],
) -> Result<Option<T>, DrawError> {
    let Some(value) = told.get(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let named = |text: &str| names.iter().find(|(name, _)| *name == text);
    match value.as_str().and_then(named) {
        Some((_, found)) => Ok(Some(*found)),
        None => {
            let all: Vec<String> = names
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            let expected = format!("one of {}", all.join(", "));
            Err(invalid(&format!("animation.{key}"), expected))
        }
    }
}

fn invalid(key: &str, expected: String) -> DrawError {
    DrawError::Invalid {
        field: format!("style.{key}"),
        message: format!("expected {expected}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn read(animation: Value, seed: u64) -> Result<Direction, DrawError> {
        let style = Map::from_iter([("animation".to_owned(), animation)]);
        Direction::read(&style, &Dice::new(seed))
    }

    #[test]
    fn what_is_told_holds_for_every_seed() {
        let told = json!({ "entrance": "fade", "pan": "none", "drift": "strong", "pace": "calm" });
        for seed in 0..20 {
            let expected = Direction {
                entrance: Entrance::Fade,
                pan: Pan::None,
                drift: Drift::Strong,
                pace: Pace::Calm,
            };
            assert_eq!(read(told.clone(), seed).unwrap(), expected);
        }
    }

    #[test]
    fn the_seed_chooses_what_is_left_open() {
        let chosen: Vec<Direction> = (0..20).map(|seed| read(json!({}), seed).unwrap()).collect();
        assert!(chosen.iter().any(|one| one.pan != chosen[0].pan));
        assert_eq!(read(json!({}), 3).unwrap(), read(Value::Null, 3).unwrap());
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_expected() {
        for (animation, field, expected) in [
            (json!({ "pan": "up" }), "style.animation.pan", "\"left\""),
            (json!({ "pace": 7 }), "style.animation.pace", "\"steady\""),
            (json!("fast"), "style.animation", "a table"),
        ] {
            let error = read(animation, 1).unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with(field) && told.contains(expected), "{told}");
        }
    }
}
