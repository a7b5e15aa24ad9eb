//! What requests ask for, as it is offered now: for many of them by as many statements as for one.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, JoinType, QueryFilter,
    QueryOrder, QuerySelect, RelationDef,
    sea_query::{Expr, ExprTrait, LockType},
};

use crate::{
    domain::{Checks, Error, Flaw, MAX_VARIABLES, RequestDraft, Resource, TableName, media_id},
    entity::{
        feature::{Column, Entity, Model},
        template, upload,
    },
    store::{media, one_of::one_of_ids, queue, template as templates, upload as uploads, user},
};

use super::{find_named, live};

/// The request with the ids of the feature and the template that it names.
pub async fn find_asked_for(
    db: &impl ConnectionTrait,
    draft: &RequestDraft,
) -> Result<RequestDraft, Error> {
    let (feature_id, template_id) = ids_asked_for(db, draft).await?;
    Ok(with_ids(draft, feature_id, template_id))
}

/// The same of several. What is named alike is looked up once.
pub async fn find_all_asked_for(
    db: &impl ConnectionTrait,
    drafts: &[&RequestDraft],
) -> Vec<Result<RequestDraft, Error>> {
    let (mut known, mut asked) = (BTreeMap::new(), Vec::new());
    for draft in drafts {
        let names = (
            draft.feature_id,
            draft.template_id,
            &draft.feature,
            &draft.template,
        );
        let ids = match known.get(&names) {
            Some(ids) => Ok(*ids),
            None => ids_asked_for(db, draft).await,
        };
        if let Ok(ids) = ids {
            known.insert(names, ids);
        }
        asked.push(ids.map(|(feature, template)| with_ids(draft, feature, template)));
    }
    asked
}

fn with_ids(draft: &RequestDraft, feature_id: i64, template_id: Option<i64>) -> RequestDraft {
    RequestDraft {
        feature_id,
        template_id,
        ..draft.clone()
    }
}

async fn ids_asked_for(
    db: &impl ConnectionTrait,
    draft: &RequestDraft,
) -> Result<(i64, Option<i64>), Error> {
    let (mut feature_id, mut template_id) = (draft.feature_id, draft.template_id);
    if feature_id == 0 && !draft.feature.is_empty() {
        feature_id = find_named(db, &draft.feature).await?.id;
    }
    if template_id.is_none() && !draft.template.is_empty() {
        let template = templates::find_named(db, &draft.template).await?;
        template_id = Some(template.id);
        if feature_id == 0 {
            feature_id = template.feature_id;
        }
    }
    if let (0, Some(id @ 1..)) = (feature_id, template_id) {
        feature_id = templates::find_live(db, id).await?.feature_id;
    }
    Ok((feature_id, template_id))
}

/// What a request asks for, and whether there is the user who does.
#[derive(Clone, Debug)]
pub struct Offered {
    /// Live, and perhaps inactive.
    pub feature: Model,
    /// Whether the user who asks is in the table of users.
    pub user_known: bool,
    /// The database's time.
    pub now: DateTime<Utc>,
    /// Live, and perhaps inactive; `None` if none is asked for.
    pub template: Option<template::Model>,
    /// Those of the media among the request's variables that are live pictures of the user.
    pub pictures: Vec<i64>,
    /// Those of the uploads that it names that are the user's.
    pub uploads: Vec<upload::Model>,
}

/// A live feature, and one of its templates that is live too, if one is asked for, with the user's uploads at these places. `held`: nobody deletes the feature until
/// the transaction ends.
pub async fn find_offered(
    db: &impl ConnectionTrait,
    users: &TableName,
    asked: (&RequestDraft, Vec<String>),
    held: bool,
) -> Result<Offered, Error> {
    let offered = find_all_offered(db, users, &[asked], held).await?.pop();
    offered.unwrap_or_else(|| Err(Error::internal("nothing was asked for")))
}

/// The same for several requests, each with the places of the uploads that it names.
pub async fn find_all_offered(
    db: &impl ConnectionTrait,
    users: &TableName,
    asked: &[(&RequestDraft, Vec<String>)],
    held: bool,
) -> Result<Vec<Result<Offered, Error>>, Error> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let shelf = Shelf::find(db, users, asked, held).await?;
    let mut offered = Vec::new();
    for (draft, keys) in asked {
        offered.push(shelf.offered_to(db, draft, keys).await);
    }
    Ok(offered)
}

/// All that some requests ask for.
#[derive(Default)]
struct Shelf {
    features: BTreeMap<i64, Row>,
    /// Live ones.
    templates: BTreeMap<i64, template::Model>,
    /// Users that there are.
    users: BTreeSet<i64>,
    /// Live ones, with their users.
    pictures: BTreeSet<(i64, i64)>,
    /// In order of their ids.
    uploads: Vec<upload::Model>,
}

#[derive(FromQueryResult)]
struct Row {
    #[sea_orm(nested)]
    feature: Model,
    /// Those of the users who ask that there are, between commas; `None` if there are none.
    users: Option<String>,
    now: DateTime<Utc>,
}

