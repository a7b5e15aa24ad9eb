//! White noise that is the same on every machine.

/// Xorshift (Marsaglia, 2003): quick, and random enough to hear.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    state: u32,
}

impl Noise {
    pub(super) fn new(seed: u32) -> Self {
        // Zero would stay zero for ever.
        Self {
            state: seed.wrapping_mul(0x9e37_79b1) | 1,
        }
    }

    /// Uniform in -1.0..1.0.
    pub(super) fn next(&mut self) -> f32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        (self.state >> 8) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}
