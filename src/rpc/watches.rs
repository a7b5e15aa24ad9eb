//! How many watches are open, in all and of each peer: each keeps asking the database.

use std::collections::BTreeSet;

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::BoxStream};
use tonic::{Request, Status};

use crate::{app::App, domain::Error, identity::Principal, metrics::Watching};

use super::{
    authentication::end_of_right,
    connection::Peer,
    places::{Bounds, Full, Place, Places},
    stopping::until,
};

/// Of how many requests a watch remembers that it has told them; after that it tells them whole once more.
const REMEMBERED: usize = 1_000;

/// Clones share the places.
#[derive(Clone)]
pub(super) struct Watches {
    places: Places,
    app: App,
}

/// What a watch needs to be open.
pub(super) struct Watch {
    place: (Place, Watching),
    /// Comes when its caller may not watch any more.
    end: BoxFuture<'static, Error>,
}

/// What a watch has told whole, where its caller wants that once only.
pub(super) struct Brevity {
    is_wanted: bool,
    told: BTreeSet<i64>,
}

impl Brevity {
    pub(super) fn new(is_wanted: bool) -> Self {
        let told = BTreeSet::new();
        Self { is_wanted, told }
    }

    /// Whether the request of this id, or the job with so many fallbacks left, is to be told whole now, as it is then.
    pub(super) fn tells_whole(&mut self, id: i64) -> bool {
        if self.is_wanted && self.told.len() >= REMEMBERED && !self.told.contains(&id) {
            self.told.clear();
        }
        !self.is_wanted || self.told.insert(id)
    }
}

impl Watches {
    pub(super) fn new(bounds: Bounds, app: App) -> Self {
        let places = Places::new(bounds);
        Self { places, app }
    }

    /// A place for the watch that a call asks for.
    pub(super) fn open<T>(&self, call: &Request<T>) -> Result<Watch, Error> {
        let Some(Peer(peer)) = call.extensions().get() else {
            return Err(Error::internal("a call has no peer"));
        };
        let place = self.places.take(*peer).map_err(|full| match full {
            Full::InAll(limit) => Error::WatchesTaken {
                limit,
                whose: "all callers",
            },
            Full::OfPeer(limit) => Error::WatchesTaken {
                limit,
                whose: "one address",
            },
        })?;
        let Some(principal) = call.extensions().get::<Principal>() else {
            return Err(Error::CredentialsMissing);
        };
        let end = end_of_right(self.app.clone(), principal.clone()).boxed();
        let place = (place, self.app.metrics.watching());
        Ok(Watch { place, end })
    }
}

/// The messages of a watch, which has its place for as long as they stream, and ends with the right to it.
pub(super) fn in_place<M: Send + 'static>(
    Watch { place, end }: Watch,
    messages: impl Stream<Item = Result<M, Error>> + Send + 'static,
) -> BoxStream<'static, Result<M, Status>> {
    let messages = until(messages, end).map(move |message| {
        let _taken = &place;
        message.map_err(Status::from)
    });
    messages.boxed()
}
