//! A few colours for many: what a format of 256 colours shows of a picture.

/// Bits of each channel by which colours are told apart.
const BITS: u32 = 6;
const BINS: usize = 1 << (3 * BITS);
/// Not yet asked for.
const UNKNOWN: u16 = u16::MAX;

/// Colours chosen for a picture, with the nearest one to any other.
pub(super) struct Palette {
    colours: Vec<[u8; 3]>,
    nearest: Vec<u16>,
}

/// All colours of one bin.
#[derive(Clone, Copy)]
struct Bin {
    count: u64,
    sums: [u64; 3],
}

impl Bin {
    fn mean(&self, channel: usize) -> f64 {
        self.sums[channel] as f64 / self.count.max(1) as f64
    }
}

/// Bins that one colour will stand for.
struct Cluster {
    bins: Vec<Bin>,
    /// The channel along which its colours differ most.
    widest: usize,
    mean: [f64; 3],
    /// Squared distances of all its pixels from the mean, along the widest channel.
    spread: f64,
}

impl Cluster {
    fn new(bins: Vec<Bin>) -> Self {
        let count: f64 = bins.iter().map(|bin| bin.count as f64).sum();
        let mean = [0, 1, 2].map(|channel| {
            let sum: f64 = bins.iter().map(|bin| bin.sums[channel] as f64).sum();
            sum / count.max(1.0)
        });
        let spreads = [0, 1, 2].map(|channel: usize| {
            let apart = |bin: &Bin| (bin.mean(channel) - mean[channel]).powi(2) * bin.count as f64;
            bins.iter().map(apart).sum::<f64>()
        });
        let widest = (0..3).max_by(|a, b| spreads[*a].total_cmp(&spreads[*b]));
        let widest = widest.unwrap_or(0);
        Self {
            bins,
            widest,
            mean,
            spread: spreads[widest],
        }
    }

    /// Its darker and its lighter part along the widest channel.
    fn split(self) -> (Self, Self) {
        let at = self.mean[self.widest];
        let (low, high) = self
            .bins
            .into_iter()
            .partition(|bin| bin.mean(self.widest) <= at);
        (Self::new(low), Self::new(high))
    }
}

impl Palette {
    /// At most `most` colours (1 to 256) for these pixels: again and again, the cluster whose colours differ most is split
    /// at its mean (Wan, Wong and Prusinkiewicz, "An algorithm for multidimensional data clustering", 1988).
    pub(super) fn for_pixels<'a>(pixels: impl Iterator<Item = &'a [u8]>, most: usize) -> Self {
        let mut clusters = vec![Cluster::new(bins(pixels))];
        while clusters.len() < most {
            let worst = (0..clusters.len())
                .filter(|index| clusters[*index].spread > 0.0)
                .max_by(|a, b| clusters[*a].spread.total_cmp(&clusters[*b].spread));
            let Some(worst) = worst else { break };
            let (low, high) = clusters.swap_remove(worst).split();
            clusters.extend([low, high].into_iter().filter(|part| !part.bins.is_empty()));
        }
        Self {
            colours: clusters
                .iter()
                // Means of bytes, so the casts cannot truncate.
                .map(|cluster| cluster.mean.map(|value| value.round() as u8))
                .collect(),
            nearest: vec![UNKNOWN; BINS],
        }
    }

    /// Red, green and blue of each colour.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.colours.concat()
    }

    /// The index of the colour nearest to a pixel.
    pub(super) fn index_of(&mut self, pixel: &[u8]) -> u8 {
        let bin = bin_of(pixel);
        if self.nearest[bin] == UNKNOWN {
            let nearest = (0..self.colours.len())
                .min_by_key(|index| distance(self.colours[*index], pixel))
                .unwrap_or(0);
            // At most 256 colours.
            self.nearest[bin] = nearest as u16;
        }
        self.nearest[bin] as u8
    }

    /// How far the colours are from these pixels: the mean of the squared distances.
    pub(super) fn error<'a>(&mut self, pixels: impl Iterator<Item = &'a [u8]>) -> f64 {
        let (mut sum, mut count) = (0_u64, 0_u64);
        for pixel in pixels {
            let index = usize::from(self.index_of(pixel));
            sum += u64::from(distance(self.colours[index], pixel));
            count += 1;
        }
        sum as f64 / count.max(1) as f64
    }
}

fn bin_of(pixel: &[u8]) -> usize {
    pixel.iter().take(3).fold(0, |bin, value| {
        bin << BITS | usize::from(value >> (8 - BITS))
    })
}

fn bins<'a>(pixels: impl Iterator<Item = &'a [u8]>) -> Vec<Bin> {
    let empty = Bin {
        count: 0,
        sums: [0; 3],
    };
    let mut bins = vec![empty; BINS];
    for pixel in pixels {
        let bin = &mut bins[bin_of(pixel)];
        bin.count += 1;
        for (sum, value) in bin.sums.iter_mut().zip(pixel) {
            *sum += u64::from(*value);
        }
    }
    bins.retain(|bin| bin.count > 0);
    bins
}

fn distance(colour: [u8; 3], pixel: &[u8]) -> u32 {
    colour
        .iter()
        .zip(pixel)
        .map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_are_kept_as_they_are() {
        let pixels: Vec<u8> = [[250, 10, 10], [12, 200, 40], [1, 2, 3], [250, 10, 10]].concat();
        let mut palette = Palette::for_pixels(pixels.chunks_exact(3), 255);
        assert_eq!(palette.bytes().len(), 9);
        assert_eq!(palette.error(pixels.chunks_exact(3)), 0.0);
    }

    #[test]
    fn many_colours_become_near_ones() {
        let pixels: Vec<u8> = (0..=255_u8)
            .flat_map(|grey| [grey, grey, 255 - grey])
            .collect();
        let mut palette = Palette::for_pixels(pixels.chunks_exact(3), 32);
        assert_eq!(palette.bytes().len(), 32 * 3);
        assert!(palette.error(pixels.chunks_exact(3)) < 30.0);
    }
}
