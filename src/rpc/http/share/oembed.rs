//! How a page that has a link embeds what it leads to (oEmbed 1.0, oembed.com): for links of our own only. Nothing is fetched.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use codec::Kind;
use serde_json::{Map, Value, json};
use url::{Url, form_urlencoded};

use super::{
    SHARES, Unanswered, address, guarded, kept, open, page,
    page::{Shown, escaped, shown_as},
    seconds_kept, title,
};
use crate::{
    app::{App, OpenShare},
    domain::ShareToken,
};

/// Pixels of a player of sound, which has no size of its own.
const PLAYER: (i32, i32) = (480, 54);

/// What is asked for. Of what is given twice the first counts.
#[derive(Default)]
struct Asked {
    url: Option<String>,
    format: Option<String>,
    /// Pixels, where it is a number.
    max: (Option<i32>, Option<i32>),
}

impl Asked {
    fn read(query: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let number = || value.parse().ok().filter(|number| *number > 0);
            match name.as_ref() {
                "url" => asked.url = asked.url.or(Some(value.into_owned())),
                "format" => asked.format = asked.format.or(Some(value.into_owned())),
                "maxwidth" => asked.max.0 = asked.max.0.or(number()),
                "maxheight" => asked.max.1 = asked.max.1.or(number()),
                _ => {}
            }
        }
        asked
    }

    /// The largest size within the bounds that has these proportions.
    fn fitting(&self, (width, height): (i32, i32)) -> (i32, i32) {
        let of = |most: Option<i32>, side: i32| {
            most.map_or(1.0, |most| f64::from(most) / f64::from(side.max(1)))
        };
        let scale = of(self.max.0, width).min(of(self.max.1, height)).min(1.0);
        let scaled = |side: i32| ((f64::from(side) * scale) as i32).max(1);
        (scaled(width), scaled(height))
    }
}

pub(super) async fn tell(State(app): State<App>, uri: Uri) -> Response {
    let asked = Asked::read(uri.query().unwrap_or_default());
    let format = asked.format.as_deref().unwrap_or_default();
    if !format.is_empty() && format != "json" {
        return guarded((StatusCode::NOT_IMPLEMENTED, "the format is json\n").into_response());
    }
    let token = asked
        .url
        .as_deref()
        .and_then(|url| token_of(&app.settings.url, url));
    let answer = match open(&app, token.unwrap_or_default()).await {
        Ok((token, share)) => {
            let kept = [(header::CACHE_CONTROL, kept(&app, &share))];
            let mut told = told(&app.settings.url, &asked, &token, &share);
            // No longer than the answer itself.
            told.insert("cache_age".to_owned(), seconds_kept(&app, &share).into());
            (kept, Json(told)).into_response()
        }
        Err(unanswered) => {
            return super::protected(Unanswered::into_response(unanswered), page::policy());
        }
    };
    guarded(answer)
}

/// The token in a link of our own.
fn token_of<'a>(base: &Url, url: &'a str) -> Option<&'a str> {
    let base = base.as_str().trim_end_matches('/');
    url.strip_prefix(base)?.strip_prefix(SHARES)
}

fn told(base: &Url, asked: &Asked, token: &ShareToken, share: &OpenShare) -> Map<String, Value> {
    let page = address(base, token);
    let file = Shown::of(&page, token, "file", &share.file);
    let poster = share.poster.as_ref();
    let poster = poster.map(|poster| Shown::of(&page, token, "poster", poster));
    let mut told = match (shown_as(share.file.key.format()), share.file.size) {
        (Kind::Image, Some(size)) => picture(asked, &file, size, title(share)),
        (Kind::Video, Some(size)) => video(asked, &file, size, poster.as_ref()),
        (Kind::Audio, _) => sound(asked, &file),
        // Without a size nothing can be embedded.
        (Kind::Image | Kind::Video, None) => object(json!({ "type": "link" })),
    };
    if let Some((poster, (width, height))) = poster.and_then(|it| Some((it.url, it.file.size?)))
        && asked.fitting((width, height)) == (width, height)
    {
        told.extend(object(json!({
            "thumbnail_url": poster, "thumbnail_width": width, "thumbnail_height": height,
        })));
    }
    told.extend(object(json!({
        "version": "1.0", "title": title(share), "provider_name": "Atelier", "provider_url": base.as_str(),
    })));
    told
}

