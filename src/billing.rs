//! Who keeps the credits that jobs take, and the client of Billing where it is Billing that does, see docs/credits.md.

mod breaker;
pub mod proto;
mod remote;

pub use remote::{AT_ONCE, Refusal, Remote, RemoteError, RemoteSettings};

/// Who keeps credits, and so whether jobs take any. Clones share it.
#[derive(Clone, Debug, Default)]
pub enum Billing {
    /// Nobody: jobs have a cost, and nobody is charged.
    #[default]
    Off,
    /// The ledger in our own database.
    Ledger,
    /// Billing, a service of its own.
    Remote(Remote),
}
