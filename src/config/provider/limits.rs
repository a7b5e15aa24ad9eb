//! What every provider's table may say of how much it gets to do, whatever its kind.

use super::{Entry, Kind, Reader};

/// How many jobs a provider gets. 0 is as many as there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProviderLimits {
    /// Jobs at a time.
    pub concurrency: u32,
    /// Jobs that are begun within a minute.
    pub requests_per_minute: u32,
    /// Jobs at a time on all servers together.
    pub total_concurrency: u32,
    /// Jobs that all servers together begin within a minute.
    pub total_requests_per_minute: u32,
}

const CONCURRENCY: Entry = Entry {
    key: "concurrency",
    doc: "How many of its jobs one server runs at a time; 0: as many as `executor.concurrency` lets.",
    kind: u32::NAME,
    secret: false,
    optional: false,
    default: Some("0"),
    range: Some(("0", "10000")),
};

const REQUESTS_PER_MINUTE: Entry = Entry {
    key: "requests_per_minute",
    doc: "How many of its jobs one server begins within a minute; 0: as many as there are.",
    range: Some(("0", "100000")),
    ..CONCURRENCY
};

const TOTAL_CONCURRENCY: Entry = Entry {
    key: "total_concurrency",
    doc: "How many of its jobs all servers run at a time together, each an equal share; 0: as many as `concurrency` lets.",
    ..CONCURRENCY
};

const TOTAL_REQUESTS_PER_MINUTE: Entry = Entry {
    key: "total_requests_per_minute",
    doc: "How many of its jobs all servers begin within a minute together, each an equal share; 0: as many as `requests_per_minute` lets.",
    ..REQUESTS_PER_MINUTE
};

impl ProviderLimits {
    /// The keys.
    pub(in crate::config) const ENTRIES: &[Entry] = &[
        CONCURRENCY,
        REQUESTS_PER_MINUTE,
        TOTAL_CONCURRENCY,
        TOTAL_REQUESTS_PER_MINUTE,
    ];

    pub(super) fn read(reader: &mut Reader, table: &str) -> Option<Self> {
        let mut read = |entry| reader.read_of_within::<u32>(table, entry);
        let [concurrency, requests_per_minute] =
            [&CONCURRENCY, &REQUESTS_PER_MINUTE].map(&mut read);
        let [total_concurrency, total_requests_per_minute] =
            [&TOTAL_CONCURRENCY, &TOTAL_REQUESTS_PER_MINUTE].map(&mut read);
        Some(Self {
            concurrency: concurrency?,
            requests_per_minute: requests_per_minute?,
            total_concurrency: total_concurrency?,
            total_requests_per_minute: total_requests_per_minute?,
        })
    }

    pub(super) fn written(self) -> Vec<(&'static Entry, Option<String>)> {
        let values = [
            self.concurrency,
            self.requests_per_minute,
            self.total_concurrency,
            self.total_requests_per_minute,
        ];
        let values = values.map(|value| u32::write(&value));
        Self::ENTRIES.iter().zip(values).collect()
    }
}