/// A photo is told as large as it is: one that is too large is drawn smaller.
fn picture(asked: &Asked, file: &Shown<'_>, size: (i32, i32), title: &str) -> Map<String, Value> {
    let (width, height) = asked.fitting(size);
    let url = &file.url;
    if (width, height) == size {
        return object(json!({ "type": "photo", "url": url, "width": width, "height": height }));
    }
    let (url, title) = (escaped(url), escaped(title));
    let html = format!("<img src=\"{url}\" alt=\"{title}\" width=\"{width}\" height=\"{height}\">");
    object(json!({ "type": "rich", "html": html, "width": width, "height": height }))
}

fn video(
    asked: &Asked,
    file: &Shown<'_>,
    size: (i32, i32),
    poster: Option<&Shown<'_>>,
) -> Map<String, Value> {
    let (width, height) = asked.fitting(size);
    let poster = poster.map(|it| format!(" poster=\"{}\"", escaped(&it.url)));
    let html = format!(
        "<video src=\"{}\" controls preload=\"metadata\" width=\"{width}\" height=\"{height}\"{}></video>",
        escaped(&file.url),
        poster.unwrap_or_default()
    );
    object(json!({ "type": "video", "html": html, "width": width, "height": height }))
}

fn sound(asked: &Asked, file: &Shown<'_>) -> Map<String, Value> {
    let width = asked.max.0.map_or(PLAYER.0, |most| most.min(PLAYER.0));
    let height = asked.max.1.map_or(PLAYER.1, |most| most.min(PLAYER.1));
    let url = escaped(&file.url);
    let html = format!("<audio src=\"{url}\" controls preload=\"metadata\"></audio>");
    object(json!({ "type": "rich", "html": html, "width": width, "height": height }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// What asks is read, and never leads to what is not ours.
#[cfg(any(test, fuzzing))]
pub(in crate::rpc) fn read(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let asked = Asked::read(text);
    let (width, height) = asked.fitting((1600, 900));
    assert!((1..=1600).contains(&width) && (1..=900).contains(&height));
    let base = Url::parse("https://atelier.example.com/").expect("it is one");
    let token = asked.url.as_deref().and_then(|url| token_of(&base, url));
    if let Some(token) = token.and_then(ShareToken::read) {
        let ours = address(&base, &token);
        assert_eq!(asked.url, Some(ours));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_of_our_own_have_a_token() {
        let base = Url::parse("https://atelier.example.com/api/").unwrap();
        let token = |url| token_of(&base, url);
        assert_eq!(token("https://atelier.example.com/api/s/abc"), Some("abc"));
        for foreign in [
            "",
            "https://atelier.example.com/s/abc",
            "https://evil.example.com/api/s/abc",
            "https://atelier.example.com.evil.example.com/api/s/abc",
            "https://atelier.example.com/api.evil.example.com/s/abc",
            "http://atelier.example.com/api/s/abc",
        ] {
            assert_eq!(token(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_size_keeps_its_proportions_within_what_is_asked_for() {
        for (query, expected) in [
            ("", (1600, 900)),
            ("maxwidth=800", (800, 450)),
            ("maxheight=90", (160, 90)),
            ("maxwidth=800&maxheight=90", (160, 90)),
            ("maxwidth=4000&maxheight=4000", (1600, 900)),
            ("maxwidth=wide&maxheight=-1", (1600, 900)),
            ("maxwidth=1", (1, 1)),
        ] {
            assert_eq!(Asked::read(query).fitting((1600, 900)), expected, "{query}");
        }
    }
}
