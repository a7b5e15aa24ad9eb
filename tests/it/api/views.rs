//! What the comments of the contracts say of the views, held against what the server leaves out in each.

use std::collections::BTreeSet;
use std::time::Duration;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ReflectMessage, Value,
};
use tonic::Request;
use tonic::transport::Channel;

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::raw;
use crate::support::server::{TestServer, within};

use super::error_walk::calls::{Calls, Fixtures};
use super::error_walk::{methods, rpc_of};

const ONLY_IN_FULL: &str = "Only in VIEW_FULL.";
const LESS_IN_USER: &str = "Less in VIEW_USER:";
const NOT_IN_BASIC: &str = "Not in VIEW_BASIC.";
/// As the contract numbers them.
const BASIC: i32 = 1;
const USER: i32 = 2;
const FULL: i32 = 3;
/// What is another at each call.
const VARYING: [&str; 3] = ["download_url", "download_url_expire_time", "cursor"];
/// What reads rows and has no view: one media comes with its file, what a user has is told as he may see it, and admins are told all.
const WITHOUT_VIEW: [&str; 3] = ["DownloadMedia", "ExportUser", "DiagnoseJob"];

on_both_databases! {
    async fn the_views_leave_out_what_the_comments_say_and_nothing_else(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.trends.fold_interval = Duration::from_secs(3600);
        }).await;
        let fixtures = Fixtures::make(&server, &db).await;
        fill(&db).await;
        let pool = DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap();
        let [mut unasked, mut to_user, mut to_basic] = [(); 3].map(|()| Differences::default());
        for method in methods(&pool).into_iter().filter(has_view) {
            let message = with_most(Calls::new(&fixtures).of(&method));
            let ask = async |view| answer(server.channel(), &method, &message, view).await;
            let (full, user, basic) = (ask(FULL).await, ask(USER).await, ask(BASIC).await);
            unasked.note(&full, &ask(0).await);
            to_user.note(&full, &user);
            to_basic.note(&user, &basic);
        }
        assert_eq!((unasked.left_out, unasked.lessened), Default::default());
        assert_eq!(to_user.left_out, fields_saying(&pool, ONLY_IN_FULL));
        assert_eq!(to_user.lessened, fields_saying(&pool, LESS_IN_USER));
        assert_eq!(to_basic.left_out, fields_saying(&pool, NOT_IN_BASIC));
        assert_eq!(to_basic.lessened, BTreeSet::new());
        assert_eq!(to_user.left_out.intersection(&to_user.kept).count(), 0, "{:?}", to_user.kept);
        assert_eq!(to_basic.left_out.intersection(&to_basic.kept).count(), 0, "{:?}", to_basic.kept);
    }
}

#[test]
fn what_reads_rows_that_are_not_the_same_in_all_views_lets_choose_one() {
    let pool = DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap();
    let mut varying = BTreeSet::new();
    for says in [ONLY_IN_FULL, LESS_IN_USER, NOT_IN_BASIC] {
        varying.extend(fields_saying(&pool, says));
    }
    for method in methods(&pool) {
        let options = method.method_descriptor_proto().options.clone();
        let reads = options.unwrap_or_default().idempotency_level() as i32 == 1;
        let varies = reaches(&method.output(), &varying, &mut BTreeSet::new());
        if reads && varies && !WITHOUT_VIEW.contains(&method.name()) {
            assert!(has_view(&method), "{}", rpc_of(&method));
        }
    }
}

