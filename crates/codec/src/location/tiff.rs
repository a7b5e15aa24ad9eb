//! Exif: a TIFF file, whose first directories name one with what GPS has said (Exif 2.32, section 4.6.3).

const GPS_DIRECTORY: u16 = 0x8825;
const ENTRY: usize = 12;
/// More directories in a row than any camera writes.
const MOST_DIRECTORIES: usize = 16;

/// Overwrites the directory of GPS with all that it refers to, and takes its name out of the others.
pub(super) fn blank(tiff: &mut [u8]) -> bool {
    let Some(mut file) = Tiff::of(tiff) else {
        return false;
    };
    let (mut changed, mut next) = (false, file.long(4));
    for _ in 0..MOST_DIRECTORIES {
        let Some(directory) = next.filter(|at| *at > 0) else {
            break;
        };
        while file.take_gps(directory) == Some(true) {
            changed = true;
        }
        next = file
            .entries(directory)
            .and_then(|count| file.long(directory + 2 + count * ENTRY));
    }
    changed
}

struct Tiff<'a> {
    bytes: &'a mut [u8],
    is_little: bool,
}

impl<'a> Tiff<'a> {
    fn of(bytes: &'a mut [u8]) -> Option<Self> {
        let is_little = match bytes.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        Some(Self { bytes, is_little })
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(match self.is_little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        let long = match self.is_little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        };
        usize::try_from(long).ok()
    }

    /// How many entries a directory has.
    fn entries(&self, directory: usize) -> Option<usize> {
        let count = usize::from(self.short(directory)?);
        let end = directory + 2 + count * ENTRY;
        (end <= self.bytes.len()).then_some(count)
    }

    /// Takes one entry for GPS out of a directory; false if there is none.
    fn take_gps(&mut self, directory: usize) -> Option<bool> {
        let count = self.entries(directory)?;
        let place = |index: usize| directory + 2 + index * ENTRY;
        let Some(index) = (0..count).find(|it| self.short(place(*it)) == Some(GPS_DIRECTORY))
        else {
            return Some(false);
        };
        if let Some(gps) = self.long(place(index) + 8) {
            self.erase(gps);
        }
        // With what follows the last entry: where the next directory is.
        let end = (place(count) + 4).min(self.bytes.len());
        self.bytes.copy_within(place(index + 1)..end, place(index));
        self.bytes[end - ENTRY..end].fill(0);
        let left = u16::try_from(count - 1).ok()?;
        let left = match self.is_little {
            true => left.to_le_bytes(),
            false => left.to_be_bytes(),
        };
        self.bytes[directory..directory + 2].copy_from_slice(&left);
        Some(true)
    }

    fn erase(&mut self, directory: usize) {
        let Some(count) = self.entries(directory) else {
            return;
        };
        for index in 0..count {
            let entry = directory + 2 + index * ENTRY;
            let values = self.short(entry + 2).zip(self.long(entry + 4));
            let length = values.map_or(0, |(kind, many)| size_of(kind).saturating_mul(many));
            let outside = self.long(entry + 8).filter(|_| length > 4);
            if let Some(begin) = outside {
                let end = begin.saturating_add(length).min(self.bytes.len());
                if begin < end {
                    self.bytes[begin..end].fill(0);
                }
            }
        }
        self.bytes[directory..directory + 2 + count * ENTRY].fill(0);
    }
}

/// Bytes of a value of a type (TIFF 6.0, section 2).
fn size_of(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 => 4,
        5 | 10 | 12 => 8,
        _ => 0,
    }
}
