//! What is missing in an output: `omitted`, the files that could not be made of it, `omitted_characters`, those of the prompt that
//! could not be shown, and in words `remarks` and `sound_omitted`, of a job's `output_metadata`.

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use serde_json::json;

use crate::rpc::proto::Job;

/// One file that is missing.
#[derive(Debug)]
pub(super) struct Omission {
    /// From 0.
    variation: i32,
    /// What it is to its output, such as "format".
    role: String,
    /// Empty for all but formats.
    format: String,
    reason: String,
}

/// What `job` could not make of its outputs.
pub(super) fn omissions(job: &Job) -> Vec<Omission> {
    let omitted = entries(job, "omitted").map(|entry| Omission {
        variation: job.variation,
        role: text(entry, "role"),
        format: text(entry, "format"),
        reason: text(entry, "reason"),
    });
    omitted.collect()
}

/// The entries of a list of the job's `output_metadata`.
fn entries<'a>(job: &'a Job, key: &str) -> impl Iterator<Item = &'a Struct> {
    let told = job.output_metadata.as_ref();
    let list = told.and_then(|told| match told.fields.get(key)?.kind.as_ref()? {
        Kind::ListValue(list) => Some(&list.values),
        _ => None,
    });
    let entries = list.into_iter().flatten();
    entries.filter_map(|entry| match &entry.kind {
        Some(Kind::StructValue(entry)) => Some(entry),
        _ => None,
    })
}

/// What was done to an output, or could not be, in words.
#[derive(Debug)]
pub(super) struct Remark {
    /// From 0.
    variation: i32,
    remark: String,
}

/// What is remarked of the outputs of `job`.
pub(super) fn remarks(job: &Job) -> Vec<Remark> {
    let told = job.output_metadata.iter();
    let of_sound = told.map(|told| text(told, "sound_omitted"));
    let remarks = entries(job, "remarks").map(|entry| text(entry, "remark"));
    let remarks = remarks.chain(of_sound).filter(|remark| !remark.is_empty());
    let variation = job.variation;
    remarks.map(|remark| Remark { variation, remark }).collect()
}

impl Remark {
    /// For people.
    pub(super) fn sentence(&self) -> String {
        format!("variation {}: {}", self.variation + 1, self.remark)
    }

    /// For programs.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({ "variation": self.variation, "remark": self.remark })
    }
}

/// Characters of the prompt that an output lacks.
#[derive(Debug)]
pub(super) struct OmittedCharacters {
    /// From 0.
    variation: i32,
    characters: String,
}

/// What `job` could not show of its prompt.
pub(super) fn omitted_characters(job: &Job) -> Option<OmittedCharacters> {
    let characters = text(job.output_metadata.as_ref()?, "omitted_characters");
    let variation = job.variation;
    (!characters.is_empty()).then_some(OmittedCharacters {
        variation,
        characters,
    })
}

impl OmittedCharacters {
    /// For people.
    pub(super) fn sentence(&self) -> String {
        let (number, characters) = (self.variation + 1, &self.characters);
        format!("variation {number} is there without these characters of the prompt: {characters}")
    }

    /// For programs.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({ "variation": self.variation, "characters": self.characters })
    }
}

fn text(entry: &Struct, key: &str) -> String {
    match entry.fields.get(key) {
        Some(Value {
            kind: Some(Kind::StringValue(text)),
        }) => text.clone(),
        _ => String::new(),
    }
}

impl Omission {
    /// For people.
    pub(super) fn sentence(&self) -> String {
        let Self { role, reason, .. } = self;
        let number = self.variation + 1;
        let file = match self.format.as_str() {
            "" => role.as_str(),
            format => format,
        };
        format!("variation {number} is there without its {file}: {reason}")
    }

    /// For programs.
    pub(super) fn to_json(&self) -> serde_json::Value {
        json!({
            "variation": self.variation,
            "role": self.role,
            "format": self.format,
            "reason": self.reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Kind) -> Value {
        Value { kind: Some(kind) }
    }

    fn entry(fields: &[(&str, &str)]) -> Value {
        let fields = fields
            .iter()
            .map(|&(key, text)| (key.to_owned(), value(Kind::StringValue(text.to_owned()))));
        value(Kind::StructValue(Struct {
            fields: fields.collect(),
        }))
    }

    fn job_with(key: &str, told: Value) -> Job {
        Job {
            variation: 1,
            output_metadata: Some(Struct {
                fields: [(key.to_owned(), told)].into(),
            }),
            ..Job::default()
        }
    }

    fn job(omitted: Value) -> Job {
        job_with("omitted", omitted)
    }

    #[test]
    fn what_was_remarked_is_told_in_its_words() {
        let list = prost_types::ListValue {
            values: vec![entry(&[("remark", "The clip was cut off.")]), entry(&[])],
        };
        let why = Kind::StringValue("FFmpeg is not installed.".to_owned());
        for (key, told, sentence) in [
            (
                "remarks",
                Kind::ListValue(list),
                "variation 2: The clip was cut off.",
            ),
            (
                "sound_omitted",
                why,
                "variation 2: FFmpeg is not installed.",
            ),
        ] {
            let remarks = remarks(&job_with(key, value(told)));
            let told: Vec<_> = remarks.iter().map(Remark::sentence).collect();
            assert_eq!(told, [sentence]);
        }
        assert!(remarks(&Job::default()).is_empty());
    }

    #[test]
    fn what_is_missing_is_told_with_its_reason() {
        let list = prost_types::ListValue {
            values: vec![
                entry(&[
                    ("role", "format"),
                    ("format", "gif"),
                    ("reason", "It took too long."),
                ]),
                entry(&[("role", "poster"), ("reason", "It would be too large.")]),
                value(Kind::BoolValue(true)),
            ],
        };
        let told: Vec<_> = omissions(&job(value(Kind::ListValue(list))))
            .iter()
            .map(Omission::sentence)
            .collect();
        assert_eq!(
            told,
            [
                "variation 2 is there without its gif: It took too long.",
                "variation 2 is there without its poster: It would be too large.",
            ]
        );
    }

    #[test]
    fn a_job_that_made_everything_has_none() {
        assert!(omissions(&Job::default()).is_empty());
        assert!(omissions(&job(value(Kind::NumberValue(1.0)))).is_empty());
    }
}
