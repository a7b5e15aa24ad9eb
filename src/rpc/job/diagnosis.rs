//! How a job stands, for operators, between the contract and the domain.

use crate::{
    app::Diagnosis,
    domain::{Error, View, job::Obstacle},
};

use crate::rpc::{
    admin::{pause_message, worker_message},
    proto,
    time::timestamp,
    view::Viewed,
};

use super::message::{brief_message, event_message, with_outlook};

/// What stands before the domain's names in the values of the contract's enum.
const OBSTACLE: &str = "JOB_OBSTACLE_";

pub(super) fn message(diagnosis: Diagnosis) -> Result<proto::DiagnoseJobResponse, Error> {
    let is_expired = diagnosis.is_lost();
    let Diagnosis {
        job,
        events,
        jobs_before,
        outlook,
        pauses,
        crew,
        is_provider_away,
        obstacle,
        summary,
        ..
    } = diagnosis;
    let lease = job.lease_expires_at.map(|end| proto::JobLease {
        worker_id: job.worker_id.clone().unwrap_or_default(),
        expire_time: Some(timestamp(end)),
        is_expired,
    });
    let workers = crew.workers.iter();
    let workers = workers.map(|worker| worker_message(worker, &crew));
    let events = events.into_iter().map(event_message);
    let events = events.map(|event| event.map(|it| it.seen(View::Full)));
    let provider = job.provider().unwrap_or_default().to_owned();
    Ok(proto::DiagnoseJobResponse {
        job: Some(with_outlook(
            brief_message(job, View::Full),
            outlook,
            View::Full,
        )),
        summary,
        obstacle: obstacle_message(obstacle).into(),
        events: events.collect::<Result<_, _>>()?,
        lease,
        provider,
        is_provider_away,
        earlier_count: jobs_before.map(u64::cast_signed),
        workers: workers.collect::<Result<_, _>>()?,
        pauses: pauses.into_iter().map(pause_message).collect(),
    })
}

fn obstacle_message(obstacle: Obstacle) -> proto::JobObstacle {
    let name: &str = obstacle.into();
    let told = proto::JobObstacle::from_str_name(&format!("{OBSTACLE}{name}"));
    told.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn the_contract_has_every_obstacle_and_no_others() {
        let told: Vec<i32> = Obstacle::iter()
            .map(|it| obstacle_message(it).into())
            .collect();
        let count = i32::try_from(told.len()).unwrap();
        assert_eq!(told, (0..count).collect::<Vec<_>>());
        assert!(proto::JobObstacle::try_from(count).is_err());
    }
}
