//! Tests of whole pieces. Short ones: they are rendered without optimisation.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::mood::{Ensemble, Mood};
use super::*;

fn brief(prompt: &str, seed: u64, seconds: u32, style: Value) -> Brief {
    Brief {
        prompt: prompt.to_owned(),
        seed,
        seconds,
        style: style.as_object().unwrap().clone(),
    }
}

fn piece(brief: &Brief) -> Piece {
    play(brief, &mut |_| true).unwrap()
}

/// Root mean square over full scale.
fn loudness(samples: &[i16]) -> f64 {
    let power: f64 = samples
        .iter()
        .map(|sample| f64::from(*sample).powi(2))
        .sum();
    (power / samples.len() as f64).sqrt() / 32_768.0
}

#[test]
fn the_same_brief_gives_the_same_samples_and_another_seed_others() {
    let first = piece(&brief("vui", 1, 2, json!({})));
    assert_eq!(first, piece(&brief("vui", 1, 2, json!({}))));
    assert_ne!(first.sound, piece(&brief("vui", 2, 2, json!({}))).sound);
}

#[test]
fn every_mood_and_every_ensemble_is_heard_exactly_as_long_as_asked_and_never_clips() {
    let moods = Mood::NAMES.iter().map(|(name, _)| json!({ "mood": name }));
    let ensembles = Ensemble::NAMES
        .iter()
        .map(|(name, _)| json!({ "ensemble": name }));
    for (seed, style) in moods.chain(ensembles).enumerate() {
        let piece = piece(&brief("", seed as u64, 3, style.clone()));
        let sound = piece.sound;
        assert_eq!((sound.sample_rate, sound.channels), (44_100, 2));
        assert_eq!(sound.samples.len(), 3 * 44_100 * 2);
        let peak = sound
            .samples
            .iter()
            .map(|sample| sample.unsigned_abs())
            .max();
        assert!(peak < Some(29_500), "{style}: {peak:?}");
        // All but the last second, in which it fades.
        for second in sound.samples.chunks(44_100 * 2).take(2) {
            let loudness = loudness(second);
            assert!((0.02..0.4).contains(&loudness), "{style}: {loudness}");
        }
        assert!(
            sound.samples[sound.samples.len() - 2..]
                .iter()
                .all(|sample| sample.abs() < 40)
        );
        let mean = sound
            .samples
            .iter()
            .map(|sample| f64::from(*sample))
            .sum::<f64>();
        assert!(
            (mean / sound.samples.len() as f64).abs() < 80.0,
            "{style}: offset"
        );
    }
}

#[test]
fn every_mood_is_as_loud_as_the_others() {
    for (name, _) in Mood::NAMES {
        let piece = piece(&brief("", 5, 4, json!({ "mood": name })));
        let loudness = piece.sound.loudness().unwrap();
        assert!(
            (loudness.integrated + 16.0).abs() < 0.6,
            "{name}: {loudness:?}"
        );
        assert!(loudness.true_peak <= -0.9, "{name}: {loudness:?}");
    }
}

#[test]
fn one_second_is_a_piece_too() {
    let piece = piece(&brief("epic", 3, 1, json!({})));
    assert_eq!(piece.sound.samples.len(), 44_100 * 2);
    assert!(loudness(&piece.sound.samples) > 0.02);
}

#[test]
fn what_was_composed_is_told() {
    let style = json!({ "mood": "sad", "key": "A minor", "tempo": 66, "ensemble": "piano" });
    let piece = piece(&brief("", 1, 1, style));
    assert_eq!(
        (piece.mood, piece.tempo, piece.ensemble),
        ("sad", 66, "piano")
    );
    assert_eq!(piece.key, "A minor");
}

#[test]
fn the_samples_of_a_seed_never_change() {
    let piece = piece(&brief("tết", 7, 1, json!({})));
    let bytes: Vec<u8> = piece
        .sound
        .samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    let sum = u64::from_be_bytes(Sha256::digest(&bytes)[..8].try_into().unwrap());
    assert_eq!(sum, 12_113_707_583_045_473_250);
}

#[test]
fn every_template_of_the_starter_catalogue_composes() {
    let text = include_str!("../../../../catalogue/starter.toml");
    let catalogue: Value = toml::from_str(text).unwrap();
    let features = catalogue["features"].as_array().unwrap();
    let music = features.iter().filter(|feature| {
        feature["category"] == "audio" && feature["properties"]["provider"] == "builtin"
    });
    let mut moods = Vec::new();
    for feature in music {
        for template in feature["templates"].as_array().unwrap() {
            let style = template["template_data"]["style"].as_object().unwrap();
            check_style(style).unwrap();
            let parsed = style::Style::parse(style).unwrap();
            moods.push(score::compose("", &parsed, 1, 30).mood);
        }
    }
    assert!(moods.len() >= 4, "{moods:?}");
}

#[test]
fn a_piece_can_be_stopped_and_tells_how_far_it_is() {
    let mut shares = Vec::new();
    let stopped = play(&brief("", 1, 3, json!({})), &mut |share| {
        shares.push(share);
        shares.len() < 3
    });
    assert_eq!(stopped, Err(MusicError::Stopped));
    assert!(
        shares.windows(2).all(|pair| pair[0] < pair[1]),
        "{shares:?}"
    );
}

#[test]
fn a_wrong_length_and_a_wrong_style_are_refused() {
    let field = |brief: Brief| match play(&brief, &mut |_| true) {
        Err(MusicError::Invalid { field, .. }) => field,
        other => panic!("{:?}", other.map(|piece| piece.key)),
    };
    assert_eq!(field(brief("", 1, 0, json!({}))), "duration_seconds");
    assert_eq!(
        field(brief("", 1, MAX_SECONDS + 1, json!({}))),
        "duration_seconds"
    );
    assert_eq!(
        field(brief("", 1, 5, json!({ "tempo": "fast" }))),
        "style.tempo"
    );
}
