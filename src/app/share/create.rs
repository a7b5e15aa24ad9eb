//! A new link: what it sends is decided, looked at and cut once, so that nobody who follows it makes anybody read a file whole.

use crate::{
    app::App,
    domain::{
        Caller, Checks, Error, Flaw, MediaMetadata, MediaRole, MediaType, ShareDraft, ShareToken,
        SharedFile, SharedFiles,
    },
    entity::{media, share::Model},
    media::{StorageError, StorageKey, Unshared, look_at_shared},
    store,
};

/// Most links to a media that lead there at once.
const MOST_OPEN: u64 = 100;

impl App {
    /// Makes a link to a live media, and returns its token with its record. The token cannot be told again.
    pub async fn share_media(
        &self,
        caller: Caller,
        draft: ShareDraft,
    ) -> Result<(ShareToken, Model), Error> {
        let now = self.clock.now();
        let db = self.store.reader();
        let media = store::media::find_live(db, caller, draft.media_id).await?;
        let made = store::media::made_beside(db, &media).await?;
        let (file, poster) = choose(&media, &made, draft.max_size)?;
        let files = SharedFiles {
            file: self.shared(file, draft.show_recipe).await?,
            poster: self.shared_poster(poster, draft.show_recipe).await?,
        };
        let token = ShareToken::of(rand::random());
        let add = async |tx: &store::Transaction| {
            // Locked, so that links that are made at once are counted, and none is made while the media is deleted.
            store::request::lock(tx, &media).await?;
            store::media::find_live(tx, caller, media.id).await?;
            if store::share::count_open(tx, media.id, now).await? >= MOST_OPEN {
                return Err(Error::SharesTaken {
                    media_id: media.id,
                    limit: MOST_OPEN,
                });
            }
            store::share::forget_ended(tx, media.id, now).await?;
            store::share::add(tx, draft.clone(), token.hash(), &files, now).await
        };
        let share = self.store.write(add).await?;
        Ok((token, share))
    }

    /// The same of a poster, without which a page is a page, too.
    async fn shared_poster(
        &self,
        poster: Option<&media::Model>,
        show_recipe: bool,
    ) -> Result<Option<SharedFile>, Error> {
        let Some(poster) = poster else {
            return Ok(None);
        };
        match self.shared(poster, show_recipe).await {
            Ok(shared) => Ok(Some(shared)),
            Err(Error::MediaContentMissing(_) | Error::MetadataStays { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A media's file as a link sends it.
    async fn shared(&self, media: &media::Model, show_recipe: bool) -> Result<SharedFile, Error> {
        let id = media.id;
        let missing = || Error::MediaContentMissing(id);
        let key = media.storage_key.as_deref().ok_or_else(missing)?;
        let key = StorageKey::from_path(key).map_err(Error::internal)?;
        let looked = look_at_shared(&self.storage, (id, &key), show_recipe).await;
        looked.map_err(|error| match error {
            Unshared::Unread(StorageError::NotFound { .. }) => missing(),
            Unshared::Unread(error) => error.into(),
            Unshared::Telling(why) => Error::MetadataStays { media_id: id, why },
        })
    }
}

/// What is shown, which is the media itself or a smaller picture of it, and the picture that stands for it.
fn choose<'a>(
    media: &'a media::Model,
    made: &'a [media::Model],
    max_size: Option<i32>,
) -> Result<(&'a media::Model, Option<&'a media::Model>), Error> {
    let file = match max_size {
        Some(most) => within(media, made, most)?,
        None => media,
    };
    let is_picture = media.media_type == MediaType::Image || is_gif(media);
    Ok((file, poster(made).filter(|_| !is_picture)))
}

/// The largest picture of the media with at most so many pixels on its longest side.
fn within<'a>(
    media: &'a media::Model,
    made: &'a [media::Model],
    most: i32,
) -> Result<&'a media::Model, Error> {
    let mut checks = Checks::default();
    checks.require(media.media_type == MediaType::Image, "max_size", || {
        Flaw::NotSupported.says("only pictures are there in several sizes")
    });
    let thumbnails = made.iter().filter(|it| it.role == MediaRole::Thumbnail);
    let sides = [media].into_iter().chain(thumbnails);
    let sides = sides.filter_map(|it| Some((longest_side(it)?, it)));
    let sides: Vec<_> = sides.collect();
    let fitting = sides.iter().filter(|(side, _)| *side <= most);
    // Of two alike the media itself.
    let fitting = fitting.rev().max_by_key(|(side, _)| *side);
    let smallest = sides.iter().map(|(side, _)| *side).min();
    checks.require(fitting.is_some() || !checks.is_empty(), "max_size", || {
        let problem = match smallest {
            Some(smallest) => Flaw::OutOfRange
                .says(format!(
                    "must be at least {smallest}, as its smallest picture has"
                ))
                .min(smallest),
            None => Flaw::OutOfRange.says("there is no picture of it that small"),
        };
        problem.found(most)
    });
    let fitting = fitting.map_or(media, |(_, it)| it);
    checks.finish(fitting)
}

/// A poster, or else the largest thumbnail.
fn poster(made: &[media::Model]) -> Option<&media::Model> {
    let of = |role| made.iter().filter(move |it| it.role == role);
    let thumbnail = || of(MediaRole::Thumbnail).max_by_key(|it| longest_side(it));
    of(MediaRole::Poster).next().or_else(thumbnail)
}

fn longest_side(media: &media::Model) -> Option<i32> {
    let metadata = metadata(media);
    metadata.width.max(metadata.height)
}

fn is_gif(media: &media::Model) -> bool {
    metadata(media).format.as_deref() == Some("gif")
}

fn metadata(media: &media::Model) -> MediaMetadata {
    let metadata = media.metadata.as_ref().and_then(|it| it.as_object());
    MediaMetadata::read(metadata.cloned().unwrap_or_default())
}
