//! `audio/speech`: the sound itself is the answer.

use axum::{
    extract::{Request, State},
    http::HeaderMap,
    response::Response,
};

use crate::domain::{Flaw, MediaType};

use super::{Front, fields::Fields, refusal::Refusal};

pub(super) async fn speak(
    State(front): State<Front>,
    headers: HeaderMap,
    call: Request,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_json(call).await?;
    let stream = fields.text("stream_format");
    let is_whole = stream.is_none_or(|stream| stream == "audio");
    fields.checks.require(is_whole, "stream_format", || {
        Flaw::NotSupported.says("must be audio: sound is sent when it is finished")
    });
    let asked = front.ask(MediaType::Audio, fields, &headers).await?;
    let made = front.outcome(asked.request.id).await?;
    let outputs = made
        .iter()
        .flat_map(|made| made.outputs(asked.format.as_deref()));
    match outputs.into_iter().next() {
        Some(media) => front.send(media, &HeaderMap::new()).await,
        None => Err(Refusal::gone(asked.request.id)),
    }
}
