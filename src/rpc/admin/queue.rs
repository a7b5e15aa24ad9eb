//! The queue as operators hold and see it, between the contract and the domain.

use std::cmp::Reverse;

use crate::{
    app::{Crew, Queue},
    domain::{
        Checks, Error, Flaw, QueuePart,
        job::{Band, Skill},
    },
    entity::{pause, worker},
};

use crate::rpc::{
    media::media_type,
    proto::{self, queue_part::Part},
    time::timestamp,
};

/// What is missing is noted, and stands for nothing then.
pub(super) fn part_from(part: Option<proto::QueuePart>, checks: &mut Checks) -> QueuePart {
    match part.and_then(|it| it.part) {
        Some(Part::IsWholeQueue(true)) => QueuePart::Whole,
        Some(Part::FeatureId(id)) => QueuePart::Feature(id),
        Some(Part::Provider(name)) => QueuePart::Provider(name),
        Some(Part::IsWholeQueue(false)) => {
            let words = "must be true, or another part";
            checks.add("part.is_whole_queue", Flaw::Malformed.says(words));
            QueuePart::Whole
        }
        None => {
            let words = "is required: is_whole_queue, feature_id or provider";
            checks.add("part", Flaw::Required.says(words));
            QueuePart::Whole
        }
    }
}

pub(in crate::rpc) fn pause_message(pause: pause::Model) -> proto::Pause {
    let part = match pause.part() {
        QueuePart::Whole => Part::IsWholeQueue(true),
        QueuePart::Feature(id) => Part::FeatureId(id),
        QueuePart::Provider(name) => Part::Provider(name),
    };
    proto::Pause {
        part: Some(proto::QueuePart { part: Some(part) }),
        reason: pause.reason,
        actor: pause.actor,
        create_time: Some(timestamp(pause.created_at)),
    }
}

pub(super) fn message(
    Queue { pauses, mut bands }: Queue,
    crew: &Crew,
) -> Result<proto::GetQueueResponse, Error> {
    bands.sort_by(|one, other| {
        let place = |band: &Band| (band.provider.clone(), Reverse(band.priority));
        place(one).cmp(&place(other))
    });
    let workers = crew.workers.iter();
    let workers = workers.map(|worker| worker_message(worker, crew));
    Ok(proto::GetQueueResponse {
        pauses: pauses.into_iter().map(pause_message).collect(),
        bands: bands.into_iter().map(band).collect(),
        workers: workers.collect::<Result<_, _>>()?,
    })
}

pub(in crate::rpc) fn worker_message(
    worker: &worker::Model,
    crew: &Crew,
) -> Result<proto::Worker, Error> {
    let running = crew.running.get(&worker.name);
    Ok(proto::Worker {
        id: worker.id,
        worker_id: worker.name.clone(),
        host: worker.host.clone(),
        role: worker.role.clone(),
        version: worker.version.clone(),
        capabilities: worker.skills()?.into_iter().map(capability).collect(),
        slot_count: worker.slots.into(),
        running_count: running.copied().unwrap_or_default(),
        start_time: Some(timestamp(worker.started_at)),
        last_seen_time: Some(timestamp(worker.seen_at)),
        is_alive: crew.is_alive(worker),
        drain: worker.drained_at.map(|since| proto::WorkerDrain {
            reason: worker.drain_reason.clone().unwrap_or_default(),
            actor: worker.drain_actor.clone().unwrap_or_default(),
            create_time: Some(timestamp(since)),
        }),
    })
}

fn capability(skill: Skill) -> proto::WorkerCapability {
    proto::WorkerCapability {
        provider: skill.provider,
        category: media_type(skill.category).into(),
        missing: skill.missing.unwrap_or_default(),
    }
}

fn band(band: Band) -> proto::QueueBand {
    proto::QueueBand {
        provider: band.provider,
        priority: band.priority,
        ready_count: band.ready,
        waiting_count: band.paused,
        oldest_seconds: i32::try_from(band.oldest.as_secs()).unwrap_or(i32::MAX),
    }
}
