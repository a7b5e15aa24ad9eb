//! Distinct values by steps through an index: one look for each value, however many jobs have it.

/// Which way the steps go through an index.
#[derive(Clone, Copy)]
pub(super) enum Steps {
    Up,
    Down,
}

impl Steps {
    /// `name (value)`, for a recursive WITH: the different `value`s of the jobs of this `condition`, and after the last a NULL.
    pub(super) fn through(self, name: &str, value: &str, condition: &str, indexed: &str) -> String {
        let (beyond, order) = match self {
            Self::Up => (">", ""),
            Self::Down => ("<", " DESC"),
        };
        let first = |after: &str| {
            format!(
                "(SELECT {value} FROM generation_jobs AS job {indexed} WHERE {condition}{after} ORDER BY {value}{order} LIMIT 1)"
            )
        };
        format!(
            "{name} (value) AS (
                 SELECT {first} UNION ALL SELECT {next} FROM {name} WHERE {name}.value IS NOT NULL
             )",
            first = first(""),
            next = first(&format!(" AND {value} {beyond} {name}.value")),
        )
    }
}
