//! What a profile must have beyond the form of its keys.

use toml::{Table, Value};

use super::{Call, Definition, Path, Signature};

impl Definition {
    /// Reads it; what is wrong is told with its place.
    pub(super) fn read(table: Table) -> Result<Self, String> {
        serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let place = error.path().to_string();
            let wrong = error.into_inner().to_string();
            format!("{place}: {}", wrong.trim())
        })
    }

    /// Whether it is whole.
    pub(super) fn check(&self) -> Result<(), String> {
        let must = |holds: bool, wrong: &str| if holds { Ok(()) } else { Err(wrong.to_owned()) };
        let (submit, poll, result) = (&self.submit, &self.poll, &self.result);
        let asks = submit.waits || !poll.url.is_empty() || poll.path.is_some();
        let webhook = self.webhook.as_ref();
        let is_told = webhook.is_some_and(|it| it.answers);
        must(submit.path.is_some(), "submit.path: it is missing")?;
        must(
            (submit.waits && !is_told) || !submit.id.is_empty(),
            "submit.id: it is missing",
        )?;
        must(
            submit.settings.is_empty() || submit.settings.starts_with('/'),
            "submit.settings: a pointer such as \"/input\" is expected",
        )?;
        must(asks, "poll: a path or a url is missing")?;
        let tells = poll.status.is_empty() || poll.words.contains_key(&super::Meaning::Done);
        must(tells, "poll.words.done: it is missing")?;
        let mut words: Vec<_> = poll
            .words
            .values()
            .flatten()
            .map(|it| it.to_lowercase())
            .collect();
        words.sort_unstable();
        let twice = words.windows(2).any(|pair| pair[0] == pair[1]);
        must(!twice, "poll.words: a word has two meanings")?;
        let names = |path: &Option<Path>, name| path.as_ref().is_some_and(|it| it.names(name));
        let early = |name| {
            names(&submit.path, name) || submit.body.as_ref().is_some_and(|it| it.names(name))
        };
        must(
            !early("task_id"),
            "submit: task_id is known only when it has been answered",
        )?;
        must(
            !early("answer") && !names(&poll.path, "answer"),
            "answer: it is known only when the task is done",
        )?;
        let whole = poll.progress.as_ref().map_or(1.0, |progress| progress.of);
        must(whole > 0.0, "poll.progress.of: a number over 0 is expected")?;
        let gives = result.bytes || !result.outputs.is_empty() || !result.base64.is_empty();
        must(gives, "result: outputs, base64 or bytes is missing")?;
        if let Some(auth) = &self.auth {
            let places = [auth.header.is_some(), auth.query.is_some()];
            let places = places.into_iter().chain([!auth.headers.is_empty()]);
            let one = places.filter(|is_there| *is_there).count() == 1;
            must(one, "auth: either a header, headers or a query is expected")?;
            must(
                !auth.signs() || auth.value.is_some() || !auth.headers.is_empty(),
                "auth.value: it is missing",
            )?;
        }
        if let Some(webhook) = webhook {
            let by_keys = webhook.signed == Some(Signature::Fal);
            must(
                by_keys == webhook.keys.is_some(),
                "webhook.keys: they belong to signed = \"fal\"",
            )?;
            let is_named = submit
                .path
                .as_ref()
                .is_some_and(|it| it.names("webhook_url"))
                || submit
                    .body
                    .as_ref()
                    .is_some_and(|it| it.names("webhook_url"));
            must(
                is_named,
                "webhook: neither submit.path nor submit.body names webhook_url",
            )?;
            check_headers("webhook.headers", webhook.headers.iter())?;
        }
        let empty = String::new();
        let auth = self.auth.iter();
        let auth = auth.flat_map(|auth| auth.header.iter().chain(auth.headers.keys()));
        let auth = auth.map(|name| (name, &empty));
        check_headers("headers", self.headers.iter().chain(auth))?;
        check_call("submit", &submit.call())?;
        check_call("poll", &poll.call())?;
        check_call("result", &result.call())?;
        self.cancel
            .as_ref()
            .map_or(Ok(()), |it| check_call("cancel", &it.call()))?;
        self.probe
            .as_ref()
            .map_or(Ok(()), |it| check_call("probe", &it.call()))
    }
}

fn check_call(place: &str, call: &Call<'_>) -> Result<(), String> {
    const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    if !METHODS.contains(&call.method) {
        return Err(format!(
            "{place}.method: one of {} is expected",
            METHODS.join(", ")
        ));
    }
    check_headers(&format!("{place}.headers"), call.headers.iter())
}

fn check_headers<'a>(
    place: &str,
    mut headers: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let is_value = |value: &str| value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match headers.find(|(name, value)| !is_name(name) || !is_value(value)) {
        None => Ok(()),
        Some((name, _)) => Err(format!("{place}: {name:?} is no header")),
    }
}
