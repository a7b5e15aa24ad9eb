//! What operators have paused. What that means for the queue stands in [`queue`](super::queue).

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ModelTrait, QueryFilter, QueryOrder,
    sea_query::OnConflict,
};

use crate::{
    domain::{Error, QueuePart},
    entity::pause::{ActiveModel, Column, Entity, Model},
};

use super::Transaction;

/// The pause of this part, or a new one; whether it is new.
pub async fn begin(
    tx: &Transaction,
    part: &QueuePart,
    (reason, actor): (&str, &str),
    now: DateTime<Utc>,
) -> Result<(Model, bool), Error> {
    let (provider, feature_id) = match part {
        QueuePart::Whole => (None, None),
        QueuePart::Feature(id) => (None, Some(*id)),
        QueuePart::Provider(name) => (Some(name.clone()), None),
    };
    let new = ActiveModel {
        id: NotSet,
        provider: Set(provider),
        feature_id: Set(feature_id),
        reason: Set(reason.to_owned()),
        actor: Set(actor.to_owned()),
        created_at: Set(now),
    };
    let on_conflict = OnConflict::new().do_nothing().to_owned();
    let inserted = Entity::insert(new)
        .on_conflict(on_conflict)
        .exec_without_returning(tx)
        .await?;
    let pause = find(tx, part).await?;
    let pause = pause.ok_or_else(|| Error::internal("a pause vanished"))?;
    Ok((pause, inserted == 1))
}

/// Ends the pause of this part, if there is one. It waits for the claims that have met it.
pub async fn end(tx: &Transaction, part: &QueuePart) -> Result<Option<Model>, Error> {
    let Some(pause) = find(tx, part).await? else {
        return Ok(None);
    };
    let removed = pause.clone().delete(tx).await?;
    Ok((removed.rows_affected == 1).then_some(pause))
}

/// All of them, the oldest first.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<Model>, Error> {
    Ok(Entity::find().order_by_asc(Column::Id).all(db).await?)
}

async fn find(db: &impl ConnectionTrait, part: &QueuePart) -> Result<Option<Model>, Error> {
    let whole = || {
        let no_provider = Condition::all().add(Column::Provider.is_null());
        no_provider.add(Column::FeatureId.is_null())
    };
    let is_it = match part {
        QueuePart::Whole => whole(),
        QueuePart::Feature(id) => Condition::all().add(Column::FeatureId.eq(*id)),
        QueuePart::Provider(name) => Condition::all().add(Column::Provider.eq(name)),
    };
    Ok(Entity::find().filter(is_it).one(db).await?)
}
