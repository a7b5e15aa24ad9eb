//! Uploads that a request names by their URLs: the user's own, and kept for as long as the request is.

use std::collections::BTreeSet;

use crate::{
    app::App,
    domain::{Checks, Error, Flaw, RequestDraft, TemplateData},
    entity::upload,
    media::{Format, Kind, StorageKey},
    provider::MASK,
};

use super::links::pictures_of;

const NOT_OWN: &str = "must be the URL of an upload of the user's own";

impl App {
    /// Notes links to uploads that the user does not have. Whether they are another's, removed or never were makes no difference.
    /// Where only pictures are taken, others are noted too.
    pub(super) fn check_uploads(
        &self,
        draft: &RequestDraft,
        template: Option<&TemplateData>,
        (own, only_pictures): (&[upload::Model], bool),
        checks: &mut Checks,
    ) {
        let mask = draft.input.mask_url.as_deref();
        let mask = mask.map(|mask| (MASK.to_owned(), Some(mask)));
        for (field, link) in pictures_of(draft, template).into_iter().chain(mask) {
            let Some(key) = link.and_then(|link| self.upload_named(draft.user_id, link)) else {
                continue;
            };
            let upload = own.iter().find(|own| {
                key.as_ref()
                    .is_some_and(|key| key.path() == own.storage_key)
            });
            let is_picture = |it: &upload::Model| {
                let format: Option<Format> = it.format.parse().ok();
                format.is_some_and(|format| format.kind() == Kind::Image)
            };
            match upload {
                None => {
                    checks.add(field, Flaw::UploadNotFound.says(NOT_OWN));
                }
                Some(upload) if only_pictures && !is_picture(upload) => {
                    let words = "must be a picture: the generator of this feature takes no others";
                    checks.add(field, Flaw::NotSupported.says(words).found(&upload.format));
                }
                Some(_) => {}
            }
        }
    }
}

/// Where the uploads stand that the request may name.
pub(super) fn upload_keys(draft: &RequestDraft) -> Vec<String> {
    let keys = texts_of(draft).filter_map(|(_, link)| StorageKey::of_upload(link));
    let keys: BTreeSet<_> = keys.map(|key| key.path().to_owned()).collect();
    keys.into_iter().collect()
}

/// Every text of the request that may be a link.
fn texts_of(draft: &RequestDraft) -> impl Iterator<Item = (String, &str)> {
    let attached = draft.user_media_urls.iter().enumerate();
    let attached =
        attached.map(|(index, link)| (format!("user_media_urls[{index}]"), link.as_str()));
    let variables = draft.input.variables.iter();
    let variables = variables
        .filter_map(|(name, value)| Some((format!("input.variables.{name}"), value.as_str()?)));
    let mask = draft.input.mask_url.as_deref();
    let mask = mask.map(|mask| (MASK.to_owned(), mask));
    attached.chain(variables).chain(mask)
}

/// Uploads of the request are gone that were there when it was checked, but for those that are left.
pub(super) fn vanished(draft: &RequestDraft, left: &[&upload::Model]) -> Error {
    let mut checks = Checks::default();
    for (field, link) in texts_of(draft) {
        let key = StorageKey::of_upload(link);
        let is_left = |key: &StorageKey| left.iter().any(|it| it.storage_key == key.path());
        if key.is_some_and(|key| !is_left(&key)) {
            checks.add(field, Flaw::UploadNotFound.says(NOT_OWN));
        }
    }
    Error::Validation(checks.into_violations())
}
