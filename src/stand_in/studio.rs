//! Real media for what a stand-in is asked for.

use bytes::Bytes;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::MediaType,
    provider::{
        Content, ProgressSender, Provider, ProviderError, Submitted, Task, builtin::Builtin,
    },
};

/// What is to be made.
pub(super) struct Order<'a> {
    pub(super) media_type: MediaType,
    pub(super) prompt: &'a str,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: &'a str,
    pub(super) seed: u32,
}

/// Makes it.
pub(super) async fn make(order: &Order<'_>) -> Result<Bytes, ProviderError> {
    let failed = |error: serde_json::Error| ProviderError::Failed(error.to_string());
    let input = json!({
        "provider": "builtin", "prompt": order.prompt, "user_prompt": order.prompt, "seed": order.seed,
        "width": order.width, "height": order.height, "aspect_ratio": "", "format": order.format,
        "duration_seconds": 2,
    });
    let task = Task {
        job_id: 0,
        attempt: 1,
        media_type: order.media_type,
        input: serde_json::from_value(input).map_err(failed)?,
        submission_key: String::new(),
        pictures: Vec::new(),
        webhook_url: None,
        progress: ProgressSender::channel().0,
        cancelled: CancellationToken::new(),
    };
    let made = match Builtin.submit(&task).await? {
        Submitted::Done(output) => output.files.into_iter().next(),
        Submitted::Accepted { .. } => None,
    };
    match made.map(|file| file.content) {
        Some(Content::Memory(bytes)) => Ok(bytes),
        _ => Err(ProviderError::Failed("nothing was made".to_owned())),
    }
}
