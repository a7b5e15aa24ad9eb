//! Files with the recipe that they were made by.

use bytes::Bytes;
use codec::provenance;

use crate::domain::sha256_hex;

use super::bounded::run_bounded;
use super::cost::Cost;
use super::facts::{Facts, InspectError, Limits};

/// Embeds `recipe`, a JSON text, in a file that was found to be whole, on a thread for blocking work. Its pixels and samples
/// stay, so of the facts only the size and the digest change.
///
/// # Errors
///
/// Why the file has no recipe, for whoever looks for one: the format has no place for it or too little, the file would
/// become larger than it may be, or the server is too busy. The file is to be kept as it is then.
pub async fn embed_recipe(
    content: Bytes,
    facts: &Facts,
    recipe: String,
    limits: &Limits,
) -> Result<(Bytes, Facts), String> {
    let (facts, max_bytes) = (facts.clone(), limits.max_bytes);
    let bytes = Cost::of_size(facts.format.kind(), content.len(), None).bytes;
    let work = move |_| Ok(embed(&content, facts, &recipe, max_bytes));
    match run_bounded(limits.max_duration, bytes, work).await {
        Ok(embedded) => embedded,
        Err(InspectError::Busy | InspectError::TimedOut) => Err("the server was too busy".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn embed(
    content: &[u8],
    facts: Facts,
    recipe: &str,
    max_bytes: u64,
) -> Result<(Bytes, Facts), String> {
    let embedded = provenance::embed(content, facts.format, recipe);
    let embedded = embedded.map_err(|error| error.to_string())?;
    let file_size = embedded.len() as u64;
    if file_size > max_bytes {
        return Err(format!(
            "the file would have {file_size} bytes, more than the {max_bytes} allowed"
        ));
    }
    let sha256 = sha256_hex(&embedded);
    let facts = Facts {
        file_size,
        sha256,
        ..facts
    };
    Ok((embedded, facts))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use codec::{Format, picture};
    use image::RgbImage;

    use super::super::inspect;
    use super::*;

    #[tokio::test]
    async fn the_facts_are_those_that_another_look_would_find() {
        let limits = Limits {
            max_bytes: 1 << 20,
            max_pixels: 1 << 20,
            max_frames: 1,
            max_length: Duration::from_secs(1),
            max_duration: Duration::from_secs(60),
        };
        let content = picture::encode(&RgbImage::new(40, 30), Format::Webp).unwrap();
        let before = inspect(content.clone(), &limits).await.unwrap();
        let embedded = embed_recipe(content.clone(), &before.facts, "{}".to_owned(), &limits).await;
        let (embedded, facts) = embedded.unwrap();
        let after = inspect(embedded.clone(), &limits).await.unwrap();
        assert_eq!(after.facts, facts);
        assert_ne!(facts.sha256, before.facts.sha256);
        assert_eq!(after.blurhash, before.blurhash);

        let max_bytes = embedded.len() as u64 - 1;
        let tight = Limits {
            max_bytes,
            ..limits
        };
        let refused = embed_recipe(content, &before.facts, "{}".to_owned(), &tight).await;
        assert_eq!(
            refused.unwrap_err(),
            format!(
                "the file would have {} bytes, more than the {max_bytes} allowed",
                embedded.len()
            )
        );
    }
}
