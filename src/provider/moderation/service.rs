//! A service that speaks the protocol of OpenAI's moderations: texts and pictures go in, kinds come out.

use std::{fmt, io::Cursor};

use base64::{Engine, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageFormat};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{NoVerdict, Verdict};
use crate::{
    config::ModerationConfig,
    provider::{
        Unready,
        fetch::Fetcher,
        http::{Api, Effect, credentials},
    },
};

/// Pixels of a side of the picture that is shown: more tells no more.
const SIDE: u32 = 768;

/// A service that judges.
pub struct ModerationService {
    api: Api,
    model: Option<String>,
    /// Whether what could not be judged may be here.
    lenient: bool,
}

impl ModerationService {
    /// The service of this configuration, which has its `base_url`. `files` has the bounds of an answer.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub fn new(config: &ModerationConfig, files: &Fetcher) -> Result<Self, Unready> {
        let base = config.base_url.clone();
        let base = base.ok_or_else(|| Unready::configuration("base_url is not set"))?;
        let api = credentials(None, config.api_key.as_ref())
            .and_then(|credentials| Api::new(base, credentials, config.timeout, files));
        let api = api.map_err(Unready::configuration)?;
        Ok(Self {
            api,
            model: config.model.clone(),
            lenient: config.lenient,
        })
    }

    pub(super) async fn judge_texts(&self, texts: &[&str]) -> Result<Vec<Verdict>, NoVerdict> {
        let judged = self.ask(json!(texts)).await;
        let judged = judged.and_then(|verdicts| match verdicts.len() == texts.len() {
            true => Ok(verdicts),
            false => Err(NoVerdict("not every text was judged".to_owned())),
        });
        self.or_lenient(judged, || vec![Verdict::Accepted; texts.len()])
    }

    pub(super) async fn judge_picture(&self, picture: &DynamicImage) -> Result<Verdict, NoVerdict> {
        let picture = picture.clone();
        let url = spawn_blocking(move || data_url(&picture)).await;
        let judged = match url {
            Ok(Ok(url)) => {
                let input = json!([{ "type": "image_url", "image_url": { "url": url } }]);
                let judged = self.ask(input).await;
                judged.and_then(|verdicts| {
                    let none = || NoVerdict("the picture was not judged".to_owned());
                    verdicts.into_iter().next().ok_or_else(none)
                })
            }
            Ok(Err(error)) => Err(NoVerdict(error.to_string())),
            Err(panic) => Err(NoVerdict(panic.to_string())),
        };
        self.or_lenient(judged, || Verdict::Accepted)
    }

    async fn ask(&self, input: Value) -> Result<Vec<Verdict>, NoVerdict> {
        let mut body = json!({ "input": input });
        if let Some(model) = &self.model {
            body["model"] = model.as_str().into();
        }
        let answer = async {
            let request = self.api.request(Method::POST, "moderations")?;
            let request = request.header("content-type", "application/json");
            let request = request.body(body.to_string());
            self.api.send(request, Effect::Asks).await?.json()
        };
        let answer = answer.await;
        let answer = answer.map_err(|error| NoVerdict(error.to_string()))?;
        let results = answer.get("results").and_then(Value::as_array);
        let verdicts = results.into_iter().flatten().map(verdict);
        let verdicts: Option<Vec<_>> = verdicts.collect();
        verdicts.ok_or_else(|| NoVerdict("a result does not say whether it is flagged".to_owned()))
    }

    fn or_lenient<T>(
        &self,
        judged: Result<T, NoVerdict>,
        accepted: impl FnOnce() -> T,
    ) -> Result<T, NoVerdict> {
        match judged {
            Err(NoVerdict(detail)) if self.lenient => {
                tracing::warn!("what could not be judged is let in");
                tracing::debug!(detail, "why it could not be judged");
                Ok(accepted())
            }
            judged => judged,
        }
    }
}

/// `None` if the result does not say it.
fn verdict(result: &Value) -> Option<Verdict> {
    if !result["flagged"].as_bool()? {
        return Some(Verdict::Accepted);
    }
    let categories = result["categories"].as_object().into_iter().flatten();
    let categories = categories.filter(|(_, flagged)| **flagged == Value::Bool(true));
    let categories = categories.map(|(name, _)| name.clone());
    Some(Verdict::Rejected(categories.collect()))
}

fn data_url(picture: &DynamicImage) -> Result<String, image::ImageError> {
    let small = match picture.width().max(picture.height()) > SIDE {
        true => &picture.thumbnail(SIDE, SIDE),
        false => picture,
    };
    let mut jpeg = Cursor::new(Vec::new());
    let opaque = DynamicImage::ImageRgb8(small.to_rgb8());
    opaque.write_to(&mut jpeg, ImageFormat::Jpeg)?;
    let base64 = BASE64_STANDARD.encode(jpeg.into_inner());
    Ok(format!("data:image/jpeg;base64,{base64}"))
}

impl fmt::Debug for ModerationService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModerationService")
            .field("base", &self.api.base().as_str())
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
