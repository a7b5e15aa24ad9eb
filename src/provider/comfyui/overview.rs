//! How far a workflow is, over all of its nodes, from what the server says on the way.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use crate::provider::Progress;

/// Kinds of binary messages.
const PREVIEW: u32 = 1;
const PREVIEW_WITH_METADATA: u32 = 4;

/// What has been heard of one run.
pub(super) struct Overview {
    titles: BTreeMap<String, String>,
    /// What nodes stand on.
    sources: BTreeMap<String, Vec<String>>,
    /// Shares of nodes, from 0 to 1.
    done: BTreeMap<String, f64>,
    current: Option<String>,
    /// It never goes back, whatever is run again.
    fraction: f64,
}

/// What a message says.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    Progress(Progress),
    /// The run has ended, and what came of it can be asked for.
    Ended,
    Nothing,
}

impl Overview {
    /// Of a workflow with these nodes.
    pub(super) fn new(
        titles: BTreeMap<String, String>,
        sources: BTreeMap<String, Vec<String>>,
    ) -> Self {
        Self {
            titles,
            sources,
            done: BTreeMap::new(),
            current: None,
            fraction: 0.0,
        }
    }

    /// A message of ComfyUI's WebSocket.
    pub(super) fn hear(&mut self, message: &Value) -> Heard {
        let data = &message["data"];
        match message["type"].as_str().unwrap_or_default() {
            // Sent last, when the history is written; execution_success comes too early.
            "executing" if data["node"].is_null() && data["prompt_id"].is_string() => {
                return Heard::Ended;
            }
            "executing" => {
                if let Some(before) = self.current.take() {
                    self.done.insert(before, 1.0);
                }
                self.reach(data["node"].as_str().unwrap_or_default());
            }
            "execution_cached" => {
                for node in data["nodes"].as_array().into_iter().flatten() {
                    self.finish(node.as_str().unwrap_or_default());
                }
            }
            "executed" => self.finish(data["node"].as_str().unwrap_or_default()),
            "progress" => self.advance(data["node"].as_str().unwrap_or_default(), data),
            "progress_state" => {
                for (id, node) in data["nodes"].as_object().into_iter().flatten() {
                    match node["state"].as_str() {
                        Some("finished") => self.finish(id),
                        Some("running") => {
                            self.advance(id, node);
                            self.reach(id);
                        }
                        _ => {}
                    }
                }
            }
            _ => return Heard::Nothing,
        }
        Heard::Progress(self.progress(None))
    }

    /// A binary message: a preview, if it is one.
    pub(super) fn see(&mut self, message: &Bytes) -> Heard {
        let number = |at: usize| {
            let bytes = message.get(at..at + 4)?.try_into().ok()?;
            Some(u32::from_be_bytes(bytes))
        };
        let begin = match (number(0), number(4)) {
            (Some(PREVIEW), Some(_)) => 8,
            (Some(PREVIEW_WITH_METADATA), Some(length)) => 8_usize.saturating_add(length as usize),
            _ => return Heard::Nothing,
        };
        match message.len() > begin {
            true => Heard::Progress(self.progress(Some(message.slice(begin..)))),
            false => Heard::Nothing,
        }
    }

    /// An event of the Comfy API v2, by its data.
    pub(super) fn hear_v2(&mut self, data: &Value, preview: Option<Bytes>) -> Heard {
        if let Some(status) = data["status"].as_str() {
            let ended = ["succeeded", "failed", "canceled", "expired"].contains(&status);
            return if ended { Heard::Ended } else { Heard::Nothing };
        }
        if let Some(value) = data["value"].as_f64() {
            self.fraction = self.fraction.max(value.min(1.0));
            self.current = data["current_node"].as_str().map(str::to_owned);
        } else if preview.is_none() {
            return Heard::Nothing;
        }
        Heard::Progress(self.progress(preview))
    }

    /// What it stands on is done, even if nobody heard of it: a new connection is told the current node only.
    fn reach(&mut self, node: &str) {
        self.current = Some(node.to_owned());
        let mut below = self.sources.get(node).cloned().unwrap_or_default();
        while let Some(node) = below.pop() {
            if self.done.insert(node.clone(), 1.0) != Some(1.0) {
                below.extend(self.sources.get(&node).into_iter().flatten().cloned());
            }
        }
    }

    fn finish(&mut self, node: &str) {
        self.done.insert(node.to_owned(), 1.0);
    }

