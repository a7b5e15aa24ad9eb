//! Large objects go to a bucket in parts: each has the time of a request, and only what has failed is sent again.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as ObjectPath;
use object_store::{Attributes, PutMultipartOptions};

use super::Storage;

/// Bytes of a part. What is smaller goes at once.
pub(super) const PART: usize = 8 << 20;
/// Parts that are on their way at once.
const AT_ONCE: usize = 3;

impl Storage {
    /// Stores an object, whole or not at all: it is there when all of its parts are.
    pub(super) async fn put_in_parts(
        &self,
        path: &ObjectPath,
        mut content: Bytes,
        attributes: Attributes,
    ) -> object_store::Result<()> {
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let mut upload = self.store().put_multipart_opts(path, options).await?;
        let mut parts = Vec::new();
        while !content.is_empty() {
            let part = content.split_to(content.len().min(PART));
            parts.push(upload.put_part(part.into()));
        }
        let sent = stream::iter(parts)
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>();
        let done = match sent.await {
            Ok(_) => upload.complete().await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            // What is left of it costs its owner until the bucket's own rules remove it.
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "the parts of an object that was not stored may be left in the bucket");
            }
            return Err(error);
        }
        Ok(())
    }
}