impl Shelf {
    async fn find(
        db: &impl ConnectionTrait,
        users: &TableName,
        asked: &[(&RequestDraft, Vec<String>)],
        held: bool,
    ) -> Result<Self, Error> {
        let backend = db.get_database_backend();
        let drafts = || asked.iter().map(|(draft, _)| *draft);
        let features: BTreeSet<i64> = drafts().map(|draft| draft.feature_id).collect();
        let chosen: BTreeSet<i64> = drafts().filter_map(chosen_template).collect();
        let mut query = Entity::find()
            .filter(one_of_ids(backend, (Entity, Column::Id), features))
            .join(JoinType::LeftJoin, live_templates(backend, chosen))
            .order_by_asc(Column::Id)
            .select_also(template::Entity);
        let statement = QuerySelect::query(&mut query);
        let known = user::known(backend, users, drafts().map(|draft| draft.user_id));
        statement.expr_as(Expr::SubQuery(None, Box::new(known.into())), "A_users");
        statement.expr_as(Expr::cust(queue::clock(db)), "A_now");
        if held {
            // Of the features alone, which are always there. On SQLite nobody else writes meanwhile.
            statement.lock_with_tables(LockType::KeyShare, [Entity]);
        }
        let mut shelf = Self::default();
        for (row, template) in query.into_model::<Row, template::Model>().all(db).await? {
            shelf.users.extend(ids_between_commas(row.users.as_deref()));
            shelf.features.insert(row.feature.id, row);
            shelf.templates.extend(template.map(|it| (it.id, it)));
        }
        let pictures: BTreeSet<i64> = drafts().flat_map(pictures_of).collect();
        shelf.pictures = media::live_pictures(db, pictures).await?;
        let keys: BTreeSet<&String> = asked.iter().flat_map(|(_, keys)| keys).collect();
        shelf.uploads = uploads::at(db, keys.into_iter().cloned().collect()).await?;
        Ok(shelf)
    }

    async fn offered_to(
        &self,
        db: &impl ConnectionTrait,
        draft: &RequestDraft,
        keys: &[String],
    ) -> Result<Offered, Error> {
        let (id, user_id) = (draft.feature_id, draft.user_id);
        let found = self.features.get(&id);
        let row = found.ok_or_else(|| Error::not_found(Resource::Feature, id))?;
        let feature = live(row.feature.clone())?;
        let template = chosen_template(draft);
        let of_feature = |it: &&template::Model| it.feature_id == id;
        let template = match template.map(|id| (id, self.templates.get(&id).filter(of_feature))) {
            Some((id, None)) => return Err(without_template(db, id, draft).await),
            Some((_, template)) => template.cloned(),
            None => None,
        };
        let is_own = |picture: &i64| self.pictures.contains(&(user_id, *picture));
        let named = |it: &&upload::Model| it.user_id == user_id && keys.contains(&it.storage_key);
        Ok(Offered {
            feature,
            user_known: self.users.contains(&user_id),
            now: row.now,
            template,
            pictures: pictures_of(draft).filter(is_own).collect(),
            uploads: self.uploads.iter().filter(named).cloned().collect(),
        })
    }
}

/// An impossible id is refused with the other mistakes.
fn chosen_template(draft: &RequestDraft) -> Option<i64> {
    draft.template_id.filter(|id| *id > 0)
}

fn pictures_of(draft: &RequestDraft) -> impl Iterator<Item = i64> {
    let variables = draft.input.variables.values();
    variables.filter_map(media_id).take(MAX_VARIABLES)
}

fn ids_between_commas(text: Option<&str>) -> impl Iterator<Item = i64> {
    let ids = text.into_iter().flat_map(|text| text.split(','));
    ids.filter_map(|id| id.parse().ok())
}

/// Why a feature has no template of this id.
async fn without_template(db: &impl ConnectionTrait, id: i64, draft: &RequestDraft) -> Error {
    let template = match templates::find_live(db, id).await {
        Ok(template) => template,
        Err(error) => return error,
    };
    let mut checks = Checks::default();
    let (feature_id, owner) = (draft.feature_id, template.feature_id);
    let description = format!("must be a template of feature {feature_id}, not of feature {owner}");
    checks.add(
        draft.template_field(),
        Flaw::Conflict.says(description).found(owner),
    );
    Error::Validation(checks.into_violations())
}

/// Those of a feature's templates that are live and among these.
fn live_templates(backend: DbBackend, ids: BTreeSet<i64>) -> RelationDef {
    Entity::belongs_to(template::Entity)
        .from(Column::Id)
        .to(template::Column::FeatureId)
        .on_condition(move |_, template| {
            let column = |column| (template.clone(), column);
            let live = Expr::col(column(template::Column::DeletedAt)).is_null();
            let chosen = one_of_ids(backend, column(template::Column::Id), ids.clone());
            Condition::all().add(live).add(chosen)
        })
        .into()
}
