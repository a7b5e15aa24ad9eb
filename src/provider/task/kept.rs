//! What is written down of a task, so that any process can go on with it.

use serde::{Deserialize, Serialize};

/// The service's id, and the addresses that it has named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) poll: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cancel: Option<String>,
}

impl Kept {
    /// As text: the id alone, if there is nothing else and nobody could take it for more.
    pub(super) fn write(&self) -> String {
        let alone = self.poll.is_none() && self.result.is_none() && self.cancel.is_none();
        if alone && !self.id.starts_with('{') {
            return self.id.clone();
        }
        serde_json::to_string(self).unwrap_or_else(|_| self.id.clone())
    }

    pub(super) fn read(text: &str) -> Self {
        let kept = serde_json::from_str(text)
            .ok()
            .filter(|_| text.starts_with('{'));
        kept.unwrap_or_else(|| Self {
            id: text.to_owned(),
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_task_is_read_as_it_was_written(id in ".{1,20}|[{].{0,20}", poll in proptest::option::of(".{0,20}")) {
            let kept = Kept { id, poll, ..Kept::default() };
            prop_assert_eq!(Kept::read(&kept.write()), kept);
        }
    }
}
