//! OpenAI's own clients of Python and JavaScript, with the front. `scripts/python-environment` and `scripts/web` install them.

use std::time::Duration;

use atelier::rpc::proto::{
    CountRequestsRequest, CreateFeatureRequest, FeatureProperties, JobStatus, ListJobsRequest,
    MediaType,
};
use serde_json::{Value, json};

use crate::api::front::{add_painter, enable, painted, with_front_and};
use crate::support::client::{Client, USER};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::node::Node;
use crate::support::provider::stand_in;
use crate::support::python::python;
use crate::support::script::Script;
use crate::support::server::TestServer;
use atelier::server::Role;
use atelier::stand_in::{Protocol, StandIn};

/// How long the front waits that is asked for what does not end.
const IMPATIENCE: Duration = Duration::from_millis(300);

on_both_databases! {
    async fn the_client_of_python_works_and_asks_for_nothing_twice(db: TestDatabase) {
        let asking = Asking::begin(&db).await;
        let [url, impatient, scripts] = &asking.arguments;
        let (succeeded, said) = python("tests/python/front.py", &[url, impatient, scripts]).await;
        assert!(succeeded, "{said}");
        // Two pictures at once, one by its link, one streamed, three from others, one with a key, three failures, one unfinished,
        // four sounds and two videos.
        asking.has_asked_for(17, 16).await;
    }

    async fn the_client_of_javascript_works_and_asks_for_nothing_twice(db: TestDatabase) {
        let asking = Asking::begin(&db).await;
        let arguments = asking.arguments.each_ref().map(String::as_str);
        let (succeeded, said) = Node::start("../../tests/node/front.mjs", &arguments).ends().await;
        assert!(succeeded, "{said:#?} (have you run scripts/web?)");
        asking.has_asked_for(12, 11).await;
    }
}

/// A front, and one beside it that waits for nothing.
struct Asking {
    server: TestServer,
    _impatient: TestServer,
    painter: StandIn,
    scripts: [Script; 4],
    arguments: [String; 3],
}

impl Asking {
    async fn begin(db: &TestDatabase) -> Self {
        let painter = stand_in(Protocol::OpenAi, Vec::new()).await;
        let server = with_front_and(db, |config| add_painter(config, &painter)).await;
        server.add_feature(painted()).await;
        for (name, category) in [("clip", MediaType::Video), ("sound", MediaType::Audio)] {
            server.add_feature(builtin(name, category)).await;
        }
        let impatient = server.beside(Role::Api, db, |config| {
            enable(config);
            config.front.wait = IMPATIENCE;
        });
        let impatient = impatient.await;
        let scripts = [
            Script::new(&[]).gated(),
            Script::new(&["reject"]),
            Script::new(&["fail"]),
            Script::new(&["hang"]),
        ];
        let [gated, reject, fail, hang] = scripts.each_ref().map(Script::json);
        let told = json!({ "gated": gated, "reject": reject, "fail": fail, "hang": hang });
        let arguments = [server.url(), impatient.url(), Value::to_string(&told)];
        Self {
            server,
            _impatient: impatient,
            painter,
            scripts,
            arguments,
        }
    }

    /// So many requests are there; all but the one video that is deleted; a picture went to its provider with its mask; and what failed or hangs was tried as often as was asked
    /// for.
    async fn has_asked_for(&self, requests: i64, live: i64) {
        let all = CountRequestsRequest {
            user_id: USER,
            show_deleted: true,
            ..Default::default()
        };
        let alive = CountRequestsRequest {
            show_deleted: false,
            ..all
        };
        assert_eq!(
            (
                count(&self.server, all).await,
                count(&self.server, alive).await
            ),
            (requests, live)
        );
        let tried = self
            .scripts
            .each_ref()
            .map(|script| script.calls_of("submit").len());
        assert_eq!(tried, [1, 1, 2, 1]);
        let running = ListJobsRequest {
            statuses: vec![JobStatus::Processing.into()],
            ..Default::default()
        };
        let running = self
            .server
            .jobs()
            .list_jobs(running)
            .await
            .unwrap()
            .into_inner()
            .jobs;
        assert_eq!(running.len(), 1, "what was not waited for goes on");
        let painted = self.painter.calls();
        assert_eq!(painted.len(), 1);
        for (part, pictures) in [("image[]", 1), ("mask", 1)] {
            let brought = painted[0].body[part].as_array().map(Vec::len);
            assert_eq!(brought, Some(pictures), "{part}");
        }
    }
}

fn builtin(name: &str, category: MediaType) -> CreateFeatureRequest {
    CreateFeatureRequest {
        name: name.to_owned(),
        category: category.into(),
        properties: Some(FeatureProperties {
            supported_aspect_ratios: match category {
                MediaType::Audio => Vec::new(),
                _ => vec!["1:1".to_owned()],
            },
            frame_rate: if category == MediaType::Video { 5 } else { 0 },
            make_poster: category == MediaType::Video,
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn count(client: &Client, filter: CountRequestsRequest) -> i64 {
    let counted = client.requests().count_requests(filter).await;
    counted.unwrap().into_inner().total
}
