//! What an applied catalogue has changed, for people and for programs.

use serde_json::json;

use crate::app::{CatalogueChange, ChangeKind};

pub(super) struct Report {
    pub changes: Vec<CatalogueChange>,
    /// Features of a starter that the provider does not make here, as its table says.
    pub left_out: Vec<String>,
    /// Features with the provider that each names and that is not configured here.
    pub unprovided: Vec<(String, String)>,
    /// What the provider of a starter speaks, where the starter is for something else.
    pub other_service: Option<String>,
    /// Whether nothing was written.
    pub dry_run: bool,
}

impl Report {
    /// One line for each feature and template, and a summary.
    pub(super) fn to_text(&self) -> String {
        let told = self.changes.iter();
        let told = told.filter(|change| change.kind != ChangeKind::Kept);
        let left_out = self.left_out.iter();
        let left_out = left_out.map(|name| {
            format!("left out  feature {name} (not made by its provider as it is configured)\n")
        });
        let unprovided = self.unprovided.iter();
        let unprovided = unprovided.map(|(feature, provider)| {
            format!("warning   feature {feature} names the provider {provider:?}, which is not configured here: its jobs wait for a worker that has it\n")
        });
        let other = self.other_service.iter();
        let other = other.map(|service| {
            format!("warning   the provider is of {service}: look through the models and settings of this starter\n")
        });
        told.map(line)
            .chain(left_out)
            .chain(other)
            .chain(unprovided)
            .chain([self.summary()])
            .collect()
    }

    fn summary(&self) -> String {
        let count = |kind: &str| {
            let of_kind = self.changes.iter();
            of_kind.filter(|change| word(&change.kind) == kind).count()
        };
        let dry_run = if self.dry_run {
            "dry run, nothing is written: "
        } else {
            ""
        };
        let kept = match count("kept") {
            0 => String::new(),
            kept => format!("; {kept} not in the file, kept without --prune"),
        };
        format!(
            "{dry_run}{} created, {} changed, {} left as they were, {} removed{kept}\n",
            count("created"),
            count("changed"),
            count("unchanged"),
            count("removed"),
        )
    }

    /// One JSON object in one line.
    pub(super) fn to_json(&self) -> String {
        let change = |change: &CatalogueChange| {
            let fields = match &change.kind {
                ChangeKind::Changed(fields) => fields.as_slice(),
                _ => &[],
            };
            json!({
                "kind": word(&change.kind),
                "feature": change.feature,
                "template": change.template,
                "fields": fields,
            })
        };
        let changes: Vec<_> = self.changes.iter().map(change).collect();
        format!(
            "{}\n",
            json!({
                "dry_run": self.dry_run, "changes": changes, "left_out": self.left_out,
                "other_service": self.other_service,
                "unprovided": self.unprovided.iter().map(|(feature, _)| feature).collect::<Vec<_>>(),
            })
        )
    }
}

fn word(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "created",
        ChangeKind::Changed(_) => "changed",
        ChangeKind::Unchanged => "unchanged",
        ChangeKind::Removed => "removed",
        ChangeKind::Kept => "kept",
    }
}

fn line(change: &CatalogueChange) -> String {
    let kind = word(&change.kind);
    let what = match &change.template {
        None => format!("feature {}", change.feature),
        Some(template) => format!("template {}/{template}", change.feature),
    };
    match &change.kind {
        ChangeKind::Changed(fields) => format!("{kind:9} {what} ({})\n", fields.join(", ")),
        _ => format!("{kind:9} {what}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(template: Option<&str>, kind: ChangeKind) -> CatalogueChange {
        CatalogueChange {
            feature: "poster".to_owned(),
            template: template.map(str::to_owned),
            kind,
        }
    }

    fn report(dry_run: bool) -> Report {
        let fields = ["description", "template_data.prompt"].map(str::to_owned);
        Report {
            changes: vec![
                change(None, ChangeKind::Unchanged),
                change(Some("sale"), ChangeKind::Changed(fields.to_vec())),
                change(Some("old"), ChangeKind::Kept),
            ],
            left_out: vec!["service_video".to_owned()],
            unprovided: vec![("song".to_owned(), "singer".to_owned())],
            other_service: Some("xai".to_owned()),
            dry_run,
        }
    }

    #[test]
    fn each_change_is_a_line_and_the_last_one_counts_them() {
        assert_eq!(
            report(true).to_text(),
            "unchanged feature poster\n\
             changed   template poster/sale (description, template_data.prompt)\n\
             left out  feature service_video (not made by its provider as it is configured)\n\
             warning   the provider is of xai: look through the models and settings of this starter\n\
             warning   feature song names the provider \"singer\", which is not configured here: its jobs wait for a worker that has it\n\
             dry run, nothing is written: 0 created, 1 changed, 1 left as they were, 0 removed; \
             1 not in the file, kept without --prune\n"
        );
    }

    #[test]
    fn a_program_reads_the_same_as_one_object() {
        let read: serde_json::Value =
            serde_json::from_str(&report(false).to_json()).unwrap_or_default();
        assert_eq!(read["dry_run"], json!(false));
        assert_eq!(
            read["changes"][1],
            json!({
                "kind": "changed", "feature": "poster", "template": "sale",
                "fields": ["description", "template_data.prompt"],
            })
        );
        assert_eq!(read["changes"][2]["kind"], json!("kept"));
        assert_eq!(read["unprovided"], json!(["song"]));
    }
}
