//! The tags of templates, counted. Those that a search takes for one count as one.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde::Serialize;

use crate::{
    domain::{Error, Page, PageToken, folded},
    entity::{
        TextList,
        template::{Column, Entity},
    },
};

use super::{
    PageRequest,
    feature::{is, offered},
};

/// The templates whose tags count; `None` means all that are live.
#[derive(Debug, Serialize)]
pub struct Filter {
    /// Those of this feature.
    pub feature_id: Option<i64>,
    /// Those that requests may use, or those that they may not.
    pub is_active: Option<bool>,
    /// Those of features that users are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub of_offered: bool,
}

/// A tag, and how many templates have it.
#[derive(Debug)]
pub struct Tag {
    /// As most of them write it.
    pub name: String,
    /// Live ones.
    pub templates: i64,
    folded: String,
}

impl Tag {
    fn key(&self) -> (Reverse<i64>, String) {
        (Reverse(self.templates), self.folded.clone())
    }
}

/// The tags, those of the most templates first.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page<Tag>, Error> {
    let token = PageToken::of("tags by count descending", filter, &page.sealer)?;
    let last: Option<(i64, String)> = token.decode(&page.token)?;
    let last = last.map(|(templates, folded)| (Reverse(templates), folded));
    let mut tags = count(tag_lists(db, filter).await?);
    tags.retain(|tag| last.as_ref().is_none_or(|last| tag.key() > *last));
    tags.sort_by_cached_key(Tag::key);
    page.finish(tags, &token, |tag| (tag.templates, tag.folded.clone()))
}

async fn tag_lists(db: &impl ConnectionTrait, filter: &Filter) -> Result<Vec<TextList>, Error> {
    let lists = Entity::find()
        .select_only()
        .column(Column::Tags)
        .filter(Column::Tags.is_not_null())
        .filter(Column::DeletedAt.is_null())
        .apply_if(filter.feature_id, |query, id| {
            query.filter(Column::FeatureId.eq(id))
        })
        .apply_if(filter.is_active, |query, active| {
            query.filter(is(Column::IsActive, active))
        })
        .apply_if(filter.of_offered.then_some(()), |query, ()| {
            query.filter(Column::FeatureId.in_subquery(offered()))
        });
    Ok(lists.into_tuple().all(db).await?)
}

fn count(lists: Vec<TextList>) -> Vec<Tag> {
    let mut spellings: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let mut templates: BTreeMap<String, i64> = BTreeMap::new();
    for list in lists {
        let mut once = BTreeSet::new();
        for tag in list.items() {
            let folded = folded(tag);
            let of_tag = spellings.entry(folded.clone()).or_default();
            *of_tag.entry(tag.clone()).or_default() += 1;
            once.insert(folded);
        }
        for folded in once {
            *templates.entry(folded).or_default() += 1;
        }
    }
    let tag = |(folded, spelt): (String, BTreeMap<String, i64>)| {
        let most = spelt
            .into_iter()
            .max_by_key(|(name, count)| (*count, Reverse(name.clone())))?;
        Some(Tag {
            name: most.0,
            templates: templates.get(&folded).copied().unwrap_or_default(),
            folded,
        })
    };
    spellings.into_iter().filter_map(tag).collect()
}
