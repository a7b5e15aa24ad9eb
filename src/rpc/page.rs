//! What the lists share.

use prost::Message;

use crate::{
    domain::{Checks, Error, Flaw, Page, Sealer, page_size},
    store::PageRequest,
};

use super::batch::MAX_IDS;

/// What the messages of a page may take together: clients refuse answers of more than 4 MiB unless told otherwise.
pub(super) const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// Most rows that are read at once: a page of the usual length. However small those before were, the next may be large.
pub(super) const SLICE: usize = 50;

/// Most values of an enum that a filter names.
const MAX_VALUES: usize = 16;

/// Longer than any token that was ever given out.
const MAX_TOKEN_BYTES: usize = 1_024;

/// The page asked for; a negative size and an oversized token go to `checks`.
pub(super) fn page_request(
    sealer: Sealer,
    (size, token): (i32, String),
    checks: &mut Checks,
) -> PageRequest {
    checks.require(token.len() <= MAX_TOKEN_BYTES, "page_token", || {
        let bytes = token.len();
        let words = format!("must have at most {MAX_TOKEN_BYTES} bytes, has {bytes}");
        Flaw::TooLong.says(words).max(MAX_TOKEN_BYTES).found(bytes)
    });
    PageRequest {
        size: page_size(size, checks),
        token,
        sealer,
    }
}

/// An identifier in a filter: 0 means any.
pub(super) fn any_or(id: i64) -> Option<i64> {
    (id != 0).then_some(id)
}

/// The identifiers in a filter; none means any.
pub(super) fn any_of_ids(field: &str, ids: &[i64], checks: &mut Checks) -> Vec<i64> {
    if checks.count(field, ids.len(), MAX_IDS) {
        for (index, id) in ids.iter().enumerate() {
            checks.id(&format!("{field}[{index}]"), *id);
        }
    }
    ids.to_vec()
}

/// The values of an enum in a filter; none means any. `read` knows those that are one.
pub(super) fn any_of<T>(
    field: &str,
    of: &str,
    values: &[i32],
    read: fn(i32) -> Option<T>,
    checks: &mut Checks,
) -> Vec<T> {
    if !checks.count(field, values.len(), MAX_VALUES) {
        return Vec::new();
    }
    let mut known = Vec::new();
    for (index, value) in values.iter().enumerate() {
        match read(*value) {
            Some(value) => known.push(value),
            None => checks.add(
                format!("{field}[{index}]"),
                Flaw::NotOneOf
                    .says(format!(
                        "must be a value of {of} and not unspecified, got {value}"
                    ))
                    .found(value),
            ),
        }
    }
    known
}

/// The page of a list that looks at a bounded number of rows, for which its first slice is enough.
pub(super) async fn bounded_slice<M: Message, P>(
    request: PageRequest,
    list: impl Fn(PageRequest) -> P,
) -> Result<Page<M>, Error>
where
    P: Future<Output = Result<Page<M>, Error>>,
{
    let size = request.size.min(SLICE as u64);
    let page = list(PageRequest {
        size,
        ..request.clone()
    })
    .await?;
    match fitting(&page.items, MAX_PAGE_BYTES).max(1) as u64 {
        rows if rows < page.items.len() as u64 => {
            list(PageRequest {
                size: rows,
                ..request
            })
            .await
        }
        _ => Ok(page),
    }
}

/// A page of `list` that is at most 2 MiB long, or has one message. It is read slice by slice, so that rows which do not
/// fit are not read to be thrown away.
pub(super) async fn bounded_page<M: Message, P>(
    request: PageRequest,
    list: impl Fn(PageRequest) -> P,
) -> Result<Page<M>, Error>
where
    P: Future<Output = Result<Page<M>, Error>>,
{
    let size = usize::try_from(request.size).unwrap_or(usize::MAX);
    let mut page = Page {
        items: Vec::new(),
        next_page_token: request.token,
    };
    let mut room = MAX_PAGE_BYTES;
    let mut slice = SLICE.min(size);
    loop {
        let ask = |rows: usize| PageRequest {
            size: rows as u64,
            token: page.next_page_token.clone(),
            sealer: request.sealer.clone(),
        };
        let mut next = list(ask(slice)).await?;
        let fitting = fitting(&next.items, room);
        if fitting < next.items.len() {
            let rows = fitting.max(usize::from(page.items.is_empty()));
            if rows > 0 {
                // Once more, so that the token is that of the last row.
                next = list(ask(rows)).await?;
                page.items.append(&mut next.items);
                page.next_page_token = next.next_page_token;
            }
            return Ok(page);
        }
        room -= next.items.iter().map(Message::encoded_len).sum::<usize>();
        page.items.append(&mut next.items);
        page.next_page_token = next.next_page_token;
        let left = size.saturating_sub(page.items.len());
        if left == 0 || page.next_page_token.is_empty() {
            return Ok(page);
        }
        // As many as fill the room if they are as long as those before.
        let mean = (MAX_PAGE_BYTES - room) / page.items.len().max(1);
        slice = (room / mean.max(1)).clamp(1, left.min(SLICE));
    }
}

/// How many of the messages fit.
fn fitting(messages: &[impl Message], room: usize) -> usize {
    let ends = messages.iter().scan(0, |end, message| {
        *end += message.encoded_len();
        Some(*end)
    });
    ends.take_while(|end| *end <= room).count()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::domain::{Caller, Keyring, Purpose};

    /// Texts as messages, each of `bytes` bytes.
    async fn page_of(rows: u64, bytes: usize, size: u64) -> (usize, u64) {
        let asked = AtomicU64::new(0);
        let list = |request: PageRequest| {
            asked.fetch_add(1, Ordering::Relaxed);
            let before: u64 = request.token.parse().unwrap_or_default();
            let end = rows.min(before + request.size);
            let items = (before..end).map(|_| "x".repeat(bytes));
            let more = (end < rows).then(|| end.to_string());
            std::future::ready(Ok(Page {
                items: items.collect(),
                next_page_token: more.unwrap_or_default(),
            }))
        };
        let request = PageRequest {
            size,
            token: String::new(),
            sealer: Sealer::new(&Keyring::new(Purpose::Tokens), Caller::TrustedService),
        };
        let page = bounded_page(request, list).await.unwrap();
        let told = page.items.len() as u64;
        let more = (told < rows).then(|| told.to_string());
        assert_eq!(page.next_page_token, more.unwrap_or_default());
        (page.items.len(), asked.into_inner())
    }

    #[tokio::test]
    async fn a_page_of_large_messages_ends_early() {
        assert_eq!(page_of(50, 100_000, 50).await, (20, 2));
    }

    #[tokio::test]
    async fn a_page_of_small_messages_is_as_long_as_asked() {
        assert_eq!(page_of(2_000, 100, 1_000).await, (1_000, 20));
        assert_eq!(page_of(2_000, 100, 50).await, (50, 1));
        assert_eq!(page_of(0, 100, 50).await, (0, 1));
    }

    #[tokio::test]
    async fn one_message_is_told_however_large() {
        assert_eq!(page_of(3, 3_000_000, 3).await, (1, 2));
    }
}
