//! IPTC's older metadata (IIM 4.2, chapter 6) in the image resources of Photoshop: the fields of places by their names, and of their codes.

/// What stands before image resources in a JPEG segment.
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const RESOURCE: &[u8] = b"8BIM";
/// The resource that IIM stands in.
const IIM: [u8; 2] = [0x04, 0x04];
/// What each field begins with; its record and number and the two bytes of its length follow.
const MARK: u8 = 0x1C;
const HEADER: usize = 5;
/// Content Location Code and Name, City, Sublocation, Province/State, Country Code and Name of the second record.
const PLACES: [u8; 7] = [26, 27, 90, 92, 95, 100, 101];

/// Puts spaces in the place of such fields, wherever image resources are.
pub(super) fn blank(file: &mut [u8]) -> bool {
    let (mut changed, mut from) = (false, 0);
    while let Some(found) = super::find(&file[from..], PHOTOSHOP) {
        let begin = from + found + PHOTOSHOP.len();
        let end = super::segment_end(file, from + found).unwrap_or(file.len());
        if begin < end {
            changed |= blank_resources(&mut file[begin..end]);
        }
        from = begin;
    }
    changed
}

/// A resource is its mark, its number, a name and its data; name and data have their length before them and are of even length.
fn blank_resources(mut resources: &mut [u8]) -> bool {
    let mut changed = false;
    while resources.starts_with(RESOURCE) {
        let name = resources.get(6).map_or(0, |length| usize::from(*length));
        let data = 6 + (1 + name).next_multiple_of(2) + 4;
        let Some(length) = resources.get(data - 4..data) else {
            break;
        };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let is_iim = resources[4..6] == IIM;
        let end = data.saturating_add(length).min(resources.len());
        if is_iim {
            changed |= blank_fields(&mut resources[data..end]);
        }
        let next = data.saturating_add(length.next_multiple_of(2));
        let done = std::mem::take(&mut resources);
        resources = done.get_mut(next..).unwrap_or_default();
    }
    changed
}

fn blank_fields(mut fields: &mut [u8]) -> bool {
    let mut changed = false;
    while let Some([MARK, record, number, high, low]) = fields.first_chunk::<HEADER>() {
        let is_place = *record == 2 && PLACES.contains(number);
        // A length of more than 15 bits stands behind, and no place has one.
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(value) = fields.get_mut(HEADER..HEADER + length) else {
            break;
        };
        if is_place && value.iter().any(|byte| *byte != b' ') {
            value.fill(b' ');
            changed = true;
        }
        fields = &mut fields[HEADER + length..];
    }
    changed
}
