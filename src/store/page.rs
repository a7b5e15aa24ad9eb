use serde::Serialize;

use crate::domain::{Error, Page, PageToken};

/// Which page of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// Rows, 1 to 1,000.
    pub size: u64,
    /// Empty for the first page.
    pub token: String,
}

impl PageRequest {
    /// How many rows to ask for: one more tells whether a page follows.
    pub(super) fn limit(&self) -> u64 {
        self.size + 1
    }

    /// Makes a page of the rows found, with a token of the last row's sort key if more follow.
    pub(super) fn finish<T, K: Serialize>(
        &self,
        mut rows: Vec<T>,
        token: &PageToken,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T>, Error> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next_page_token = match rows.last() {
            Some(last) if more => token.encode(&key(last))?,
            _ => String::new(),
        };
        Ok(Page {
            items: rows,
            next_page_token,
        })
    }
}
