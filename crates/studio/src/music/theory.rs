//! Pitches, modes, keys and chords. A pitch is a MIDI note number: 60 is middle C, and each step a semitone of equal
//! temperament.

use crate::style::named;

/// Semitones in an octave.
pub(super) const OCTAVE: i32 = 12;
/// Notes in a scale.
const SCALE: i32 = 7;

named! {
    /// The scale that a piece keeps to.
    Mode {
        Major = "major",
        Minor = "minor",
        Dorian = "dorian",
        Lydian = "lydian",
        Mixolydian = "mixolydian",
    }
}

/// Chord roots of four bars, as degrees of the scale from 1.
pub(super) type Progression = [i32; 4];

impl Mode {
    /// Semitones of the scale above its tonic.
    fn steps(self) -> [i32; 7] {
        match self {
            Self::Major => [0, 2, 4, 5, 7, 9, 11],
            Self::Minor => [0, 2, 3, 5, 7, 8, 10],
            Self::Dorian => [0, 2, 3, 5, 7, 9, 10],
            Self::Lydian => [0, 2, 4, 6, 7, 9, 11],
            Self::Mixolydian => [0, 2, 4, 5, 7, 9, 10],
        }
    }

    pub(super) fn has_minor_third(self) -> bool {
        matches!(self, Self::Minor | Self::Dorian)
    }

    /// Progressions that sound well in the mode again and again.
    pub(super) fn progressions(self) -> [Progression; 4] {
        match self {
            Self::Major => [[1, 5, 6, 4], [1, 6, 4, 5], [6, 4, 1, 5], [1, 4, 2, 5]],
            Self::Minor => [[1, 6, 3, 7], [1, 4, 6, 5], [1, 7, 6, 7], [1, 6, 4, 5]],
            Self::Dorian => [[1, 4, 1, 7], [1, 4, 7, 1], [1, 3, 4, 1], [1, 7, 4, 4]],
            Self::Lydian => [[1, 2, 1, 5], [1, 2, 6, 5], [6, 2, 1, 5], [1, 5, 2, 6]],
            Self::Mixolydian => [[1, 7, 4, 1], [1, 4, 7, 4], [1, 5, 7, 4], [4, 1, 7, 1]],
        }
    }

    /// The two chords that lead home: an authentic cadence, or by the flat seventh where the mode has one and a major
    /// third.
    pub(super) fn cadence(self) -> [i32; 2] {
        match self {
            Self::Mixolydian => [4, 7],
            Self::Lydian => [2, 5],
            _ => [4, 5],
        }
    }

    pub(super) fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, mode)| *mode == self);
        found.map_or("", |(name, _)| name)
    }
}

const TONICS: [&str; 12] = [
    "C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B",
];

/// Tonic and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// 0 is C.
    pub(super) tonic: i32,
    pub(super) mode: Mode,
}

impl Key {
    /// As in "F# minor".
    pub(super) fn name(self) -> String {
        let tonic = TONICS[self.tonic.rem_euclid(OCTAVE) as usize];
        format!("{tonic} {}", self.mode.name())
    }

    /// The pitch class of a degree from 1.
    pub(super) fn degree(self, degree: i32) -> i32 {
        let steps = self.mode.steps();
        (self.tonic + steps[(degree - 1).rem_euclid(SCALE) as usize]).rem_euclid(OCTAVE)
    }

    pub(super) fn holds(self, pitch: i32) -> bool {
        (1..=SCALE).any(|degree| self.degree(degree) == pitch.rem_euclid(OCTAVE))
    }

    /// The five degrees without a semitone between them: what folk tunes keep to.
    pub(super) fn pentatonic(self) -> [i32; 5] {
        if self.mode.has_minor_third() {
            [1, 3, 4, 5, 7]
        } else {
            [1, 2, 3, 5, 6]
        }
    }
}

/// Reads "A", "F#", "Bb minor", "D dorian".
pub(super) fn parse_key(text: &str) -> Option<(i32, Option<Mode>)> {
    let mut words = text.split_whitespace();
    let tonic = parse_tonic(words.next()?)?;
    let mode = match words.next() {
        None => None,
        Some(name) => {
            let name = name.to_ascii_lowercase();
            Some(Mode::NAMES.iter().find(|(known, _)| *known == name)?.1)
        }
    };
    words.next().is_none().then_some((tonic, mode))
}

