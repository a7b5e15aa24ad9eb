//! The messages of WatchRequest.

use futures::{Stream, stream};
use tonic::Status;

use crate::{
    app::{App, JobNews, RequestUpdate, RequestWatch},
    domain::{Caller, Error},
    rpc::{job, media, proto},
};

/// Reads on only when the client takes the next message, so a slow one costs no memory.
pub(super) fn updates(
    app: App,
    caller: Caller,
    watch: RequestWatch,
) -> impl Stream<Item = Result<proto::WatchRequestResponse, Status>> + Send {
    stream::try_unfold((app, watch), move |(app, mut watch)| async move {
        let message = next_message(&app, caller, &mut watch).await?;
        Ok(message.map(|message| (message, (app, watch))))
    })
}

async fn next_message(
    app: &App,
    caller: Caller,
    watch: &mut RequestWatch,
) -> Result<Option<proto::WatchRequestResponse>, Error> {
    let Some(update) = watch.next().await? else {
        return Ok(None);
    };
    let RequestUpdate {
        news,
        request,
        cursor,
    } = update;
    let (event, job, media) = match news {
        Some(JobNews::Transition { job, media }) => {
            (proto::WatchRequestEvent::Transition, Some(job), media)
        }
        Some(JobNews::Progress(job)) => (proto::WatchRequestEvent::Progress, Some(job), Vec::new()),
        None => (proto::WatchRequestEvent::Heartbeat, None, Vec::new()),
    };
    let job = match job {
        Some(job) => Some(job::brief_message_now(app, job, caller).await?),
        None => None,
    };
    Ok(Some(proto::WatchRequestResponse {
        event: event.into(),
        job,
        request: Some(super::message(request, caller)),
        media: media::messages(app, media).await?,
        cursor,
    }))
}