    fn advance(&mut self, node: &str, of: &Value) {
        let (value, max) = (of["value"].as_f64(), of["max"].as_f64());
        if let (Some(value), Some(max)) = (value, max.filter(|max| *max > 0.0)) {
            self.done
                .insert(node.to_owned(), (value / max).clamp(0.0, 1.0));
        }
    }

    fn progress(&mut self, preview: Option<Bytes>) -> Progress {
        // Nodes that a node adds while it runs are no part of the workflow.
        let own = self.titles.keys().filter_map(|id| self.done.get(id));
        let fraction = own.sum::<f64>() / self.titles.len().max(1) as f64;
        self.fraction = self.fraction.max(fraction);
        let title = self.current.as_ref().and_then(|id| self.titles.get(id));
        Progress {
            fraction: self.fraction,
            message: title.cloned().unwrap_or_default(),
            preview,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn overview() -> Overview {
        let titles = ["1", "2", "3", "4"].map(|id| (id.to_owned(), format!("node {id}")));
        Overview::new(
            titles.into(),
            [("4".to_owned(), vec!["3".to_owned()])].into(),
        )
    }

    #[test]
    fn every_node_counts_alike_and_the_fraction_never_goes_back() {
        let mut overview = overview();
        for (kind, data, fraction, message) in [
            ("execution_cached", json!({ "nodes": ["1"] }), 0.25, ""),
            (
                "executing",
                json!({ "node": "2", "prompt_id": "x" }),
                0.25,
                "node 2",
            ),
            (
                "progress",
                json!({ "node": "2", "value": 5, "max": 10 }),
                0.375,
                "node 2",
            ),
            (
                "executing",
                json!({ "node": "3", "prompt_id": "x" }),
                0.5,
                "node 3",
            ),
            (
                "progress_state",
                json!({ "nodes": { "3": { "value": 1, "max": 4, "state": "running" }, "3.0": {
                "value": 1, "max": 1, "state": "finished" } } }),
                0.5625,
                "node 3",
            ),
            (
                "progress",
                json!({ "node": "3", "value": 0, "max": 0 }),
                0.5625,
                "node 3",
            ),
            (
                "progress",
                json!({ "node": "3", "value": 0, "max": 4 }),
                0.5625,
                "node 3",
            ),
            ("executed", json!({ "node": "3" }), 0.75, "node 3"),
        ] {
            let heard = overview.hear(&json!({ "type": kind, "data": data }));
            let expected = Progress {
                fraction,
                message: message.to_owned(),
                preview: None,
            };
            assert_eq!(heard, Heard::Progress(expected), "{kind}");
        }
        let end = json!({ "type": "executing", "data": { "node": null, "prompt_id": "x" } });
        assert_eq!(overview.hear(&end), Heard::Ended);
        let odd = json!({ "type": "executing" });
        assert_ne!(overview.hear(&odd), Heard::Ended);
        assert_eq!(overview.hear(&json!([1])), Heard::Nothing);
    }

    #[test]
    fn who_hears_of_a_node_only_knows_that_those_before_it_are_done() {
        let data = json!({ "node": "4" });
        let heard = overview().hear(&json!({ "type": "executing", "data": data }));
        let expected = Progress {
            fraction: 0.25,
            message: "node 4".to_owned(),
            preview: None,
        };
        assert_eq!(heard, Heard::Progress(expected));
    }

    #[test]
    fn previews_are_what_follows_their_head() {
        let mut overview = overview();
        let message = |parts: &[&[u8]]| Bytes::from(parts.concat());
        let shown = |overview: &mut Overview, message: &Bytes| match overview.see(message) {
            Heard::Progress(progress) => progress.preview,
            _ => None,
        };
        let plain = message(&[&[0, 0, 0, 1], &[0, 0, 0, 2], b"picture"]);
        assert_eq!(shown(&mut overview, &plain).unwrap(), "picture");
        let told = message(&[&[0, 0, 0, 4], &[0, 0, 0, 2], b"{}picture"]);
        assert_eq!(shown(&mut overview, &told).unwrap(), "picture");
        for odd in [
            &b""[..],
            &[0, 0, 0, 1, 0],
            &[0, 0, 0, 3, 0, 0, 0, 1, 65],
            &[0, 0, 0, 4, 255, 255, 255, 255, 65],
            &[0, 0, 0, 1, 0, 0, 0, 1],
        ] {
            assert_eq!(
                shown(&mut overview, &Bytes::copy_from_slice(odd)),
                None,
                "{odd:?}"
            );
        }
    }
}
