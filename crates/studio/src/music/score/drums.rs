//! What the drums play: bars of sixteen steps, with fills and a crash where a section begins.

use super::super::mood::Beat;
use super::plan::{Bar, PHRASE, Plan, Section};
use super::sheet::{Drum, Part, STEPS_PER_BAR, Sheet, Strike};
use crate::dice::Dice;

/// A drum's bar: `X` accented, `x` plain, `o` soft, `.` nothing.
type Line = (Drum, &'static str);

/// The energy from which on the full pattern is played, and below which nothing is.
const FULL: f32 = 0.8;
const LEAST: f32 = 0.5;

pub(super) fn write(plan: &Plan, beat: Beat, sheet: &mut Sheet, dice: &mut Dice) {
    if beat == Beat::None {
        return;
    }
    for (index, bar) in plan.bars.iter().enumerate() {
        if bar.energy < LEAST || bar.section == Section::Break {
            continue;
        }
        let lines = if bar.energy >= FULL {
            full(beat)
        } else {
            plain(beat)
        };
        let fills =
            bar.is_last_of_section() && bar.length >= PHRASE && bar.section != Section::Close;
        let until = if fills { 12 } else { STEPS_PER_BAR };
        for (drum, pattern) in lines {
            line(sheet, index, bar, (*drum, pattern), until, dice);
        }
        if fills {
            fill(sheet, index, beat);
        }
        if bar.place == 0 && bar.section == Section::Lift {
            accent(sheet, beat, (index * 4) as f64, 0.7);
        }
    }
    accent(sheet, beat, plan.home_beat(), 0.8);
}

fn line(
    sheet: &mut Sheet,
    index: usize,
    bar: &Bar,
    (drum, pattern): Line,
    until: usize,
    dice: &mut Dice,
) {
    for (step, letter) in pattern.bytes().enumerate().take(until) {
        let level = match letter {
            b'X' => 1.0,
            b'x' => 0.72,
            // A soft stroke is left out now and then, as a player would.
            b'o' if dice.chance(0.85) => 0.42,
            _ => continue,
        };
        let velocity = level * (0.55 + 0.4 * bar.energy);
        sheet.step(
            Part::Drums,
            Strike::Drum(drum),
            (index, step),
            1.0,
            velocity,
        );
    }
}

/// The last beat of a section runs into the next.
fn fill(sheet: &mut Sheet, index: usize, beat: Beat) {
    let drum = match beat {
        Beat::None | Beat::Soft => return,
        Beat::Pop | Beat::Dance => Drum::Snare,
        Beat::Lofi => Drum::Rim,
        Beat::Epic => Drum::Taiko,
        Beat::Festival => Drum::Tom,
    };
    for step in 12..STEPS_PER_BAR {
        let velocity = 0.45 + 0.12 * (step - 12) as f32;
        sheet.step(
            Part::Drums,
            Strike::Drum(drum),
            (index, step),
            1.0,
            velocity,
        );
    }
}

/// What marks the beginning of a section, and the end.
fn accent(sheet: &mut Sheet, beat: Beat, at: f64, velocity: f32) {
    let drums: &[Drum] = match beat {
        Beat::None => &[],
        Beat::Soft => &[Drum::Shaker],
        Beat::Pop | Beat::Dance => &[Drum::Crash, Drum::Kick],
        Beat::Lofi => &[Drum::Kick, Drum::OpenHat],
        Beat::Epic => &[Drum::Taiko, Drum::Crash],
        Beat::Festival => &[Drum::Gong, Drum::Tom, Drum::Cymbals],
    };
    for drum in drums {
        sheet.beat(Part::Drums, Strike::Drum(*drum), at, 1.0, velocity);
    }
}

/// What is played when a piece has begun and keeps something back.
fn plain(beat: Beat) -> &'static [Line] {
    match beat {
        Beat::None => &[],
        Beat::Soft => &[
            (Drum::Shaker, "o.x.o.x.o.x.o.x."),
            (Drum::Kick, "o.........o....."),
        ],
        Beat::Pop => &[
            (Drum::Kick, "X.........X....."),
            (Drum::Rim, "....x.......x..."),
            (Drum::ClosedHat, "x.o.x.o.x.o.x.o."),
        ],
        Beat::Dance => &[
            (Drum::Kick, "X...X...X...X..."),
            (Drum::ClosedHat, "..x...x...x...x."),
        ],
        Beat::Lofi => &[
            (Drum::Kick, "X.........x....."),
            (Drum::Rim, "....x.......x..."),
            (Drum::ClosedHat, "x.o.x.o.x.o.x.oo"),
        ],
        Beat::Epic => &[(Drum::Taiko, "X.......x.....o.")],
        Beat::Festival => &[
            (Drum::Tom, "X.x.x...X.x.x.x."),
            (Drum::WoodBlock, "x...x...x...x.x."),
        ],
    }
}

fn full(beat: Beat) -> &'static [Line] {
    match beat {
        Beat::None => &[],
        Beat::Soft => &[
            (Drum::Shaker, "x.x.x.x.x.x.x.xo"),
            (Drum::Kick, "x.........x....."),
        ],
        Beat::Pop => &[
            (Drum::Kick, "X.....x.X.x....."),
            (Drum::Snare, "....X.......X..o"),
            (Drum::ClosedHat, "x.x.x.x.x.x.x.x."),
            (Drum::Shaker, "o.o.o.o.o.o.o.o."),
        ],
        Beat::Dance => &[
            (Drum::Kick, "X...X...X...X..."),
            (Drum::Clap, "....X.......X..."),
            (Drum::OpenHat, "..x...x...x...x."),
            (Drum::ClosedHat, "ooxoooxoooxoooxo"),
        ],
        Beat::Lofi => &[
            (Drum::Kick, "X......x..x....."),
            (Drum::Snare, "....x.......x..."),
            (Drum::ClosedHat, "x.x.x.xox.x.x.xo"),
        ],
        Beat::Epic => &[
            (Drum::Taiko, "X..x..x.X..x..xx"),
            (Drum::Tom, "..o..o..x.o..oxx"),
        ],
        Beat::Festival => &[
            (Drum::Tom, "X.xxX.x.X.xxX.xx"),
            (Drum::Cymbals, "..x...x...x...x."),
            (Drum::WoodBlock, "x...x.x.x...x.x."),
        ],
    }
}
