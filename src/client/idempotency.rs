//! Gives a CreateRequest that has no idempotency key one, so that it can be sent again.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use uuid::Uuid;

use super::proto::CreateRequestRequest;

/// A gRPC message on the wire: a flag for compression, the length, and the bytes.
const PREFIX: usize = 5;

/// The body of a CreateRequest with an idempotency key in it. `None` when the message cannot be read here, because it is
/// compressed or broken.
pub(super) fn with_key(body: &Bytes) -> Option<Bytes> {
    if *body.first()? != 0 {
        return None;
    }
    let mut message = CreateRequestRequest::decode(body.get(PREFIX..)?).ok()?;
    if !message.idempotency_key.is_empty() {
        return Some(body.clone());
    }
    message.idempotency_key = Uuid::new_v4().to_string();
    let length = u32::try_from(message.encoded_len()).ok()?;
    let mut body = BytesMut::with_capacity(PREFIX + message.encoded_len());
    body.put_u8(0);
    body.put_u32(length);
    message.encode(&mut body).ok()?;
    Some(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(message: &CreateRequestRequest) -> Bytes {
        let mut body = BytesMut::new();
        body.put_u8(0);
        body.put_u32(message.encoded_len().try_into().unwrap());
        message.encode(&mut body).unwrap();
        body.freeze()
    }

    #[test]
    fn a_request_without_a_key_gets_one_and_keeps_the_rest() {
        let request = CreateRequestRequest {
            user_prompt: "trà đá".to_owned(),
            ..Default::default()
        };
        let sent = with_key(&body(&request)).unwrap();
        let mut message = CreateRequestRequest::decode(&sent[PREFIX..]).unwrap();
        assert_eq!(sent, body(&message));
        assert_eq!(message.idempotency_key.len(), 36);
        message.idempotency_key.clear();
        assert_eq!(message, request);
    }

    #[test]
    fn a_key_of_the_caller_stays() {
        let request = CreateRequestRequest {
            idempotency_key: "order-17".to_owned(),
            ..Default::default()
        };
        assert_eq!(with_key(&body(&request)), Some(body(&request)));
    }

    #[test]
    fn what_cannot_be_read_gets_none() {
        assert_eq!(with_key(&Bytes::new()), None);
        assert_eq!(with_key(&Bytes::from_static(&[1, 0, 0, 0, 0])), None);
        assert_eq!(with_key(&Bytes::from_static(&[0, 0, 0, 0, 1, 7])), None);
    }
}
