//! What templates were before.

use crate::{
    app::App,
    domain::{Caller, Checks, Error, Page, View, stored},
    entity::template_version,
    store::{self, PageRequest},
};

use crate::rpc::{
    page::{any_or, bounded_page, page_request},
    proto,
    time::timestamp,
    view::{Viewed, view_from},
};

use super::message::data_message;

pub(super) async fn list(
    app: &App,
    caller: Caller,
    request: proto::ListTemplateVersionsRequest,
) -> Result<proto::ListTemplateVersionsResponse, Error> {
    let mut checks = Checks::default();
    let page = page_request(
        app.sealer(caller),
        (request.page_size, request.page_token),
        &mut checks,
    );
    checks.id("template_id", request.template_id);
    checks.optional_id("up_to_version", request.up_to_version);
    let view = view_from(request.view, caller, &mut checks);
    checks.finish(())?;
    store::template::find(app.store.reader(), request.template_id).await?;
    let filter = store::template_version::Filter {
        template_id: request.template_id,
        up_to: any_or(request.up_to_version),
    };
    let page = bounded_page(page, |slice| slice_of(app, &filter, view, slice)).await?;
    Ok(proto::ListTemplateVersionsResponse {
        versions: page.items,
        next_page_token: page.next_page_token,
    })
}

async fn slice_of(
    app: &App,
    filter: &store::template_version::Filter,
    view: View,
    slice: PageRequest,
) -> Result<Page<proto::TemplateVersion>, Error> {
    let page = store::template_version::list(app.store.reader(), filter, &slice).await?;
    Ok(Page {
        items: page.items.into_iter().map(|it| message(it, view)).collect(),
        next_page_token: page.next_page_token,
    })
}

fn message(version: template_version::Model, view: View) -> proto::TemplateVersion {
    let data = stored::show(Some(version.template_data));
    proto::TemplateVersion {
        version: version.version,
        template_data: Some(data_message(data).seen(view)),
        create_time: Some(timestamp(version.created_at)),
    }
}
