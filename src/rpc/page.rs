//! What the lists share.

use prost::Message;

use crate::{
    domain::{Checks, Error, Page, page_size},
    store::PageRequest,
};

/// What the messages of a page may take together: clients refuse answers of more than 4 MiB unless told otherwise.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Longer than any token that was ever given out.
const MAX_TOKEN_BYTES: usize = 1_024;

/// The page asked for; a negative size and an oversized token go to `checks`.
pub(super) fn page_request(size: i32, token: String, checks: &mut Checks) -> PageRequest {
    checks.require(token.len() <= MAX_TOKEN_BYTES, "page_token", || {
        format!(
            "must have at most {MAX_TOKEN_BYTES} bytes, has {}",
            token.len()
        )
    });
    PageRequest {
        size: page_size(size, checks),
        token,
    }
}

/// An identifier in a filter: 0 means any.
pub(super) fn any_or(id: i64) -> Option<i64> {
    (id != 0).then_some(id)
}

/// A page of `list` that is at most 2 MiB long, or has one message: a longer one is asked for again with fewer rows, so
/// that its token fits.
pub(super) async fn bounded_page<M: Message, P>(
    mut request: PageRequest,
    list: impl Fn(PageRequest) -> P,
) -> Result<Page<M>, Error>
where
    P: Future<Output = Result<Page<M>, Error>>,
{
    loop {
        let page = list(request.clone()).await?;
        let fitting = fitting(&page.items);
        if fitting == page.items.len() {
            return Ok(page);
        }
        request.size = fitting as u64;
    }
}

/// How many of the messages, but at least one, fit into a page.
fn fitting(messages: &[impl Message]) -> usize {
    let ends = messages.iter().scan(0, |end, message| {
        *end += message.encoded_len();
        Some(*end)
    });
    let fitting = ends.take_while(|end| *end <= MAX_PAGE_BYTES).count();
    fitting.max(1).min(messages.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Texts as messages, each of `bytes` bytes.
    async fn page_of(rows: u64, bytes: usize, size: u64) -> (usize, u64) {
        let asked = AtomicU64::new(0);
        let list = |request: PageRequest| {
            asked.fetch_add(1, Ordering::Relaxed);
            let items = (0..rows.min(request.size)).map(|_| "x".repeat(bytes));
            std::future::ready(Ok(Page {
                items: items.collect(),
                next_page_token: String::new(),
            }))
        };
        let request = PageRequest {
            size,
            token: String::new(),
        };
        let page = bounded_page(request, list).await.unwrap();
        (page.items.len(), asked.into_inner())
    }

    #[tokio::test]
    async fn a_page_of_large_messages_ends_early() {
        assert_eq!(page_of(50, 100_000, 50).await, (20, 2));
    }

    #[tokio::test]
    async fn a_page_of_small_messages_is_as_long_as_asked() {
        assert_eq!(page_of(2_000, 100, 1_000).await, (1_000, 1));
        assert_eq!(page_of(0, 100, 50).await, (0, 1));
    }

    #[tokio::test]
    async fn one_message_is_told_however_large() {
        assert_eq!(page_of(3, 3_000_000, 3).await, (1, 2));
    }
}
