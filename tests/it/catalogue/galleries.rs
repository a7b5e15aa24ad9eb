//! What galleries are made of: tags with their counts, the order of templates, and views of many at once.

use atelier::rpc::proto::{
    CreateTemplateRequest, ListTagsRequest, ListTemplatesRequest, RecordTemplateViewRequest,
    RecordTemplateViewsRequest, ReorderTemplatesRequest, ReorderTemplatesResponse, Template,
};
use chrono::TimeDelta;
use tonic::{Code, Status};

use crate::support::client::{Client, USER, plain_template, scripted_feature};
use crate::support::clocked::ClockedServer;
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::server::TestServer;

on_both_databases! {
    async fn tags_are_counted_over_the_live_templates_that_a_filter_names(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let other = server.add_feature(scripted_feature("other")).await.id;
        for (feature, name, tags, is_active) in [
            (feature, "a", &["Tết", "Hè"][..], true),
            (feature, "b", &["tết"], true),
            (feature, "c", &["Tết", "Đông"], false),
            (feature, "gone", &["hè", "gone"], true),
            (other, "a", &["hè"], true),
            (other, "b", &[], true),
        ] {
            let made = server.add_template(CreateTemplateRequest {
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
                is_active: Some(is_active),
                ..plain_template(feature, name)
            }).await;
            if name == "gone" {
                server.delete_template(made.id, "").await.unwrap();
            }
        }
        for (feature_id, is_active, expected) in [
            (0, None, "Tết 3, Hè 2, Đông 1"),
            (0, Some(true), "Hè 2, Tết 2"),
            (0, Some(false), "Tết 1, Đông 1"),
            (feature, None, "Tết 3, Hè 1, Đông 1"),
            (feature, Some(true), "Tết 2, Hè 1"),
            (other, None, "hè 1"),
            (other, Some(false), ""),
            (4_711, None, ""),
        ] {
            for page_size in [0, 1, 2] {
                let filter = ListTagsRequest { feature_id, is_active, page_size, ..Default::default() };
                assert_eq!(tags(&server, filter.clone()).await, expected, "{filter:?}");
            }
        }
    }

    async fn templates_stand_in_the_order_given_and_the_others_where_they_were(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (feature, [a, b, c, d]) = four_templates(&server).await;
        let reordered = reorder(&server, feature, &[c.id, a.id]).await.unwrap().templates;
        let told = |template: &Template| (template.id, template.order_index, template.template_data.is_some());
        assert_eq!(reordered.iter().map(told).collect::<Vec<_>>(), [(c.id, 0, false), (a.id, 1, false)]);
        assert_eq!(order(&server, feature).await, [b.id, c.id, d.id, a.id]);
        // What has its place already is not changed.
        assert_eq!(server.template(c.id).await, c);
        reorder(&server, feature, &[d.id, c.id, b.id, a.id]).await.unwrap();
        assert_eq!(order(&server, feature).await, [d.id, c.id, b.id, a.id]);
        assert_ne!(server.template(c.id).await.etag, c.etag);
    }

    async fn an_order_with_one_wrong_template_moves_none(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let (feature, [a, b, c, d]) = four_templates(&server).await;
        let other = server.add_feature(scripted_feature("other")).await.id;
        let theirs = server.add_template(plain_template(other, "a")).await.id;
        server.delete_template(b.id, "").await.unwrap();
        let wrong = reorder(&server, feature, &[d.id, theirs, b.id, c.id, 4_711]).await;
        refusal(wrong).of_fields(["template_ids[1]", "template_ids[2]", "template_ids[4]"]);
        refusal(reorder(&server, 4_711, &[a.id]).await).of_fields(["template_ids[0]"]);
        for ids in [&[][..], &[a.id, d.id, a.id], &[1; 501]] {
            let refused = reorder(&server, feature, ids).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{ids:?}");
        }
        assert_eq!(order(&server, feature).await, [a.id, c.id, d.id]);
        assert_eq!(server.template(d.id).await, d);
    }

    async fn views_of_many_templates_count_once_for_each_user_template_and_day(db: TestDatabase) {
        let server = ClockedServer::start(&db).await;
        let (_, [a, b, c, d]) = four_templates(&server).await;
        server.delete_template(d.id, "").await.unwrap();
        let all = [b.id, a.id, a.id, 4_711, d.id];
        assert_eq!(view(&server, USER, &all).await, [a.id, b.id]);
        assert_eq!(view(&server, USER, &all).await, [0_i64; 0]);
        assert_eq!(view(&server, USER, &[c.id, b.id]).await, [c.id]);
        assert_eq!(view(&server, USER + 1, &[b.id]).await, [b.id]);
        // A view by itself is one of them.
        let single = RecordTemplateViewRequest { id: a.id, user_id: USER, ..Default::default() };
        let counted = server.templates().record_template_view(single).await.unwrap();
        assert!(!counted.into_inner().is_counted);
        server.pass(TimeDelta::days(1));
        assert_eq!(view(&server, USER, &all).await, [a.id, b.id]);
        server.app.fold_trends().await.unwrap();
        let mut counts = Vec::new();
        for template in [a, b, c] {
            counts.push(server.template(template.id).await.view_count);
        }
        assert_eq!(counts, [2, 3, 1]);
    }
}

async fn four_templates(client: &Client) -> (i64, [Template; 4]) {
    let feature = client.scripted_feature().await;
    let add = async |name| client.add_template(plain_template(feature, name)).await;
    let four = [
        add("a").await,
        add("b").await,
        add("c").await,
        add("d").await,
    ];
    (feature, four)
}

/// All tags with their counts, page by page.
async fn tags(client: &Client, mut filter: ListTagsRequest) -> String {
    let mut found = Vec::new();
    loop {
        let page = client.templates().list_tags(filter.clone()).await.unwrap();
        let page = page.into_inner();
        let told = page.tags.iter();
        found.extend(told.map(|tag| format!("{} {}", tag.name, tag.template_count)));
        if page.next_page_token.is_empty() {
            return found.join(", ");
        }
        filter.page_token = page.next_page_token;
    }
}

async fn reorder(
    client: &Client,
    feature_id: i64,
    ids: &[i64],
) -> Result<ReorderTemplatesResponse, Status> {
    let request = ReorderTemplatesRequest {
        feature_id,
        template_ids: ids.to_vec(),
    };
    let reordered = client.templates().reorder_templates(request).await?;
    Ok(reordered.into_inner())
}

async fn order(client: &Client, feature_id: i64) -> Vec<i64> {
    let request = ListTemplatesRequest {
        feature_id,
        ..Default::default()
    };
    let listed = client.templates().list_templates(request).await.unwrap();
    let listed = listed.into_inner().templates;
    listed.iter().map(|template| template.id).collect()
}

async fn view(client: &Client, user_id: i64, ids: &[i64]) -> Vec<i64> {
    let request = RecordTemplateViewsRequest {
        ids: ids.to_vec(),
        user_id,
    };
    let counted = client.templates().record_template_views(request).await;
    counted.unwrap().into_inner().counted_ids
}
