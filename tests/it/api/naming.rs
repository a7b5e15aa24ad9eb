//! The rules by which the contracts name and mark their fields.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

/// What the endings of names tell of their fields: the first that fits.
const TYPES: [(&str, &str); 12] = [
    ("worker_id", "string"), // A name that the operator chose.
    ("_id", "int64"),
    ("_ids", "int64"),
    ("_count", "int64"),
    ("_time", "google.protobuf.Timestamp"),
    ("_time_start", "google.protobuf.Timestamp"),
    ("_time_end", "google.protobuf.Timestamp"),
    ("_seconds", "int32"), // Lengths of time are asked for in seconds,
    ("_ms", "int64"),      // and measured in milliseconds.
    ("_url", "string"),
    ("etag", "string"),
    ("metadata", "google.protobuf.Struct"),
];

/// A state is, a wish is a verb; none says what is not.
const FLAGS: [&str; 10] = [
    "is_",
    "has_",
    "allow_",
    "hide_",
    "make_",
    "omit_",
    "refuse_",
    "show_",
    "stop_",
    "validate_",
];

fn pool() -> DescriptorPool {
    DescriptorPool::decode(atelier::rpc::proto::DESCRIPTORS).unwrap()
}

fn messages(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let all = pool.all_messages();
    all.filter(|it| it.package_name() == "generation.v1" && !it.is_map_entry())
        .collect()
}

fn place(message: &MessageDescriptor, name: &str) -> Option<u32> {
    message
        .get_field_by_name(name)
        .map(|field: FieldDescriptor| field.number())
}

fn fields(pool: &DescriptorPool) -> Vec<FieldDescriptor> {
    let fields = messages(pool);
    fields.iter().flat_map(MessageDescriptor::fields).collect()
}

fn type_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    }
}

fn comment(field: &FieldDescriptor) -> String {
    let file = field.parent_message().parent_file();
    let source = &file.file_descriptor_proto().source_code_info;
    let mut places = source.iter().flat_map(|it| &it.location);
    let place = places.find(|it| it.path == field.path());
    place.map_or_else(String::new, |it| it.leading_comments().to_lowercase())
}

#[test]
fn the_ending_of_a_name_tells_the_type() {
    for field in fields(&pool()) {
        let known = TYPES
            .iter()
            .find(|(ending, _)| field.name().ends_with(ending));
        if let Some((_, kind)) = known {
            assert_eq!(type_of(&field), *kind, "{}", field.full_name());
        }
        let long = ["duration", "timeout", "interval"]
            .iter()
            .any(|word| field.name().contains(word));
        let measured = field.name().ends_with("_seconds") || field.name().ends_with("_ms");
        assert!(!long || measured, "{}", field.full_name());
    }
}

#[test]
fn flags_are_states_or_wishes_and_no_others_are_named_like_them() {
    for field in fields(&pool()) {
        let named = FLAGS.iter().any(|start| field.name().starts_with(start));
        assert_eq!(field.kind() == Kind::Bool, named, "{}", field.full_name());
    }
}

#[test]
fn what_may_be_absent_says_what_that_means_and_nothing_else_speaks_of_it() {
    let mut count = 0;
    for field in fields(&pool()) {
        let said = comment(&field).contains("absent");
        if field.field_descriptor_proto().proto3_optional() {
            count += 1;
            assert!(said, "{} is optional", field.full_name());
        }
        assert!(!said || field.supports_presence(), "{}", field.full_name());
    }
    assert!(count > 40, "only {count} optional fields were found");
}

#[test]
fn the_limits_of_inputs_are_called_as_those_of_features() {
    let pool = pool();
    let of = |name: &str| {
        pool.get_message_by_name(&format!("generation.v1.{name}"))
            .unwrap()
    };
    for limit in of("InputLimits").fields() {
        let same = of("FeatureProperties").get_field_by_name(limit.name());
        let same = same.map(|it| (type_of(&it), it.is_list()));
        let derived = ["category", "further_formats"].contains(&limit.name());
        assert!(
            derived || same == Some((type_of(&limit), limit.is_list())),
            "{}",
            limit.name()
        );
    }
}

#[test]
fn every_field_says_how_it_behaves() {
    let pool = pool();
    let behavior = pool
        .get_extension_by_name("google.api.field_behavior")
        .unwrap();
    for field in fields(&pool) {
        assert!(
            field.options().has_extension(&behavior),
            "{}",
            field.full_name()
        );
    }
}

#[test]
fn pages_are_asked_for_alike() {
    let pool = pool();
    for message in messages(&pool) {
        if let Some(size) = place(&message, "page_size") {
            let token = place(&message, "page_token");
            assert_eq!((size, token), (1, Some(2)), "{}", message.name());
        }
    }
}

#[test]
fn a_call_on_one_thing_takes_its_id_first() {
    let pool = pool();
    let verbs = [
        "Cancel", "Delete", "Undelete", "Retry", "Render", "Restore", "Download",
    ];
    let things = [
        "Feature",
        "Template",
        "Request",
        "Job",
        "Media",
        "TemplateVersion",
    ];
    let mut count = 0;
    for method in pool
        .services()
        .flat_map(|it| it.methods().collect::<Vec<_>>())
    {
        let thing = verbs
            .iter()
            .find_map(|verb| method.name().strip_prefix(verb));
        let watched = method
            .name()
            .strip_prefix("Watch")
            .filter(|it| *it != "User");
        if thing
            .or(watched)
            .is_some_and(|thing| things.contains(&thing))
        {
            count += 1;
            assert_eq!(place(&method.input(), "id"), Some(1), "{}", method.name());
        }
    }
    assert!(count > 15, "only {count} calls were found");
}
