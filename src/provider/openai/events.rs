//! Server-sent events (WHATWG HTML, section 9.2), of which only the data counts here.

use crate::provider::ProviderError;

/// Cuts a stream of bytes into the data of its events.
pub(in crate::provider) struct Events {
    rest: Vec<u8>,
    /// How far the rest is known to end no line.
    searched: usize,
    data: Vec<u8>,
    max_bytes: usize,
}

impl Events {
    /// Of which none may have more bytes than this.
    pub(in crate::provider) fn new(max_bytes: usize) -> Self {
        Self {
            rest: Vec::new(),
            searched: 0,
            data: Vec::new(),
            max_bytes,
        }
    }

    /// The data of the events that end in `chunk`.
    pub(in crate::provider) fn feed(
        &mut self,
        chunk: &[u8],
    ) -> Result<Vec<Vec<u8>>, ProviderError> {
        self.rest.extend_from_slice(chunk);
        if self.rest.len() + self.data.len() > self.max_bytes {
            let detail = format!("an event has more than {} bytes", self.max_bytes);
            return Err(ProviderError::LimitExceeded(detail));
        }
        let mut events = Vec::new();
        let mut begin = 0;
        let mut from = self.searched;
        while let Some(end) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            let end = from + end;
            let line = &self.rest[begin..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(data) = line.strip_prefix(b"data:") {
                if !self.data.is_empty() {
                    self.data.push(b'\n');
                }
                self.data
                    .extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                events.push(std::mem::take(&mut self.data));
            }
            begin = end + 1;
            from = begin;
        }
        self.rest.drain(..begin);
        self.searched = self.rest.len();
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &[u8] =
        b": ping\n\nevent: a\ndata: {\"x\":1}\n\nid: 7\r\ndata:two\r\ndata: lines\r\n\r\ndata: cut";

    proptest! {
        #[test]
        fn events_are_the_same_however_the_stream_is_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let mut events = Events::new(1_000);
            let mut found = Vec::new();
            for cut in cuts.windows(2) {
                found.extend(events.feed(&STREAM[cut[0]..cut[1]]).unwrap());
            }
            prop_assert_eq!(found, [b"{\"x\":1}".to_vec(), b"two\nlines".to_vec()]);
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        assert!(Events::new(10).feed(b"data: 0123456789").is_err());
    }
}
