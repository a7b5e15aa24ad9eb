//! What a template may say about a piece of music.

use serde_json::{Map, Value};

use super::MusicError;
use super::mood::{Beat, Ensemble, Mood};
use super::theory::{Mode, parse_key};
use crate::style::{Problems, Reader, first_problem};

/// Beats per minute that a style may ask for.
const TEMPOS: std::ops::RangeInclusive<u64> = 40..=200;

/// A template's style; what it leaves open is chosen by the prompt and the seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Style {
    pub(super) mood: Option<Mood>,
    /// Beats per minute.
    pub(super) tempo: Option<u32>,
    /// The tonic's pitch class, with or without a mode.
    pub(super) key: Option<(i32, Option<Mode>)>,
    pub(super) ensemble: Option<Ensemble>,
    pub(super) beat: Option<Beat>,
}

/// Checks a style without composing: `mood`, `ensemble` and `drums` are names, `tempo` is a number of beats per minute
/// from 40 to 200, `key` is a text like "F# minor" or "D".
///
/// # Errors
/// Every known key whose value has the wrong type or is not in its set, with what is expected instead. Unknown keys are
/// not looked at.
pub fn check_style(style: &Map<String, Value>) -> Result<(), Problems> {
    read(style).map(drop)
}

impl Style {
    /// Reads a style; the error names the first wrong key as `style.<key>`.
    pub(super) fn parse(style: &Map<String, Value>) -> Result<Self, MusicError> {
        read(style).map_err(|problems| {
            let (field, message) = first_problem(problems);
            MusicError::Invalid { field, message }
        })
    }
}

fn read(style: &Map<String, Value>) -> Result<Style, Problems> {
    let mut reader = Reader::new(style);
    let parsed = Style {
        mood: reader.one_of("mood", Mood::NAMES),
        tempo: tempo(&mut reader),
        key: key(&mut reader),
        ensemble: reader.one_of("ensemble", Ensemble::NAMES),
        beat: reader.one_of("drums", Beat::NAMES),
    };
    reader.finish(parsed)
}

/// A whole number, also as a double, which is all that a protobuf Struct knows.
fn tempo(reader: &mut Reader) -> Option<u32> {
    let value = reader.value("tempo")?;
    let number = value
        .as_f64()
        .filter(|number| *number >= 0.0 && number.fract() == 0.0)
        .map(|number| number as u64)
        .filter(|number| TEMPOS.contains(number))
        .and_then(|number| u32::try_from(number).ok());
    let (least, most) = (TEMPOS.start(), TEMPOS.end());
    number.or_else(|| {
        reader.wrong(
            "tempo",
            format!("a whole number of beats per minute from {least} to {most}"),
        )
    })
}

fn key(reader: &mut Reader) -> Option<(i32, Option<Mode>)> {
    let text = reader.text("key")?;
    parse_key(&text).or_else(|| {
        let modes: Vec<&str> = Mode::NAMES.iter().map(|(name, _)| *name).collect();
        let modes = modes.join(", ");
        reader.wrong(
            "key",
            format!("a tonic like \"D\" or \"F#\", and after it at most a mode: {modes}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn style(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_good_style_is_read_and_unknown_keys_are_ignored() {
        let good = style(json!({
            "mood": "calm", "tempo": 72.0, "key": "D lydian", "ensemble": "music_box", "drums": "none", "palette": 3
        }));
        assert_eq!(check_style(&good), Ok(()));
        assert_eq!(
            Style::parse(&good).unwrap(),
            Style {
                mood: Some(Mood::Calm),
                tempo: Some(72),
                key: Some((2, Some(Mode::Lydian))),
                ensemble: Some(Ensemble::MusicBox),
                beat: Some(Beat::None),
            }
        );
        assert_eq!(
            Style::parse(&style(json!({ "mood": null, "key": "" }))).unwrap(),
            Style::default()
        );
    }

    #[test]
    fn every_wrong_key_is_named_with_what_is_expected() {
        let bad = style(
            json!({ "mood": "hungry", "tempo": 300, "key": "H", "ensemble": 1, "drums": [] }),
        );
        let problems = check_style(&bad).unwrap_err();
        let keys: Vec<&str> = problems.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["mood", "tempo", "key", "ensemble", "drums"]);
        assert!(problems[0].1.contains("\"festive\""), "{problems:?}");
        let error = Style::parse(&bad).unwrap_err();
        assert!(matches!(error, MusicError::Invalid { field, .. } if field == "style.mood"));
        for tempo in [json!(39), json!(201), json!(90.5), json!("90"), json!(-80)] {
            let bad = style(json!({ "tempo": tempo }));
            assert_eq!(check_style(&bad).unwrap_err()[0].0, "tempo", "{tempo}");
        }
    }
}
