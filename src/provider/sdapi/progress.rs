//! How far the service is, asked while the call is open.

use std::convert::Infallible;

use reqwest::Method;
use serde_json::Value;

use super::Service;
use crate::provider::{
    Progress, ProviderError, Task,
    http::{Effect, decoded},
};

impl Service {
    /// Tells how far the work is for as long as somebody waits for it.
    pub(super) async fn watch(&self, task: &Task) -> Infallible {
        loop {
            tokio::time::sleep(self.config.progress_interval).await;
            match self.progress(false).await {
                Ok(Some(told)) => task.progress.send(Progress {
                    fraction: told["progress"].as_f64().unwrap_or_default(),
                    message: "drawing".to_owned(),
                    preview: told["current_image"].as_str().and_then(decoded),
                }),
                Ok(None) => return std::future::pending().await,
                // What counts is the call itself.
                Err(error) => tracing::debug!(%error, "the service does not tell its progress"),
            }
        }
    }

    /// Whether what it has just made was cut short.
    pub(super) async fn was_interrupted(&self) -> bool {
        let told = self.progress(true).await.ok().flatten();
        told.is_some_and(|told| told["state"]["interrupted"] == Value::Bool(true))
    }

    /// `None` where the service does not tell it, which is told once.
    async fn progress(&self, skip_picture: bool) -> Result<Option<Value>, ProviderError> {
        if self.without_progress.is_completed() {
            return Ok(None);
        }
        let path = format!("sdapi/v1/progress?skip_current_image={skip_picture}");
        let request = self.ask(Method::GET, &path)?;
        let answer = self.api()?.send_if_known(request, Effect::Asks).await?;
        match answer {
            Some(answer) => answer.json().map(|told| Some(Value::Object(told))),
            None => {
                self.without_progress
                    .call_once(|| tracing::info!("the service tells no progress"));
                Ok(None)
            }
        }
    }
}
