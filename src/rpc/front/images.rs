//! `images/generations` and `images/edits`: pictures as one answer, or as they come.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::Request,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time};

use crate::{
    app::{Kind, News},
    domain::{Error, Flaw, JobStatus, MediaType, WatchCursor},
    entity::job,
    store::media::Shown,
};

use crate::rpc::authentication::end_of_right;

use super::{
    Front, REQUEST,
    ask::Asked,
    fields::Fields,
    outcome::{Made, key_of, tell_ignored, unreadable},
    refusal::Refusal,
};

const MAX_PARTIAL_IMAGES: i32 = 3;

/// How the caller wants to get the pictures.
struct Delivery {
    /// What the events of a stream begin with.
    event: &'static str,
    as_links: bool,
    streamed: bool,
    /// Most pictures of its progress that are shown of each.
    partial_images: usize,
}

pub(super) async fn generate(
    front: Front,
    headers: HeaderMap,
    call: Request,
) -> Result<Response, Refusal> {
    let fields = Fields::of_json(call).await?;
    front.draw("image_generation", fields, &headers).await
}

pub(super) async fn edit(
    front: Front,
    headers: HeaderMap,
    call: Request,
) -> Result<Response, Refusal> {
    let mut fields = Fields::of_json_or_form(call).await?;
    let brings_some = fields.bring_pictures();
    fields.checks.require(brings_some, "image", || {
        Flaw::Required.says("is required: a picture to work from")
    });
    front.draw("image_edit", fields, &headers).await
}

fn delivery(event: &'static str, fields: &mut Fields) -> Delivery {
    let form = fields.text("response_format");
    let as_links = form.as_deref() == Some("url");
    let is_known = form.is_none_or(|form| ["url", "b64_json"].contains(&form.as_str()));
    let streamed = fields.flag("stream");
    let partial_images = fields.small("partial_images").unwrap_or_default();
    let checks = &mut fields.checks;
    checks.require(is_known, "response_format", || {
        Flaw::NotOneOf
            .says("must be b64_json or url")
            .allowed(["b64_json", "url"])
    });
    checks.require(!(streamed && as_links), "response_format", || {
        Flaw::Conflict.says("must be b64_json in a stream")
    });
    checks.range("partial_images", partial_images, 0, MAX_PARTIAL_IMAGES);
    Delivery {
        event,
        as_links,
        streamed,
        partial_images: usize::try_from(partial_images).unwrap_or_default(),
    }
}

impl Front {
    async fn draw(
        self,
        event: &'static str,
        mut fields: Fields,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let delivery = delivery(event, &mut fields);
        let asked = self.ask(MediaType::Image, fields, headers).await?;
        let id = asked.request.id;
        let mut response = match delivery.streamed {
            true => self.stream(asked, delivery).await?,
            false => self.answer(asked, &delivery).await?,
        };
        response.headers_mut().insert(REQUEST, id.into());
        Ok(response)
    }

    async fn answer(&self, asked: Asked, delivery: &Delivery) -> Result<Response, Refusal> {
        let id = asked.request.id;
        let refuse = |error: Error| Refusal::from(error).of_request(id);
        let made = self.outcome(id).await?;
        let mut data = Vec::new();
        for media in made
            .iter()
            .flat_map(|made| made.outputs(asked.format.as_deref()))
        {
            let picture = self.picture(media, delivery).await.map_err(refuse)?;
            data.push(picture);
        }
        let mut answer = json!({ "created": asked.request.created_at.timestamp(), "data": data });
        if let Some(shown) = made.first().and_then(|made| shape(made, &asked)) {
            (answer["size"], answer["output_format"]) = shown;
        }
        let mut response = Json(answer).into_response();
        tell_ignored(&mut response, &made, &asked);
        Ok(response)
    }

    async fn picture(&self, media: &Shown, delivery: &Delivery) -> Result<Value, Error> {
        let key = key_of(media)?;
        if delivery.as_links {
            let (id, now) = (media.media.id, self.app.clock.now());
            let link = self.app.storage.download_url(id, &key, now);
            return Ok(json!({ "url": link.await?.url }));
        }
        let content = self.app.storage.read(&key).await;
        let content = content.map_err(|error| unreadable(media, error))?;
        Ok(json!({ "b64_json": BASE64_STANDARD.encode(content) }))
    }

