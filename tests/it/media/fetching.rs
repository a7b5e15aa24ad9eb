//! What the fetcher of links gets, and what it refuses.

use std::time::Duration;

use atelier::domain::AddressRules;
use atelier::provider::fetch::{FetchError, FetchLimits, Fetched, Fetcher, Unfetched};
use codec::{Format, Kind};
use reqwest::header::{HeaderMap, HeaderValue};
use url::Url;

use crate::support::link_host::{LinkHost, picture};
use crate::support::server::within;

const MOST: u64 = 100_000;

fn fetcher(allow: &[&str], time: Duration) -> Fetcher {
    let rules = AddressRules {
        allow: allow.iter().map(|rule| rule.parse().unwrap()).collect(),
        deny: vec!["denied.localhost".parse().unwrap()],
    };
    Fetcher::new(rules, FetchLimits { bytes: MOST, time }).unwrap()
}

fn guarded() -> Fetcher {
    fetcher(&[], Duration::from_secs(30))
}

fn letting_loopback_through() -> Fetcher {
    fetcher(&["127.0.0.1"], Duration::from_secs(30))
}

async fn fetch(fetcher: &Fetcher, link: &Url) -> Result<Fetched, FetchError> {
    within(fetcher.fetch(link, &[Kind::Image])).await
}

async fn refused(fetcher: &Fetcher, link: &Url) -> Unfetched {
    fetch(fetcher, link).await.unwrap_err().why
}

#[tokio::test]
async fn a_picture_is_got_whatever_its_host_calls_it_and_without_a_word_about_us() {
    let host = LinkHost::start().await;
    let got = fetch(&letting_loopback_through(), &host.link("picture")).await;
    let got = got.unwrap();
    assert_eq!(got.format, Format::Png);
    assert_eq!(std::fs::read(&got.file).unwrap(), picture());
    let head = host.asked()[0].to_ascii_lowercase();
    for header in ["cookie:", "referer:", "authorization:", "accept-encoding:"] {
        assert!(!head.contains(header), "{head}");
    }
    let path = got.file.to_path_buf();
    drop(got);
    assert!(!path.exists());
}

