//! What the fetcher of links gets, and what it refuses.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atelier::domain::AddressRules;
use atelier::provider::fetch::{FetchError, FetchLimits, Fetched, Fetcher, Lookup, Unfetched};
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

/// Names whose addresses come one after the other, the last of which stays.
#[derive(Default)]
struct Names {
    answers: Mutex<VecDeque<&'static str>>,
    asked: Mutex<usize>,
}

impl Names {
    fn answering(addresses: &[&'static str]) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(addresses.iter().copied().collect()),
            asked: Mutex::default(),
        })
    }

    fn times_asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
        *self.asked.lock().unwrap() += 1;
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.len() {
            1 => answers[0],
            _ => answers.pop_front().unwrap(),
        };
        Ok(vec![SocketAddr::new(answer.parse().unwrap(), 0)])
    }
}

/// Lets nothing through but one name, wherever that is.
fn by_name(allowed: &str, names: &Arc<Names>) -> Fetcher {
    let rules = AddressRules {
        allow: vec![allowed.parse().unwrap()],
        deny: Vec::new(),
    };
    let time = Duration::from_secs(30);
    Fetcher::looking_up(rules, FetchLimits { bytes: MOST, time }, names.clone()).unwrap()
}

#[tokio::test]
async fn a_redirect_to_this_machine_is_refused_however_it_is_named() {
    let host = LinkHost::start().await;
    for loopback in ["127.0.0.1", "::ffff:127.0.0.1", "::1"] {
        // Where it begins may be reached; where it leads to resolves to the same machine, and may not.
        let names = Names::answering(&["127.0.0.1", loopback]);
        let fetcher = by_name("begin.example", &names);
        let named = host.at("inside.example", "picture");
        let link = host.at("begin.example", &format!("to?{named}"));
        assert_eq!(
            refused(&fetcher, &link).await,
            Unfetched::Forbidden,
            "{loopback}"
        );
        assert_eq!(names.times_asked(), 2);
    }
    let names = Names::answering(&["127.0.0.1"]);
    let fetcher = by_name("begin.example", &names);
    for literal in [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::1]",
    ] {
        let link = host.at(
            "begin.example",
            &format!("to?{}", host.at(literal, "picture")),
        );
        assert_eq!(
            refused(&fetcher, &link).await,
            Unfetched::Forbidden,
            "{literal}"
        );
    }
    let pictures = host
        .asked()
        .into_iter()
        .filter(|head| head.contains(" /picture"));
    assert_eq!(pictures.count(), 0);
    let link = host.at("begin.example", "to?/picture");
    assert!(
        fetch(&fetcher, &link).await.is_ok(),
        "the name itself is let through"
    );
}

#[tokio::test]
async fn a_name_that_means_another_address_a_moment_later_is_not_followed_there() {
    let host = LinkHost::start().await;
    let link = host.at("moving.example", "picture");
    let rules = || AddressRules {
        allow: vec!["127.0.0.2".parse().unwrap()],
        deny: Vec::new(),
    };
    let limits = FetchLimits {
        bytes: MOST,
        time: Duration::from_secs(30),
    };
    // When it is looked at it is somewhere that may be reached, and when it is connected to it is this machine.
    let names = Names::answering(&["127.0.0.2", "127.0.0.1"]);
    let fetcher = Fetcher::looking_up(rules(), limits, names.clone()).unwrap();
    fetcher.judge_resolved(&link).await.unwrap();
    assert_eq!(refused(&fetcher, &link).await, Unfetched::Forbidden);
    assert_eq!(host.asked(), Vec::<String>::new());

    // What was judged is what is connected to: nobody asks a second time in between.
    let names = Names::answering(&["127.0.0.1", "8.8.8.8"]);
    let fetcher = by_name("moving.example", &names);
    assert!(fetch(&fetcher, &link).await.is_ok());
    assert_eq!(names.times_asked(), 1);
}

#[tokio::test]
async fn a_host_that_sends_a_byte_now_and_then_is_not_waited_for_longer_than_one_that_is_silent() {
    let host = LinkHost::start().await;
    let limit = Duration::from_millis(400);
    let began = Instant::now();
    let why = refused(&fetcher(&["127.0.0.1"], limit), &host.link("trickling")).await;
    assert_eq!(why, Unfetched::TimedOut);
    assert!(began.elapsed() < limit * 5, "{:?}", began.elapsed());
    assert_eq!(host.asked().len(), 1);
}

#[tokio::test]
async fn of_a_body_that_is_longer_than_it_is_said_to_be_nothing_more_is_taken() {
    let host = LinkHost::start().await;
    let got = fetch(&letting_loopback_through(), &host.link("overlong")).await;
    assert_eq!(std::fs::read(&got.unwrap().file).unwrap(), picture());
}
