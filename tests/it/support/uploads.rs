//! Files that users give.

use atelier::rpc::proto::{Upload, UploadHead, UploadMediaRequest, upload_media_request::Part};
use codec::Format;
use image::{Rgb, RgbImage};
use tonic::Status;

use crate::support::client::Client;
use crate::support::server::within;

/// A picture whose left half has this colour.
pub(crate) fn picture(colour: [u8; 3], format: Format) -> Vec<u8> {
    let colours = [Rgb(colour), Rgb([240, 240, 240])];
    let picture = RgbImage::from_fn(64, 48, |x, _| colours[usize::from(x >= 32)]);
    codec::picture::encode(&picture, format).unwrap().to_vec()
}

/// A picture of one colour.
pub(crate) fn plain_picture(colour: [u8; 3], format: Format) -> Vec<u8> {
    let picture = RgbImage::from_pixel(64, 48, Rgb(colour));
    codec::picture::encode(&picture, format).unwrap().to_vec()
}

/// One that no other name has.
pub(crate) fn picture_named(name: &str) -> Vec<u8> {
    let mut bytes = name.bytes().chain([0; 3]);
    let colour = [(); 3].map(|()| bytes.next().unwrap());
    picture(colour, Format::Png)
}

/// What a file is sent with.
pub(crate) fn head(user_id: i64) -> UploadHead {
    UploadHead {
        user_id,
        ..Default::default()
    }
}

/// The messages of an upload, in chunks of a size that divides nothing.
pub(crate) fn parts(head: UploadHead, file: &[u8]) -> Vec<UploadMediaRequest> {
    let chunks = file.chunks(997).map(|chunk| Part::Chunk(chunk.to_vec()));
    let parts = [Part::Head(head)].into_iter().chain(chunks);
    parts
        .map(|part| UploadMediaRequest { part: Some(part) })
        .collect()
}

impl Client {
    /// Uploads a file that must be taken.
    pub(crate) async fn upload(&self, user_id: i64, file: &[u8]) -> Upload {
        self.try_upload(head(user_id), file).await.unwrap()
    }

    pub(crate) async fn try_upload(&self, head: UploadHead, file: &[u8]) -> Result<Upload, Status> {
        let parts = tokio_stream::iter(parts(head, file));
        let uploaded = within(self.media().upload_media(parts)).await?;
        Ok(uploaded.into_inner().upload.unwrap())
    }
}
