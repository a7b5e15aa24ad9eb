//! Media as bytes: where objects are kept, what they really contain, and the small pictures shown
//! until they load.
//!
//! - [`Storage`] keeps objects in a local folder or an S3 bucket under a [`StorageKey`], which
//!   alone decides an object's path and content type.
//! - [`inspect`] finds out what some bytes are, whatever their name or declared type says, and
//!   makes the BlurHash and the tiny preview from them, within [`Limits`] on bytes, pixels, frames
//!   and time. [`still`] gives the picture that stands for a file.
//! - [`Original::derive`] makes further files of an output: other formats, thumbnails, posters and
//!   previews.
//! - [`embed_recipe`] has a file tell how it was made.
//! - Links to objects expire: S3 presigns them, the local folder's are signed here and checked with
//!   [`Storage::verify_link`].

mod backend;
mod bounded;
mod clip;
mod convert;
mod cost;
mod derive;
mod disposition;
mod error;
mod expiry;
mod facts;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod health;
mod key;
mod leftovers;
mod link;
mod location;
mod object;
mod presign;
pub mod preview;
mod probe;
mod provenance;
mod range;
mod s3;
mod shared;
mod splice;
mod still;
mod storage;
mod ticket;
mod upload;
pub mod waveform;

/// What files are, for those who know no more of them.
pub use codec::{Format, Kind, sniff};

pub use backend::StorageSettings;
pub use bounded::run_bounded;
pub use clip::without_clip;
#[cfg(test)]
pub(crate) use derive::hold_conversions;
pub use derive::{Derivation, DeriveError, Original};
pub use disposition::content_disposition;
pub use error::StorageError;
pub use facts::{Facts, InspectError, Inspected, Limits, SoundFacts};
pub use key::{InvalidKey, Owner, StorageKey};
pub use link::{DownloadUrl, LinkError, LinkSettings, Linked, SignedLink};
pub use location::without_location;
pub use object::{ListedObject, ObjectFacts, StoredObject};
pub use probe::{examine, inspect, inspect_with_still};
pub use provenance::embed_recipe;
pub use range::{ByteRange, ByteRangeSelection, select};
pub use s3::S3Settings;
pub use shared::{Unshared, look_at_shared};
pub use splice::offer_shared;
pub use still::still;
pub use storage::{FoundKey, PutUrl, Storage};
pub use ticket::{Ticket, TicketError};
pub use upload::Upload;