/// Fills what views leave out, in all live rows: jobs wait for a provider that nobody has.
async fn fill(db: &TestDatabase) {
    let data = r#"{"prompt": "P {{ a }}", "negative_prompt": "N", "house": 1, "style": {"palette": "sunset"},
        "variables": [{"name": "a", "type": "string"}], "defaults": {"steps": 5}, "translations": {"vi": {"display_name": "x"}}}"#;
    let properties = r#"{"provider": "scripted", "model": "m", "settings": {"a": 1}, "fallbacks": [{"provider": "builtin"}], "house": 1, "translations": {"vi": {"display_name": "x"}}}"#;
    let output =
        r#"{"provider": "scripted", "seed": 1, "model": "m", "recipe": {}, "omitted": []}"#;
    let sha256 = "0".repeat(64);
    for (table, change) in [
        ("features", format!("system_prompt = 'S', properties = '{properties}'")),
        ("templates", format!("template_data = '{data}'")),
        ("requests", r#"template_prompt = 'T', system_prompt = 'S', metadata = '{"a": 1}'"#.to_owned()),
        (
            "jobs",
            format!(
                "status = 'pending', completed_at = NULL, provider = 'nobody', worker_id = 'w', error_code = 'PROVIDER_FAILED',
                 error_message = 'm', error_detail = 'd', output_metadata = '{output}'"
            ),
        ),
        ("media", format!(r#"sha256 = '{sha256}', metadata = '{{"index": 0, "model": "m"}}'"#)),
    ] {
        db.execute(&format!(
            "UPDATE generation_{table} SET {change} WHERE deleted_at IS NULL"
        ))
        .await;
    }
    db.execute(&format!(
        "UPDATE generation_template_versions SET template_data = '{data}'"
    ))
    .await;
}

fn has_view(method: &MethodDescriptor) -> bool {
    method.input().get_field_by_name("view").is_some()
}

/// The message, asking for all that its rpc may add, and storing nothing.
fn with_most(mut message: DynamicMessage) -> DynamicMessage {
    let include = [1, 2, 3].map(Value::EnumNumber).to_vec();
    for (name, value) in [
        ("include", Value::List(include)),
        ("validate_only", Value::Bool(true)),
    ] {
        if let Some(field) = message.descriptor().get_field_by_name(name) {
            message.set_field(&field, value);
        }
    }
    message
}

/// The answer in a view; of a stream, its first message with a job.
async fn answer(
    channel: Channel,
    method: &MethodDescriptor,
    message: &DynamicMessage,
    view: i32,
) -> DynamicMessage {
    let mut message = message.clone();
    message.set_field_by_name("view", Value::EnumNumber(view));
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let bytes = prost::Message::encode_to_vec(&message).into();
    within(async {
        let asked = raw::call(channel, &path, Request::new(tokio_stream::once(bytes))).await;
        let mut answers = asked
            .unwrap_or_else(|status| panic!("{path}: {status}"))
            .into_inner();
        loop {
            let answer = answers.message().await.unwrap().unwrap();
            let answer = DynamicMessage::decode(method.output(), answer).unwrap();
            let job = answer
                .get_field_by_name("job")
                .filter(|_| method.is_server_streaming());
            if !method.is_server_streaming()
                || job.is_some_and(|job| job.as_message().is_some_and(has_id))
            {
                return answer;
            }
        }
    })
    .await
}

fn has_id(message: &DynamicMessage) -> bool {
    message.has_field_by_name("id")
}

/// What a lesser view has not, by the full names of the fields.
#[derive(Default)]
struct Differences {
    left_out: BTreeSet<String>,
    lessened: BTreeSet<String>,
    /// What both have alike.
    kept: BTreeSet<String>,
}

impl Differences {
    fn note(&mut self, more: &DynamicMessage, less: &DynamicMessage) {
        let message = more.descriptor();
        for field in message.fields().filter(|it| !VARYING.contains(&it.name())) {
            let name = field.full_name().to_owned();
            let (more_has, less_has) = (more.has_field(&field), less.has_field(&field));
            let (of_more, of_less) = (more.get_field(&field), less.get_field(&field));
            if !more_has && !less_has {
                continue;
            }
            assert!(more_has, "{name} is in the lesser view only");
            if !less_has {
                self.left_out.insert(name);
            } else if is_walked(&field) {
                for (more, less) in rows(&of_more).zip(rows(&of_less)) {
                    self.note(more, less);
                }
                assert_eq!(rows(&of_more).count(), rows(&of_less).count(), "{name}");
            } else if of_more == of_less {
                self.kept.insert(name);
            } else {
                self.lessened.insert(name);
            }
        }
    }
}

/// Whether a field holds messages of the contract that are compared field by field.
fn is_walked(field: &FieldDescriptor) -> bool {
    let Kind::Message(message) = field.kind() else {
        return false;
    };
    message.package_name() == "generation.v1"
        && !field.is_map()
        && !comment(field).contains(LESS_IN_USER)
}

fn rows(value: &Value) -> impl Iterator<Item = &DynamicMessage> {
    let list = value.as_list().unwrap_or(std::slice::from_ref(value));
    list.iter().filter_map(Value::as_message)
}

/// The fields whose comments have these words.
fn fields_saying(pool: &DescriptorPool, words: &str) -> BTreeSet<String> {
    let own = pool
        .all_messages()
        .filter(|it| it.package_name() == "generation.v1" && !it.is_map_entry());
    let fields: Vec<_> = own.flat_map(|it| it.fields().collect::<Vec<_>>()).collect();
    let saying = fields.iter().filter(|field| comment(field).contains(words));
    saying.map(|field| field.full_name().to_owned()).collect()
}

/// The comment of a field on one line.
fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_file();
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let places = &info.unwrap().location;
    let place = places.iter().find(|it| it.path == field.path()).unwrap();
    let words = place.leading_comments().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

/// Whether an answer may hold one of the fields.
fn reaches(
    message: &MessageDescriptor,
    fields: &BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) -> bool {
    if !seen.insert(message.full_name().to_owned()) {
        return false;
    }
    message.fields().any(|field| {
        let within = field
            .kind()
            .as_message()
            .is_some_and(|it| reaches(it, fields, seen));
        within || fields.contains(field.full_name())
    })
}