#[tokio::test]
async fn no_spelling_of_an_address_leads_to_this_machine() {
    let host = LinkHost::start().await;
    for name in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ] {
        let link = host.at(name, "picture");
        assert_eq!(
            refused(&guarded(), &link).await,
            Unfetched::Forbidden,
            "{link}"
        );
    }
    assert_eq!(host.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_that_is_more_than_a_link_is_refused() {
    for link in [
        "ftp://a.example/x.png",
        "file:///etc/passwd",
        "http://user@127.0.0.1/x.png",
        "http://:word@127.0.0.1/",
    ] {
        let link: Url = link.parse().unwrap();
        let error = fetch(&letting_loopback_through(), &link).await.unwrap_err();
        assert_eq!(error.why, Unfetched::NotPlain, "{link}");
        assert!(
            !error.to_string().contains("user") && !error.to_string().contains("word"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn every_step_of_a_redirect_is_checked_like_the_first() {
    let host = LinkHost::start().await;
    let fetcher = letting_loopback_through();
    let to = |target: &str| host.link(&format!("to?{target}"));
    assert!(fetch(&fetcher, &to("/picture")).await.is_ok());
    for target in [
        "http://127.0.0.2/x",
        "http://localhost/x",
        "//[::1]/x",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
    ] {
        let why = refused(&fetcher, &to(target)).await;
        // A name may have the address that is let through among others.
        let expected = [Unfetched::Forbidden, Unfetched::Unreachable];
        assert!(
            expected[..if target.contains("localhost") { 2 } else { 1 }].contains(&why),
            "{target}: {why}"
        );
    }
    for target in [
        "file:///etc/passwd",
        "http://a@127.0.0.1/",
        "gopher://a.example/",
    ] {
        assert_eq!(
            refused(&fetcher, &to(target)).await,
            Unfetched::NotPlain,
            "{target}"
        );
    }
    let before = host.asked().len();
    let again = format!("/to?{}", "/to?".repeat(20));
    assert_eq!(refused(&fetcher, &to(&again)).await, Unfetched::Redirected);
    assert_eq!(host.asked().len() - before, 6);
}

#[tokio::test]
async fn what_is_no_picture_or_too_large_is_refused_before_all_of_it_has_come() {
    let host = LinkHost::start().await;
    let fetcher = letting_loopback_through();
    for (path, why, told) in [
        ("page", Unfetched::OtherType, "type"),
        ("empty", Unfetched::OtherType, "type"),
        ("huge", Unfetched::TooLarge(MOST), "100000 bytes"),
        ("endless", Unfetched::TooLarge(MOST), "100000 bytes"),
        ("gone", Unfetched::Gone(410), "expired"),
        ("odd", Unfetched::Refused(418), "418"),
    ] {
        let before = host.asked().len();
        let link = host.link(&format!("{path}?secret"));
        let error = fetch(&fetcher, &link).await.unwrap_err();
        assert_eq!(error.why, why, "{path}");
        let said = error.to_string();
        assert!(
            said.starts_with("the link to 127.0.0.1 ") && said.contains(told),
            "{said}"
        );
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        assert_eq!(
            host.asked().len() - before,
            1,
            "{path} is not asked for again"
        );
    }
    let sound = within(fetcher.fetch(&host.link("picture"), &[Kind::Audio])).await;
    assert_eq!(sound.unwrap_err().why, Unfetched::OtherType);
}

#[tokio::test]
async fn what_broke_off_or_is_away_is_tried_three_times() {
    let host = LinkHost::start().await;
    let fetcher = letting_loopback_through();
    let got = fetch(&fetcher, &host.link("truncated-once")).await.unwrap();
    assert_eq!(std::fs::read(&got.file).unwrap(), picture());
    assert_eq!(host.asked().len(), 2);
    assert_eq!(
        refused(&fetcher, &host.link("truncated")).await,
        Unfetched::Broken
    );
    assert_eq!(
        refused(&fetcher, &host.link("busy")).await,
        Unfetched::Busy(503)
    );
    assert_eq!(host.asked().len(), 8);
    assert_eq!(
        refused(&fetcher, &"http://127.0.0.1:1/".parse().unwrap()).await,
        Unfetched::Unreachable
    );
}

#[tokio::test]
async fn a_host_that_says_nothing_is_not_waited_for() {
    let host = LinkHost::start().await;
    let hasty = fetcher(&["127.0.0.0/8"], Duration::from_millis(200));
    for path in ["silent", "stalling"] {
        assert_eq!(
            refused(&hasty, &host.link(path)).await,
            Unfetched::TimedOut,
            "{path}"
        );
    }
}

#[tokio::test]
async fn only_the_configured_origin_gets_credentials_and_may_be_anywhere() {
    let [own, other] = [LinkHost::start().await, LinkHost::start().await];
    let key = HeaderMap::from_iter([(
        "x-api-key".parse().unwrap(),
        HeaderValue::from_static("hunter2"),
    )]);
    let service = guarded().trusting(&own.link(""), key.clone()).unwrap();
    assert!(fetch(&service, &own.link("picture")).await.is_ok());
    assert!(own.asked()[0].contains("hunter2"));
    assert_eq!(
        refused(&service, &other.link("picture")).await,
        Unfetched::Forbidden
    );

    let service = letting_loopback_through()
        .trusting(&own.link(""), key)
        .unwrap();
    let away = own.link(&format!("to?{}", other.link("picture")));
    assert!(fetch(&service, &away).await.is_ok());
    assert!(own.asked()[1].contains("hunter2"));
    assert!(!other.asked()[0].contains("hunter2"), "{:?}", other.asked());
}
