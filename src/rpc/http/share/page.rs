//! The page of a link: the media, and what social networks read to show a preview of it (Open Graph).

use std::{fmt::Write, sync::LazyLock};

use axum::http::HeaderValue;
use base64::{Engine, prelude::BASE64_STANDARD};
use codec::{Format, Kind};
use percent_encoding::utf8_percent_encode;
use sha2::{Digest, Sha256};
use url::Url;

use super::{address, file_name, title};
use crate::{
    app::{OpenFile, OpenShare},
    domain::ShareToken,
};

const STYLE: &str = "\
html{color-scheme:dark}\
body{margin:0;min-height:100vh;display:grid;place-content:center;justify-items:center;gap:1rem;padding:1rem;\
box-sizing:border-box;background:#111;color:#eee;font:1rem/1.4 system-ui,sans-serif}\
img,video{max-width:100%;max-height:85vh;height:auto;width:auto;border-radius:.5rem}\
audio{width:min(36rem,90vw)}\
h1{margin:0;font-size:1.1rem;font-weight:500;text-align:center;overflow-wrap:anywhere}";

/// What a link shows that leads nowhere: nothing that tells why.
pub(super) const NOWHERE: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"robots\" content=\"noindex\">
<meta name=\"referrer\" content=\"no-referrer\">
<title>Nothing here</title>
</head>
<body>
<h1>This link leads nowhere</h1>
<p>It was mistyped, has expired, or is not shared any more.</p>
</body>
</html>
";

/// Its own style, known by its hash, and nothing that anybody else has written.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
    );
    policy.try_into().expect("it is plain text")
});

pub(super) fn policy() -> &'static HeaderValue {
    &POLICY
}

/// What of a file pages are told.
pub(super) struct Shown<'a> {
    pub(super) file: &'a OpenFile,
    /// From everywhere.
    pub(super) url: String,
    /// From the page.
    path: String,
}

impl<'a> Shown<'a> {
    pub(super) fn of(page: &str, token: &ShareToken, stem: &str, file: &'a OpenFile) -> Self {
        let name = file_name(stem, file);
        Self {
            file,
            url: format!("{page}/{name}"),
            path: format!("{}/{name}", token.as_str()),
        }
    }

    /// The properties of `og:image` and its like.
    fn properties(&self, name: &str) -> Vec<(String, String)> {
        let kind = self.file.key.content_type().to_owned();
        let mut properties = vec![
            (format!("og:{name}"), self.url.clone()),
            (format!("og:{name}:type"), kind),
        ];
        if self.url.starts_with("https:") {
            properties.push((format!("og:{name}:secure_url"), self.url.clone()));
        }
        if let Some((width, height)) = self.file.size {
            properties.push((format!("og:{name}:width"), width.to_string()));
            properties.push((format!("og:{name}:height"), height.to_string()));
        }
        properties
    }

    fn dimensions(&self) -> String {
        let size = self.file.size;
        size.map_or_else(String::new, |(width, height)| {
            format!(" width=\"{width}\" height=\"{height}\"")
        })
    }
}

/// How a file is shown: an animation of a GIF is a picture to browsers.
pub(super) fn shown_as(format: Format) -> Kind {
    match format {
        Format::Gif => Kind::Image,
        other => other.kind(),
    }
}

pub(super) fn of(base: &Url, token: &ShareToken, share: &OpenShare) -> String {
    let page = address(base, token);
    let file = Shown::of(&page, token, "file", &share.file);
    let poster = share.poster.as_ref();
    let poster = poster.map(|poster| Shown::of(&page, token, "poster", poster));
    let title = escaped(title(share));
    let head = head(base, &page, &title, (&file, poster.as_ref()));
    let shown = element(&file, poster.as_ref(), &title);
    format!(
        "<!doctype html>
<html>
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"robots\" content=\"noindex\">
<meta name=\"referrer\" content=\"no-referrer\">
<title>{title}</title>
{head}<style>{STYLE}</style>
</head>
<body>
{shown}
<h1 dir=\"auto\">{title}</h1>
</body>
</html>
"
    )
}

fn head(base: &Url, page: &str, title: &str, shown: (&Shown<'_>, Option<&Shown<'_>>)) -> String {
    let (file, poster) = shown;
    let kind = shown_as(file.file.key.format());
    let image = match kind {
        Kind::Image => Some(file),
        Kind::Video | Kind::Audio => poster,
    };
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut properties = vec![
        named("og:site_name", "Atelier"),
        named("og:url", page),
        named(
            "og:type",
            if kind == Kind::Video {
                "video.other"
            } else {
                "website"
            },
        ),
    ];
    properties.extend(
        image
            .into_iter()
            .flat_map(|image| image.properties("image")),
    );
    // A sound has no sides.
    let of_sides = |name: &str| name.ends_with("width") || name.ends_with("height");
    match kind {
        Kind::Image => {}
        Kind::Video => properties.extend(file.properties("video")),
        Kind::Audio => {
            let of_sound = file.properties("audio").into_iter();
            properties.extend(of_sound.filter(|(name, _)| !of_sides(name)));
        }
    }
    let card = if image.is_some() {
        "summary_large_image"
    } else {
        "summary"
    };
    let mut head = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(head, "<meta property=\"og:title\" content=\"{title}\">");
    for (name, value) in properties {
        let _ = writeln!(
            head,
            "<meta property=\"{name}\" content=\"{}\">",
            escaped(&value)
        );
    }
    if image.is_some() {
        let _ = writeln!(head, "<meta property=\"og:image:alt\" content=\"{title}\">");
    }
    let _ = writeln!(head, "<meta name=\"twitter:card\" content=\"{card}\">");
    let _ = writeln!(
        head,
        "<link rel=\"alternate\" type=\"application/json+oembed\" href=\"{}\" title=\"{title}\">",
        escaped(&oembed(base, page))
    );
    head
}