fn parse_tonic(text: &str) -> Option<i32> {
    let mut letters = text.chars();
    let natural: i32 = match letters.next()?.to_ascii_uppercase() {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    };
    let shift = match letters.as_str() {
        "" => 0,
        "#" | "♯" => 1,
        "b" | "♭" => -1,
        _ => return None,
    };
    Some((natural + shift).rem_euclid(OCTAVE))
}

/// The notes that sound together, as pitch classes from the root up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chord {
    pub(super) classes: Vec<i32>,
    /// The scale's seventh, where the chord raises it to lead to the tonic.
    pub(super) raised: Option<i32>,
}

impl Chord {
    /// The triad of a degree, or its seventh chord. The fifth degree of a scale with a minor third gets the leading note
    /// when it leads home.
    pub(super) fn new(key: Key, degree: i32, seventh: bool, leads_home: bool) -> Self {
        let count = if seventh { 4 } else { 3 };
        let mut classes: Vec<i32> = (0..count)
            .map(|third| key.degree(degree + 2 * third))
            .collect();
        let raises = leads_home && degree == 5 && key.mode.has_minor_third();
        let raised = raises.then(|| key.degree(7));
        if let Some(low) = raised {
            classes[1] = (low + 1).rem_euclid(OCTAVE);
        }
        Self { classes, raised }
    }

    pub(super) fn root(&self) -> i32 {
        self.classes[0]
    }

    pub(super) fn fifth(&self) -> i32 {
        self.classes[2]
    }

    pub(super) fn has(&self, pitch: i32) -> bool {
        self.classes.contains(&pitch.rem_euclid(OCTAVE))
    }

    /// The chord's pitches from `low` up, as many as asked for.
    pub(super) fn from(&self, low: i32, count: usize) -> Vec<i32> {
        (low..)
            .filter(|pitch| self.has(*pitch))
            .take(count)
            .collect()
    }

    /// What is played of a scale's note over this chord.
    pub(super) fn bend(&self, pitch: i32) -> i32 {
        if self.raised == Some(pitch.rem_euclid(OCTAVE)) {
            pitch + 1
        } else {
            pitch
        }
    }
}

/// The pitch of this class that lies nearest to another pitch, the lower one of two.
pub(super) fn nearest(class: i32, to: i32) -> i32 {
    let above = to + (class - to).rem_euclid(OCTAVE);
    if above - to < OCTAVE / 2 {
        above
    } else {
        above - OCTAVE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_musicians_write_them() {
        assert_eq!(parse_key("A"), Some((9, None)));
        assert_eq!(parse_key("F# minor"), Some((6, Some(Mode::Minor))));
        assert_eq!(parse_key("bb Dorian"), Some((10, Some(Mode::Dorian))));
        assert_eq!(parse_key("Cb"), Some((11, None)));
        for wrong in ["", "H", "C##", "C minor third", "C locrian", "do"] {
            assert_eq!(parse_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_dominant_of_a_minor_key_leads_home_with_its_raised_seventh() {
        let key = Key {
            tonic: 9,
            mode: Mode::Minor,
        };
        assert_eq!(Chord::new(key, 5, false, false).classes, [4, 7, 11]);
        let dominant = Chord::new(key, 5, true, true);
        assert_eq!(dominant.classes, [4, 8, 11, 2], "E, G sharp, B, D");
        assert_eq!(dominant.bend(67), 68);
        assert_eq!(dominant.bend(69), 69);
    }

    #[test]
    fn the_pentatonic_scale_has_no_semitones() {
        for (_, mode) in Mode::NAMES {
            let key = Key {
                tonic: 2,
                mode: *mode,
            };
            let classes = key.pentatonic().map(|degree| key.degree(degree));
            for (index, class) in classes.iter().enumerate() {
                let next = classes[(index + 1) % 5];
                let gap = (next - class).rem_euclid(OCTAVE);
                assert!((2..=4).contains(&gap), "{mode:?}: {classes:?}");
            }
        }
    }

    #[test]
    fn the_nearest_pitch_of_a_class_is_at_most_half_an_octave_away() {
        for class in 0..12 {
            for to in 40..90 {
                let pitch = nearest(class, to);
                assert_eq!(pitch.rem_euclid(12), class);
                assert!((pitch - to).abs() <= 6, "{class} near {to}: {pitch}");
            }
        }
    }
}
