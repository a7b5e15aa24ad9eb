//! Calls whose messages are bytes, so that anything can be said to any method.

use bytes::{Buf, BufMut, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

/// Calls the method of `path`, such as "/generation.v1.JobService/GetJob", with these messages.
pub(crate) async fn call(
    channel: Channel,
    path: &str,
    messages: Request<impl tokio_stream::Stream<Item = Bytes> + Send + 'static>,
) -> Result<Response<Streaming<Bytes>>, Status> {
    let path: PathAndQuery = path.parse().unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    client.streaming(messages, path, Raw).await
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
