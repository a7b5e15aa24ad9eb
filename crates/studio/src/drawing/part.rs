//! What the things on a canvas are to an animation.

/// A thing that moves for itself. The coordinates are pixels of the canvas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Part {
    /// Never moves.
    Still,
    /// The gradient under everything.
    Backdrop,
    /// The decoration.
    Motif,
    /// A decoration of rays around a point.
    Rays(f32, f32),
    /// A piece of confetti.
    Piece,
    /// An ornament in the corner at a point.
    Corner(f32, f32),
    /// The ground of the words, and in which direction from it the art lies: a step along x and y. It goes on outside the
    /// canvas on the other side.
    Panel((i8, i8)),
    /// A card, or its rim.
    Card,
    QuotationMark,
    Medallion,
    /// A number of a countdown, in the place of the medallion.
    Count(u8),
    Seal,
    Kicker,
    /// One line of the headline.
    Headline,
    /// The short line between the headline and what follows.
    Rule,
    Subline,
    Details,
    Author,
    Footer,
}