/// Where pages that want to embed this one ask how.
fn oembed(base: &Url, page: &str) -> String {
    let base = base.as_str().trim_end_matches('/');
    let page = utf8_percent_encode(page, percent_encoding::NON_ALPHANUMERIC);
    format!("{base}/oembed?url={page}&format=json")
}

fn element(file: &Shown<'_>, poster: Option<&Shown<'_>>, title: &str) -> String {
    let (path, size) = (&file.path, file.dimensions());
    match shown_as(file.file.key.format()) {
        Kind::Image => format!("<img src=\"{path}\" alt=\"{title}\"{size}>"),
        Kind::Video => {
            let poster = poster.map(|it| format!(" poster=\"{}\"", it.path));
            let poster = poster.unwrap_or_default();
            format!(
                "<video src=\"{path}\" controls playsinline preload=\"metadata\"{poster}{size}></video>"
            )
        }
        Kind::Audio => {
            let picture =
                poster.map(|it| format!("<img src=\"{}\" alt=\"\"{}>\n", it.path, it.dimensions()));
            let picture = picture.unwrap_or_default();
            format!("{picture}<audio src=\"{path}\" controls preload=\"metadata\"></audio>")
        }
    }
}

/// As text of an element and as value of an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        domain::{SECONDS, SharedFile},
        entity::share::Model,
        media::StorageKey,
    };

    fn file(format: Format) -> OpenFile {
        OpenFile {
            key: StorageKey::for_output(1, "a lease", 0, format),
            shared: SharedFile::whole(1, b""),
            size: Some((64, 48)),
        }
    }

    fn page_of(title: &str, format: Format, poster: Option<Format>) -> String {
        let share = Model {
            id: 1,
            media_id: 1,
            token_hash: Vec::new(),
            title: Some(title.to_owned()),
            max_size: None,
            show_recipe: false,
            files: json!({}),
            created_at: chrono::DateTime::from_timestamp(*SECONDS.start(), 0).unwrap(),
            expires_at: None,
            revoked_at: None,
        };
        let share = OpenShare {
            share,
            file: file(format),
            poster: poster.map(file),
        };
        let base = Url::parse("https://atelier.example.com/").unwrap();
        let token = ShareToken::read(&"a".repeat(32)).unwrap();
        of(&base, &token, &share)
    }

    /// What the page is made of, with every text and value of it left out.
    fn bones(page: &str, title: &str) -> String {
        page.replace(&escaped(title), "")
    }

    #[test]
    fn each_kind_is_shown_as_what_it_is() {
        let url = "https://atelier.example.com/s/".to_owned() + &"a".repeat(32);
        let picture = page_of("A & B", Format::Png, None);
        assert!(picture.contains(&format!(
            "<meta property=\"og:image\" content=\"{url}/file.png\">"
        )));
        assert!(picture.contains("<meta property=\"og:image:width\" content=\"64\">"));
        assert!(picture.contains("alt=\"A &amp; B\" width=\"64\" height=\"48\">"));
        assert!(page_of("", Format::Gif, None).contains("<img src="));
        let video = page_of("", Format::Mp4, Some(Format::Jpg));
        for part in [
            format!("<meta property=\"og:video\" content=\"{url}/file.mp4\">"),
            "<meta property=\"og:video:type\" content=\"video/mp4\">".to_owned(),
            format!("<meta property=\"og:image\" content=\"{url}/poster.jpg\">"),
            format!("poster=\"{}/poster.jpg\"", "a".repeat(32)),
            "<meta name=\"twitter:card\" content=\"summary_large_image\">".to_owned(),
        ] {
            assert!(video.contains(&part), "{part}: {video}");
        }
        let sound = page_of("", Format::Wav, None);
        assert!(sound.contains("<meta property=\"og:audio:type\" content=\"audio/wav\">"));
        assert!(!sound.contains("og:image") && !sound.contains(":width"));
        assert!(sound.contains("<meta name=\"twitter:card\" content=\"summary\">"));
    }

    proptest! {
        #[test]
        fn no_title_changes_what_the_page_is_made_of(title in "\\PC*|[<>\"'&a-z/= ]{0,60}|</title><script>.{0,9}") {
            prop_assume!(escaped(&title).len() > 9 && !page_of("", Format::Mp4, Some(Format::Jpg)).contains(&escaped(&title)));
            let page = page_of(&title, Format::Mp4, Some(Format::Jpg));
            prop_assert_eq!(bones(&page, &title), page_of("", Format::Mp4, Some(Format::Jpg)));
            prop_assert!(!escaped(&title).contains(['<', '>', '"', '\'']));
        }
    }
}