    /// Tells what happens as it does. Ends early only where the caller hangs up.
    async fn stream(self, asked: Asked, delivery: Delivery) -> Result<Response, Refusal> {
        let id = asked.request.id;
        let (events, mut told) = mpsc::channel(1);
        let end = end_of_right(self.app.clone(), self.principal.clone());
        tokio::spawn(async move {
            let telling = self.tell(&asked, &delivery, &events);
            let bounded = time::timeout(self.settings.wait, telling);
            let refused = tokio::select! {
                () = events.closed() => return,
                error = end => Err(Refusal::from(error).of_request(id)),
                told = bounded => told.unwrap_or_else(|_| Err(Refusal::unfinished(id))),
            };
            if let Err(refusal) = refused {
                let _ = events.send(refusal.event()).await;
            }
        });
        let told = stream::poll_fn(move |context| told.poll_recv(context));
        let told = told.map(Ok::<_, Error>);
        Ok(Sse::new(told)
            .keep_alive(KeepAlive::default())
            .into_response())
    }

    async fn tell(
        &self,
        asked: &Asked,
        delivery: &Delivery,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), Refusal> {
        let id = asked.request.id;
        let refuse = |error: Error| Refusal::from(error).of_request(id);
        let cursor = WatchCursor::default();
        let mut news = self
            .app
            .watch_request(self.caller(), id, cursor)
            .await
            .map_err(refuse)?;
        let mut previews = Previews::default();
        while let Some(news) = news.next().await {
            let News {
                kind, job, media, ..
            } = news.map_err(refuse)?;
            let Some(job) = job else { continue };
            if let Some(event) = previews.event(&job, asked, delivery) {
                let _ = events.send(event).await;
            }
            if kind == Kind::Transition && job.status == JobStatus::Completed {
                let made = Made { job, media };
                self.tell_made(&made, asked, delivery, events)
                    .await
                    .map_err(refuse)?;
            }
        }
        self.made(id).await.map(|_| ())
    }

    async fn tell_made(
        &self,
        made: &Made,
        asked: &Asked,
        delivery: &Delivery,
        events: &mpsc::Sender<Event>,
    ) -> Result<(), Error> {
        for media in made.outputs(asked.format.as_deref()) {
            let mut data = self.picture(media, delivery).await?;
            if let Some(shown) = shape(made, asked) {
                (data["size"], data["output_format"]) = shown;
            }
            let _ = events.send(event(delivery, "completed", asked, data)).await;
        }
        Ok(())
    }
}

/// The pictures of its progress that were shown of each job: how many, and the last.
#[derive(Default)]
struct Previews(BTreeMap<i64, (usize, String)>);

impl Previews {
    fn event(&mut self, job: &job::Model, asked: &Asked, delivery: &Delivery) -> Option<Event> {
        let preview = job.progress_preview.as_deref()?;
        let (count, last) = self.0.entry(job.id).or_default();
        if *count == delivery.partial_images || last == preview {
            return None;
        }
        let (kind, picture) = preview.split_once(";base64,")?;
        let data = json!({
            "b64_json": picture, "partial_image_index": *count,
            "output_format": kind.rsplit('/').next(),
        });
        *count += 1;
        preview.clone_into(last);
        Some(event(delivery, "partial_image", asked, data))
    }
}

fn event(delivery: &Delivery, what: &str, asked: &Asked, mut data: Value) -> Event {
    let name = format!("{}.{what}", delivery.event);
    data["type"] = name.as_str().into();
    data["created_at"] = asked.request.created_at.timestamp().into();
    Event::default().event(name).data(data.to_string())
}

/// The size of what was made, and its format by OpenAI's name.
fn shape(made: &Made, asked: &Asked) -> Option<(Value, Value)> {
    let media = *made.outputs(asked.format.as_deref()).first()?;
    let side = |name: &str| media.metadata.as_ref()?.get(name)?.as_i64();
    let size = format!("{}x{}", side("width")?, side("height")?);
    let format = key_of(media).ok()?.content_type();
    Some((size.into(), format.rsplit('/').next().into()))
}
