use serde_json::{Value, json};

use super::super::theory::OCTAVE;
use super::*;

const SEEDS: u64 = 24;

fn score(prompt: &str, style: Value, seed: u64, seconds: u32) -> Score {
    let style = Style::parse(style.as_object().unwrap()).unwrap();
    compose(prompt, &style, seed, seconds)
}

fn of_mood(mood: Mood, seed: u64, seconds: u32) -> Score {
    score("", json!({ "mood": mood.name() }), seed, seconds)
}

fn pitches(score: &Score) -> Vec<i32> {
    let pitch = |note: &Note| match note.strike {
        Strike::Pitch(pitch) => Some(pitch),
        Strike::Drum(_) => None,
    };
    score.notes.iter().filter_map(pitch).collect()
}

#[test]
fn the_same_seed_gives_the_same_notes_and_another_gives_others() {
    for (_, mood) in Mood::NAMES {
        let first = of_mood(*mood, 1, 20);
        assert_eq!(first, of_mood(*mood, 1, 20));
        assert_ne!(pitches(&first), pitches(&of_mood(*mood, 2, 20)), "{mood:?}");
    }
}

#[test]
fn every_note_is_of_the_key_or_leads_to_its_tonic() {
    for (_, mood) in Mood::NAMES {
        for seed in 0..SEEDS {
            let score = of_mood(*mood, seed, 40);
            let leading = (score.key.tonic - 1).rem_euclid(OCTAVE);
            for pitch in pitches(&score) {
                let known = score.key.holds(pitch) || pitch.rem_euclid(OCTAVE) == leading;
                assert!(known, "{mood:?} {seed}: {pitch} in {}", score.key.name());
            }
        }
    }
}

#[test]
fn every_piece_begins_at_once_lasts_to_its_end_and_comes_home() {
    for (_, mood) in Mood::NAMES {
        for seconds in [1, 2, 3, 5, 8, 15, 31, 120] {
            let score = of_mood(*mood, 5, seconds);
            let end = f64::from(seconds);
            assert!(score.notes[0].start < 0.1, "{mood:?} {seconds}");
            assert!(score.home < end - 0.5, "{mood:?} {seconds}: {}", score.home);
            let held = |note: &&Note| note.start > score.home - 0.1;
            let last: Vec<&Note> = score.notes.iter().filter(held).collect();
            let ends = last.iter().map(|note| note.start + note.length);
            assert!(ends.fold(0.0, f64::max) > end - 0.1, "{mood:?} {seconds}");
            let bass = last.iter().find(|note| note.part == Part::Bass).unwrap();
            let Strike::Pitch(root) = bass.strike else {
                panic!("no pitch")
            };
            assert_eq!(
                root.rem_euclid(OCTAVE),
                score.key.tonic,
                "{mood:?} {seconds}"
            );
        }
    }
}

#[test]
fn notes_stay_within_the_piece_and_in_order() {
    for (_, mood) in Mood::NAMES {
        for seconds in [1, 4, 33] {
            let score = of_mood(*mood, 9, seconds);
            for pair in score.notes.windows(2) {
                assert!(pair[0].start <= pair[1].start);
            }
            for note in &score.notes {
                assert!(note.start >= 0.0 && note.length > 0.0, "{note:?}");
                assert!(
                    note.start + note.length <= f64::from(seconds) + 1e-9,
                    "{note:?}"
                );
                assert!(note.velocity > 0.0 && note.velocity <= 1.0, "{note:?}");
            }
        }
    }
}

#[test]
fn moods_differ_in_tempo_mode_and_drums() {
    for seed in 0..SEEDS {
        let (happy, sad) = (of_mood(Mood::Happy, seed, 30), of_mood(Mood::Sad, seed, 30));
        assert!(
            happy.tempo > sad.tempo + 20,
            "{} and {}",
            happy.tempo,
            sad.tempo
        );
        assert!(!happy.key.mode.has_minor_third());
        assert!(sad.key.mode.has_minor_third());
        let drums = |score: &Score| {
            score
                .notes
                .iter()
                .filter(|note| note.part == Part::Drums)
                .count()
        };
        assert!(drums(&happy) > 50);
        assert_eq!(drums(&sad), 0);
    }
}

#[test]
fn the_style_decides_before_the_prompt_and_the_prompt_before_the_dice() {
    let style = json!({ "mood": "calm", "tempo": 71, "key": "Bb dorian", "ensemble": "synth", "drums": "dance" });
    let score = score("nhạc buồn", style, 3, 30);
    assert_eq!(score.mood, Mood::Calm);
    assert_eq!(score.tempo, 71);
    assert_eq!(score.key.name(), "Bb dorian");
    assert_eq!(score.ensemble, Ensemble::Synth);
    assert!(
        score
            .notes
            .iter()
            .any(|note| note.strike == Strike::Drum(Drum::Kick))
    );
    let of_prompt = compose("nhạc buồn", &Style::default(), 3, 30);
    assert_eq!(of_prompt.mood, Mood::Sad);
    let moods: Vec<Mood> = (0..SEEDS)
        .map(|seed| compose("Quán số 7", &Style::default(), seed, 5).mood)
        .collect();
    assert!(moods.iter().any(|mood| *mood != moods[0]), "{moods:?}");
}

#[test]
fn a_song_has_a_quiet_beginning_and_a_full_middle() {
    let score = of_mood(Mood::Happy, 4, 60);
    let count = |from: f64, to: f64| {
        let within = |note: &&Note| note.start >= from && note.start < to;
        score.notes.iter().filter(within).count()
    };
    assert!(count(0.0, 6.0) * 2 < count(30.0, 36.0));
}

#[test]
fn melodies_move_by_steps_more_than_by_leaps() {
    for seed in 0..SEEDS {
        let score = of_mood(Mood::Romantic, seed, 60);
        let melody: Vec<i32> = score
            .notes
            .iter()
            .filter(|note| note.part == Part::Lead)
            .filter_map(|note| match note.strike {
                Strike::Pitch(pitch) => Some(pitch),
                Strike::Drum(_) => None,
            })
            .collect();
        assert!(melody.len() > 20);
        let leaps = melody
            .windows(2)
            .filter(|pair| (pair[1] - pair[0]).abs() > 5)
            .count();
        assert!(leaps * 4 < melody.len(), "{seed}: {melody:?}");
    }
}
