//! The rules by which the contracts name and mark their fields.

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

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

#[test]
fn every_field_says_how_it_behaves() {
    let pool = pool();
    let behavior = pool
        .get_extension_by_name("google.api.field_behavior")
        .unwrap();
    for field in messages(&pool).iter().flat_map(MessageDescriptor::fields) {
        assert!(
            field.options().has_extension(&behavior),
            "{}",
            field.full_name()
        );
    }
}

#[test]
fn pages_are_asked_for_and_counted_alike() {
    let pool = pool();
    for message in messages(&pool) {
        if let Some(size) = place(&message, "page_size") {
            let token = place(&message, "page_token");
            assert_eq!((size, token), (1, Some(2)), "{}", message.name());
        }
        for field in message
            .fields()
            .filter(|field| field.name().ends_with("_count"))
        {
            assert_eq!(field.kind(), Kind::Int64, "{}", field.full_name());
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
