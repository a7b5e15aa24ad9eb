//! What ComfyUI tells while it works, see [`crate::fuzzing`].

use std::collections::BTreeMap;

use bytes::Bytes;

use super::overview::{Heard, Overview};

pub(in crate::provider) fn message(bytes: &[u8]) {
    let titles = BTreeMap::from([("3".to_owned(), "KSampler".to_owned())]);
    let mut overview = Overview::new(titles, BTreeMap::new());
    let message = serde_json::from_slice(bytes).unwrap_or_default();
    let heard = [
        overview.hear(&message),
        overview.hear_v2(&message, None),
        overview.see(&Bytes::copy_from_slice(bytes)),
    ];
    for heard in heard {
        if let Heard::Progress(progress) = heard {
            assert!(
                (0.0..=1.0).contains(&progress.fraction),
                "{}",
                progress.fraction
            );
        }
    }
}
