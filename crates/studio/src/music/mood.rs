//! What each mood sounds like.

use super::theory::Mode;
use crate::dice::Dice;
use crate::style::named;

named! {
    /// What a piece feels like.
    Mood {
        Happy = "happy",
        Sad = "sad",
        Calm = "calm",
        Energetic = "energetic",
        Cinematic = "cinematic",
        Festive = "festive",
        Lofi = "lofi",
        Romantic = "romantic",
        Dark = "dark",
    }
}

named! {
    /// Who plays.
    Ensemble {
        /// Piano over strings.
        Piano = "piano",
        /// Guitar, marimba and a round bass.
        Acoustic = "acoustic",
        /// Strings, plucked strings and a horn.
        Orchestra = "orchestra",
        /// Saws, filters and a square lead.
        Synth = "synth",
        /// Electric piano, guitar and vibraphone.
        Lounge = "lounge",
        /// Zither and bamboo flute, after the Vietnamese đàn tranh and sáo.
        Folk = "folk",
        /// Music box and harp.
        MusicBox = "music_box",
    }
}

named! {
    /// What the drums do.
    Beat {
        None = "none",
        /// A shaker and a muffled drum.
        Soft = "soft",
        Pop = "pop",
        /// Four to the floor.
        Dance = "dance",
        /// Slow, late and quiet.
        Lofi = "lofi",
        /// Big low drums.
        Epic = "epic",
        /// The big drum, cymbals and wood block of a lion dance.
        Festival = "festival",
    }
}

/// How the bass moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BassLine {
    /// One note a bar.
    Held,
    /// Root, then fifth.
    Halves,
    /// Root on every eighth.
    Eighths,
    /// Root and its octave in turn.
    Octaves,
    /// Ahead of the beat.
    Syncopated,
}

/// How many notes the melody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Density {
    Sparse,
    Medium,
    Busy,
}

/// How the energy runs over a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Sections with and without everything.
    Song,
    /// Ever more until the end.
    Rise,
    /// Even.
    Level,
}

/// The habits of a mood, within which the dice choose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Character {
    /// Least and most beats per minute.
    pub(super) tempo: (u32, u32),
    pub(super) modes: [Mode; 3],
    pub(super) ensembles: [Ensemble; 3],
    pub(super) beats: [Beat; 2],
    pub(super) bass: [BassLine; 2],
    pub(super) density: Density,
    pub(super) shape: Shape,
    /// Chords of four notes.
    pub(super) sevenths: bool,
    /// The melody keeps to five notes.
    pub(super) pentatonic: bool,
    /// How late every second sixteenth is, as a share of its length.
    pub(super) swing: f64,
    /// Sixteenths from one note of the arpeggio to the next.
    pub(super) stride: usize,
}

impl Mood {
    pub(super) fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, mood)| *mood == self);
        found.map_or("", |(name, _)| name)
    }

    /// For words that name none: what disturbs least.
    pub(super) fn any(dice: &mut Dice) -> Self {
        dice.pick([Self::Calm, Self::Happy, Self::Romantic, Self::Lofi])
    }

    pub(super) fn character(self) -> Character {
        match self {
            Self::Happy => HAPPY,
            Self::Sad => SAD,
            Self::Calm => CALM,
            Self::Energetic => ENERGETIC,
            Self::Cinematic => CINEMATIC,
            Self::Festive => FESTIVE,
            Self::Lofi => LOFI,
            Self::Romantic => ROMANTIC,
            Self::Dark => DARK,
        }
    }
}

impl Ensemble {
    pub(super) fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, ensemble)| *ensemble == self);
        found.map_or("", |(name, _)| name)
    }
}

const HAPPY: Character = Character {
    tempo: (104, 124),
    modes: [Mode::Major, Mode::Major, Mode::Mixolydian],
    ensembles: [Ensemble::Acoustic, Ensemble::Acoustic, Ensemble::Piano],
    beats: [Beat::Pop, Beat::Pop],
    bass: [BassLine::Syncopated, BassLine::Eighths],
    density: Density::Busy,
    shape: Shape::Song,
    sevenths: false,
    pentatonic: true,
    swing: 0.0,
    stride: 2,
};

