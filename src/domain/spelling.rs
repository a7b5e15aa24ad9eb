//! What a name that nobody knows was probably meant to be.

/// How like one another two names are that mean the same, where 1 is equal.
const LIKELY: f64 = 0.8;

/// The candidate that `name` was probably meant to be.
pub fn nearest(name: &str, candidates: impl IntoIterator<Item: Into<String>>) -> Option<String> {
    candidates
        .into_iter()
        .map(Into::into)
        .map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness > LIKELY)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// Words that end a sentence about an unknown name; empty without a nearest one.
pub fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}
