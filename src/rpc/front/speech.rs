//! `audio/speech`: the sound itself is the answer, as a file or as events.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use codec::{Format, sound};
use futures::stream;
use serde_json::{Value, json};

use crate::{
    domain::{Checks, Error, FeatureProperties, Flaw, MediaType, OutputSettings, stored},
    entity::feature,
    media::run_bounded,
    store::media::Shown,
};

use super::{
    Front, REQUEST,
    fields::Fields,
    outcome::{key_of, tell_ignored, unreadable},
    refusal::Refusal,
};

/// Samples without a header: 16 bits of one channel, little-endian.
const PCM: &str = "pcm";
const PCM_RATE: u32 = 24_000;
/// Bytes of memory for each sample, while there come ever more of them.
const OF_SAMPLE: u64 = 4;
/// Bytes of memory for a decoder of sound.
const TABLES: u64 = 16 << 20;
/// What can be read for sure, so that samples can be made of it, the best first. An Ogg file may hold what nothing here reads.
const SURELY_READ: [Format; 3] = [Format::Wav, Format::Flac, Format::Mp3];
/// Bytes of the sound in an event.
const PART: usize = 24 * 1024;

pub(super) async fn speak(
    front: Front,
    headers: HeaderMap,
    call: Request,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_json(call).await?;
    let stream = fields.text("stream_format").unwrap_or_default();
    let is_known = ["", "audio", "sse"].contains(&stream.as_str());
    fields.checks.require(is_known, "stream_format", || {
        let words = format!("must be audio or sse, got {stream:?}");
        Flaw::NotOneOf.says(words).allowed(["audio", "sse"])
    });
    let is_raw = fields.values.get("response_format").and_then(Value::as_str) == Some(PCM);
    let asked = front.ask(MediaType::Audio, fields, &headers).await?;
    let made = front.outcome(asked.request.id).await?;
    let mut outputs = made
        .iter()
        .flat_map(|made| made.outputs(asked.format.as_deref()));
    let media = outputs.next();
    let media = media.ok_or_else(|| Refusal::gone(asked.request.id))?;
    if stream != "sse" && !is_raw {
        let mut response = front.send(media, &HeaderMap::new()).await?;
        tell_ignored(&mut response, &made, &asked);
        return Ok(response);
    }
    let sound = front.sound(media, is_raw).await;
    let sound = sound.map_err(|error| Refusal::from(error).of_request(media.request_id))?;
    let mut response = match stream.as_str() {
        "sse" => events(sound),
        _ => ([(header::CONTENT_TYPE, "audio/pcm")], sound).into_response(),
    };
    let id = HeaderValue::from(media.request_id);
    response.headers_mut().insert(REQUEST, id);
    tell_ignored(&mut response, &made, &asked);
    Ok(response)
}

/// Finds out what to ask for, so that the answer can have the format that is wanted.
pub(super) fn fit_format(
    feature: &feature::Model,
    output: &mut OutputSettings,
    checks: &mut Checks,
) {
    let Some(name) = output.format.clone().filter(|name| !name.is_empty()) else {
        return;
    };
    let properties: FeatureProperties = stored::show(feature.properties.clone());
    let formats = properties.formats(feature.category);
    let readable = SURELY_READ
        .into_iter()
        .find(|format| formats.contains(format));
    output.format = match name.parse() {
        Ok(format) if formats.contains(&format) => return,
        _ if name == PCM => readable.map(|format| format.to_string()),
        _ => None,
    };
    checks.require(output.format.is_some(), "response_format", || {
        let names = formats.iter().map(Format::to_string);
        let names: Vec<_> = names.chain(readable.map(|_| PCM.to_owned())).collect();
        let words = format!(
            "must be a format that {:?} can be had in: {}, got {name:?}",
            feature.name,
            names.join(", ")
        );
        Flaw::NotOneOf.says(words).allowed(names).found(&name)
    });
}

impl Front {
    /// The whole file, or its samples.
    async fn sound(&self, media: &Shown, is_raw: bool) -> Result<Bytes, Error> {
        let key = key_of(media)?;
        let content = self.app.storage.read(&key).await;
        let content = content.map_err(|error| unreadable(media, error))?;
        if !is_raw {
            return Ok(content);
        }
        let (limits, format) = (self.settings.limits, key.format());
        let seconds = media.media.duration.and_then(|it| u64::try_from(it).ok());
        let seconds = seconds.unwrap_or(limits.max_length.as_secs());
        let bytes = TABLES + content.len() as u64 + seconds * u64::from(PCM_RATE) * OF_SAMPLE;
        let samples = run_bounded(limits.max_duration, bytes, move |stop| {
            let bounds = limits.bounds(stop);
            Ok(sound::raw(&content, format, PCM_RATE, &bounds)?)
        });
        samples.await.map_err(Error::internal)
    }
}

/// The sound in parts, and that it was all.
fn events(sound: Bytes) -> Response {
    let parts = sound.len().div_ceil(PART);
    let event = move |number: usize| {
        let data = match number == parts {
            true => json!({ "type": "speech.audio.done" }),
            false => {
                let part = &sound[number * PART..sound.len().min((number + 1) * PART)];
                json!({ "type": "speech.audio.delta", "audio": BASE64_STANDARD.encode(part) })
            }
        };
        let name = data["type"].as_str().unwrap_or_default();
        let event = Event::default().event(name).data(data.to_string());
        Ok::<_, Error>(event)
    };
    Sse::new(stream::iter((0..=parts).map(event))).into_response()
}
