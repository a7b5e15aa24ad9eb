//! Shares between the contract and the domain.

use crate::{
    domain::{Caller, Checks, Error, Page, Resource, ShareDraft},
    entity::share::Model,
    rpc::{
        call, check_id, http,
        page::page_request,
        proto,
        time::{optional_time, timestamp},
    },
    store::{self, share::Filter},
};

use super::MediaFiles;

impl MediaFiles {
    pub(super) async fn share(
        &self,
        caller: Caller,
        request: proto::ShareMediaRequest,
    ) -> Result<proto::ShareMediaResponse, Error> {
        let mut checks = Checks::default();
        check_id("media_id", request.media_id, &mut checks);
        checks.not_negative("max_size", request.max_size.into());
        let draft = ShareDraft {
            media_id: request.media_id,
            title: request.title.trim().to_owned(),
            max_size: (request.max_size != 0).then_some(request.max_size),
            show_recipe: request.show_recipe,
            expires_at: optional_time("expire_time", request.expire_time, &mut checks),
        };
        draft.check(self.app.clock.now(), &mut checks);
        checks.finish(())?;
        let (token, share) = self.app.share_media(caller, draft).await?;
        call::note(Resource::Share, share.id);
        Ok(proto::ShareMediaResponse {
            share: Some(message(share)),
            share_url: http::address(&self.app.settings.url, &token),
        })
    }

    pub(super) async fn unshare(&self, caller: Caller, id: i64) -> Result<proto::Share, Error> {
        let mut checks = Checks::default();
        checks.id("share_id", id);
        checks.finish(())?;
        call::note(Resource::Share, id);
        let share = self.app.unshare_media(caller, id).await?;
        call::note(Resource::Media, share.media_id);
        Ok(message(share))
    }

    pub(super) async fn shares(
        &self,
        caller: Caller,
        request: proto::ListSharesRequest,
    ) -> Result<Page<proto::Share>, Error> {
        let mut checks = Checks::default();
        let sealer = self.app.sealer(caller);
        let page = page_request(sealer, (request.page_size, request.page_token), &mut checks);
        check_id("media_id", request.media_id, &mut checks);
        checks.finish(())?;
        let db = self.app.store.reader();
        store::media::find(db, caller, request.media_id).await?;
        let filter = Filter {
            media_id: request.media_id,
            show_ended: request.show_ended,
        };
        let wanted = (&filter, self.app.clock.now());
        let page = store::share::list(db, caller, wanted, &page).await?;
        Ok(Page {
            items: page.items.into_iter().map(message).collect(),
            next_page_token: page.next_page_token,
        })
    }
}

pub(in crate::rpc) fn message(share: Model) -> proto::Share {
    let size = share.files.pointer("/file/size");
    let size = size.and_then(serde_json::Value::as_i64);
    proto::Share {
        id: share.id,
        media_id: share.media_id,
        title: share.title.unwrap_or_default(),
        max_size: share.max_size.unwrap_or_default(),
        show_recipe: share.show_recipe,
        file_size: size.unwrap_or_default(),
        create_time: Some(timestamp(share.created_at)),
        expire_time: share.expires_at.map(timestamp),
        revoke_time: share.revoked_at.map(timestamp),
    }
}