const SAD: Character = Character {
    tempo: (60, 74),
    modes: [Mode::Minor, Mode::Minor, Mode::Dorian],
    ensembles: [Ensemble::Piano, Ensemble::Piano, Ensemble::Orchestra],
    beats: [Beat::None, Beat::None],
    bass: [BassLine::Held, BassLine::Halves],
    density: Density::Sparse,
    shape: Shape::Song,
    sevenths: false,
    pentatonic: false,
    swing: 0.0,
    stride: 2,
};

const CALM: Character = Character {
    tempo: (64, 80),
    modes: [Mode::Major, Mode::Lydian, Mode::Major],
    ensembles: [Ensemble::Piano, Ensemble::MusicBox, Ensemble::Acoustic],
    beats: [Beat::None, Beat::Soft],
    bass: [BassLine::Held, BassLine::Halves],
    density: Density::Sparse,
    shape: Shape::Level,
    sevenths: true,
    pentatonic: true,
    swing: 0.0,
    stride: 2,
};

const ENERGETIC: Character = Character {
    tempo: (120, 132),
    modes: [Mode::Minor, Mode::Dorian, Mode::Major],
    ensembles: [Ensemble::Synth; 3],
    beats: [Beat::Dance, Beat::Dance],
    bass: [BassLine::Octaves, BassLine::Eighths],
    density: Density::Busy,
    shape: Shape::Song,
    sevenths: false,
    pentatonic: true,
    swing: 0.0,
    stride: 1,
};

const CINEMATIC: Character = Character {
    tempo: (80, 98),
    modes: [Mode::Minor, Mode::Dorian, Mode::Major],
    ensembles: [Ensemble::Orchestra; 3],
    beats: [Beat::Epic, Beat::Epic],
    bass: [BassLine::Held, BassLine::Eighths],
    density: Density::Sparse,
    shape: Shape::Rise,
    sevenths: false,
    pentatonic: false,
    swing: 0.0,
    stride: 1,
};

const FESTIVE: Character = Character {
    tempo: (108, 124),
    modes: [Mode::Major, Mode::Major, Mode::Mixolydian],
    ensembles: [Ensemble::Folk; 3],
    beats: [Beat::Festival, Beat::Festival],
    bass: [BassLine::Halves, BassLine::Syncopated],
    density: Density::Busy,
    shape: Shape::Song,
    sevenths: false,
    pentatonic: true,
    swing: 0.0,
    stride: 2,
};

const LOFI: Character = Character {
    tempo: (70, 84),
    modes: [Mode::Dorian, Mode::Major, Mode::Minor],
    ensembles: [Ensemble::Lounge; 3],
    beats: [Beat::Lofi, Beat::Lofi],
    bass: [BassLine::Syncopated, BassLine::Halves],
    density: Density::Medium,
    shape: Shape::Song,
    sevenths: true,
    pentatonic: true,
    swing: 0.28,
    stride: 2,
};

const ROMANTIC: Character = Character {
    tempo: (66, 82),
    modes: [Mode::Major, Mode::Major, Mode::Lydian],
    ensembles: [Ensemble::Piano, Ensemble::Orchestra, Ensemble::Acoustic],
    beats: [Beat::None, Beat::Soft],
    bass: [BassLine::Halves, BassLine::Held],
    density: Density::Medium,
    shape: Shape::Song,
    sevenths: true,
    pentatonic: false,
    swing: 0.0,
    stride: 2,
};

const DARK: Character = Character {
    tempo: (62, 80),
    modes: [Mode::Minor, Mode::Minor, Mode::Dorian],
    ensembles: [Ensemble::Orchestra, Ensemble::Synth, Ensemble::Piano],
    beats: [Beat::None, Beat::Epic],
    bass: [BassLine::Held, BassLine::Held],
    density: Density::Sparse,
    shape: Shape::Rise,
    sevenths: false,
    pentatonic: false,
    swing: 0.0,
    stride: 4,
};
