//! How many watches are open, in all and of each peer: each keeps asking the database.

use futures::{Stream, StreamExt, stream::BoxStream};
use tonic::{Request, Status};

use crate::domain::Error;

use super::{
    connection::Peer,
    places::{Bounds, Full, Place, Places},
};

/// Clones share the places.
#[derive(Clone)]
pub(super) struct Watches {
    places: Places,
}

impl Watches {
    pub(super) fn new(bounds: Bounds) -> Self {
        let places = Places::new(bounds);
        Self { places }
    }

    /// A place for the watch that a call asks for.
    pub(super) fn open<T>(&self, call: &Request<T>) -> Result<Place, Error> {
        let Some(Peer(peer)) = call.extensions().get() else {
            return Err(Error::internal("a call has no peer"));
        };
        self.places.take(*peer).map_err(|full| match full {
            Full::InAll(limit) => Error::WatchesTaken {
                limit,
                whose: "all callers",
            },
            Full::OfPeer(limit) => Error::WatchesTaken {
                limit,
                whose: "one address",
            },
        })
    }
}

/// The messages of a watch, which has its place for as long as they stream.
pub(super) fn in_place<M: 'static>(
    place: Place,
    messages: impl Stream<Item = Result<M, Error>> + Send + 'static,
) -> BoxStream<'static, Result<M, Status>> {
    let messages = messages.map(move |message| {
        let _taken = &place;
        message.map_err(Status::from)
    });
    messages.boxed()
}
