//! What a media row knows of its file beside its columns, see docs/domain.md#facts-of-a-file.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{JsonMap, MediaRole};

/// The open `metadata` of a media row. A value of another type than ours counts as not there: other programs may have
/// written it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaMetadata {
    /// Found in the bytes, such as `png`: a [`codec::Format`].
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Of the file, in lower-case hexadecimal, as in the column.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Pixels.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    /// Pixels.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    /// Exact length of a video or sound, rounded to the nearest millisecond.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Frames per second of a video, on average.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Such as `h264`, `vp9` or `gif`.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<String>,
    /// Such as `pcm_s16le` or `opus`.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Of the sound.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub channels: Option<i32>,
    /// Hertz.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<i32>,
    /// The one that made the file, if the provider tells.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The media that this one was made of.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub original_id: Option<i64>,
    /// Its other keys.
    #[serde(flatten)]
    pub notes: MediaNotes,
}

/// What no field of a media message tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MediaNotes {
    /// Of the request, from 0: that of the job.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub variation: Option<i32>,
    /// The output among those of its job.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// What a thumbnail was asked for with, in pixels on its longest side.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub thumbnail_size: Option<u32>,
    /// Why the BlurHash does not show the content.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub undecoded: Option<String>,
    /// How the picture is damaged that is shown as far as it goes.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub damaged: Option<String>,
    /// Why the file does not hold its recipe although it should.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub recipe_not_embedded: Option<String>,
    /// What the provider or another program tells.
    #[serde(flatten)]
    pub extra: JsonMap,
}

/// A file that could not be made of an output, as the job's `output_metadata.omitted` tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Omission {
    /// The output among those of its job.
    pub index: usize,
    /// What the file would have been to the output.
    pub role: MediaRole,
    /// A sentence for the user.
    pub reason: &'static str,
    /// The one wanted; `None` for all other roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The one wanted, in pixels on the longest side; `None` for all other roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_size: Option<u32>,
}

/// What was done to an output before it was kept, as the job's `output_metadata.remarks` tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Remark {
    /// The output among those of its job.
    pub index: usize,
    /// A sentence for the user.
    pub remark: &'static str,
}

impl MediaMetadata {
    /// The metadata of a row, or what a provider tells of a file.
    pub fn read(map: JsonMap) -> Self {
        let mut read: Self = serde_json::from_value(map.into()).unwrap_or_default();
        // The column of that name tells it.
        read.notes.extra.remove("role");
        read
    }
}

/// The keys as they are stored.
pub fn to_map(typed: impl Serialize) -> JsonMap {
    match serde_json::to_value(typed) {
        Ok(Value::Object(map)) => map,
        _ => JsonMap::new(),
    }
}

fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: Value) -> MediaMetadata {
        MediaMetadata::read(json.as_object().cloned().unwrap_or_default())
    }

    #[test]
    fn what_is_written_is_read_with_everything_else_that_is_told() {
        let stored = json!({
            "format": "mp4", "sha256": "00", "width": 64, "height": 48, "duration_ms": 1500, "fps": 29.97,
            "video_codec": "h264", "audio_codec": "aac", "channels": 2, "sample_rate": 48000, "seed": 4294967295_u32,
            "original_id": 7, "variation": 0, "index": 1, "thumbnail_size": 320, "undecoded": "no", "damaged": "half", "recipe_not_embedded": "x",
            "model": "m", "steps": [1, 2.5],
        });
        let metadata = read(stored.clone());
        assert_eq!(metadata.notes.extra.len(), 2);
        assert_eq!(Value::Object(to_map(&metadata)), stored);
    }

    #[test]
    fn one_odd_value_spoils_no_other() {
        let metadata =
            read(json!({ "width": "wide", "height": 48, "index": -1, "role": "x", "model": null }));
        assert_eq!((metadata.width, metadata.height), (None, Some(48)));
        assert_eq!(metadata.notes.index, None);
        assert_eq!(
            Value::Object(metadata.notes.extra),
            json!({ "model": null })
        );
    }
}
