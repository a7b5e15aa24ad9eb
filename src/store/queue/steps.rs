//! Distinct values by steps through an index: one look for each value, however many jobs have it.

/// `name (value)`, for a recursive WITH: the different `value`s of the jobs of this `condition`, and after the last a NULL.
pub(super) fn distinct(name: &str, value: &str, condition: &str, indexed: &str) -> String {
    let first = |after: &str| {
        format!(
            "(SELECT {value} FROM generation_jobs AS job {indexed} WHERE {condition}{after} ORDER BY {value} LIMIT 1)"
        )
    };
    format!(
        "{name} (value) AS (
             SELECT {first} UNION ALL SELECT {next} FROM {name} WHERE {name}.value IS NOT NULL
         )",
        first = first(""),
        next = first(&format!(" AND {value} > {name}.value")),
    )
}
