//! What a template may say about how its pictures move.

use serde_json::{Map, Value};

use crate::dice::Dice;
use crate::drawing::DrawError;
use crate::style::{Problems, Reader, first_problem, named};

named! {
    /// How words and cards come in.
    Entrance {
        Rise = "rise",
        Fade = "fade",
        Pop = "pop",
        Slide = "slide",
    }
}

named! {
    /// Where the decoration goes, or whether it is approached or left.
    Pan {
        Left = "left",
        Right = "right",
        In = "in",
        Out = "out",
        None = "none",
    }
}

named! {
    /// How far the ground's colours wander.
    Drift {
        None = "none",
        Gentle = "gentle",
        Strong = "strong",
    }
}

named! {
    /// How fast one thing follows another.
    Pace {
        Calm = "calm",
        Steady = "steady",
        Brisk = "brisk",
    }
}

named! {
    /// What is counted while it moves.
    Count {
        /// The seconds until the end.
        Down = "down",
        None = "none",
    }
}

/// How a picture moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) entrance: Entrance,
    pub(super) pan: Pan,
    pub(super) drift: Drift,
    pub(super) pace: Pace,
    pub(super) count: Count,
}

impl Direction {
    /// Reads the style's `animation`; the dice choose what it leaves open.
    ///
    /// # Errors
    /// [`DrawError::Invalid`] names the first wrong key as `style.animation.<key>`.
    pub(super) fn read(style: &Map<String, Value>, dice: &Dice) -> Result<Self, DrawError> {
        let told = read(style).map_err(|problems| {
            let (field, message) = first_problem(problems);
            DrawError::Invalid { field, message }
        })?;
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
            entrance: told.entrance.unwrap_or(entrance),
            pan: told.pan.unwrap_or(pan),
            drift: told.drift.unwrap_or(Drift::Gentle),
            pace: told.pace.unwrap_or(Pace::Steady),
            count: told.count.unwrap_or(Count::None),
        })
    }
}

/// What a style says itself.
#[derive(Default)]
struct Told {
    entrance: Option<Entrance>,
    pan: Option<Pan>,
    drift: Option<Drift>,
    pace: Option<Pace>,
    count: Option<Count>,
}

/// Checks the `animation` of a style without drawing.
///
/// # Errors
/// Every known key whose value has the wrong type or is not in its set, as `animation.<key>`, with what is expected instead.
pub fn check_style(style: &Map<String, Value>) -> Result<(), Problems> {
    read(style).map(drop)
}

fn read(style: &Map<String, Value>) -> Result<Told, Problems> {
    let told = match style.get("animation") {
        None | Some(Value::Null) => return Ok(Told::default()),
        Some(Value::Object(told)) => told,
        Some(_) => return Err(vec![("animation".to_owned(), "a table".to_owned())]),
    };
    let mut reader = Reader::new(told);
    let told = Told {
        entrance: reader.one_of("entrance", Entrance::NAMES),
        pan: reader.one_of("pan", Pan::NAMES),
        drift: reader.one_of("drift", Drift::NAMES),
        pace: reader.one_of("pace", Pace::NAMES),
        count: reader.one_of("count", Count::NAMES),
    };
    reader.finish(told).map_err(|problems| {
        let problems = problems.into_iter();
        let within = |(key, expected)| (format!("animation.{key}"), expected);
        problems.map(within).collect()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn direction(animation: Value, seed: u64) -> Result<Direction, DrawError> {
        let style = Map::from_iter([("animation".to_owned(), animation)]);
        Direction::read(&style, &Dice::new(seed))
    }

    #[test]
    fn what_is_told_holds_for_every_seed() {
        let told = json!({ "entrance": "fade", "pan": "none", "drift": "strong", "pace": "calm", "count": "down" });
        for seed in 0..20 {
            let expected = Direction {
                entrance: Entrance::Fade,
                pan: Pan::None,
                drift: Drift::Strong,
                pace: Pace::Calm,
                count: Count::Down,
            };
            assert_eq!(direction(told.clone(), seed).unwrap(), expected);
        }
    }

    #[test]
    fn the_seed_chooses_what_is_left_open() {
        let chosen: Vec<Direction> = (0..20)
            .map(|seed| direction(json!({}), seed).unwrap())
            .collect();
        assert!(chosen.iter().any(|one| one.pan != chosen[0].pan));
        assert_eq!(
            direction(json!({}), 3).unwrap(),
            direction(Value::Null, 3).unwrap()
        );
    }

    #[test]
    fn every_wrong_key_is_found() {
        let animation = json!({ "pan": "up", "drift": "strong", "pace": 7 });
        let style = Map::from_iter([("animation".to_owned(), animation)]);
        let problems = check_style(&style).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["animation.pan", "animation.pace"]);
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_expected() {
        for (animation, field, expected) in [
            (json!({ "pan": "up" }), "style.animation.pan", "\"left\""),
            (json!({ "pace": 7 }), "style.animation.pace", "\"steady\""),
            (json!("fast"), "style.animation", "a table"),
        ] {
            let error = direction(animation, 1).unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with(field) && told.contains(expected), "{told}");
        }
    }
}
