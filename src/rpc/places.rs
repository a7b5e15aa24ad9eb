//! Places for what is bounded, in all and for each peer: connections, and watches.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of all peers together.
    pub in_all: usize,
    /// Of one peer.
    pub per_peer: usize,
}

/// Clones share the places.
#[derive(Clone)]
pub(super) struct Places {
    bounds: Bounds,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    of: HashMap<IpAddr, usize>,
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Places,
    peer: IpAddr,
}

/// The bound that a place would go beyond, in words for the log and for callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Others have taken them.
    InAll(usize),
    /// The peer has as many as it may.
    OfPeer(usize),
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        let taken = Arc::default();
        Self { bounds, taken }
    }

    pub(super) fn take(&self, peer: IpAddr) -> Result<Place, Full> {
        let peer = network(peer);
        let mut taken = self.taken();
        if taken.in_all >= self.bounds.in_all {
            return Err(Full::InAll(self.bounds.in_all));
        }
        let of_peer = taken.of.get(&peer).copied().unwrap_or_default();
        if of_peer >= self.bounds.per_peer {
            return Err(Full::OfPeer(self.bounds.per_peer));
        }
        taken.of.insert(peer, of_peer + 1);
        taken.in_all += 1;
        let places = self.clone();
        Ok(Place { places, peer })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.in_all = taken.in_all.saturating_sub(1);
        let left = taken
            .of
            .get(&self.peer)
            .map_or(0, |of| of.saturating_sub(1));
        if left == 0 {
            taken.of.remove(&self.peer);
        } else {
            taken.of.insert(self.peer, left);
        }
    }
}

/// What one peer can call from: an address, or in IPv6 all those that a host is given.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(network).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_peer_has_its_part_and_what_it_gives_back_is_free_again() {
        let (in_all, per_peer) = (3, 2);
        let places = Places::new(Bounds { in_all, per_peer });
        let first = places.take(peer("10.0.0.1")).ok();
        let mapped = places.take(peer("::ffff:10.0.0.1")).ok();
        assert!(first.is_some() && mapped.is_some());
        assert_eq!(places.take(peer("10.0.0.1")).err(), Some(Full::OfPeer(2)));
        let other = places.take(peer("2001:db8::1")).ok();
        assert!(other.is_some());
        assert_eq!(places.take(peer("2001:db8::1")).err(), Some(Full::InAll(3)));
        drop(first);
        assert!(places.take(peer("2001:db8::ffff")).is_ok());
        drop((mapped, other));
        assert!(places.taken().of.is_empty());
    }
}
