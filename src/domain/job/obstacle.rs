//! What keeps a job from going on.

/// The first of what keeps a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter, strum::IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Obstacle {
    /// It runs, or has ended.
    Nothing,
    /// Operators have paused what it waits for.
    Paused,
    /// It had to start by a time that has passed.
    DeadlineOver,
    /// It is to start later.
    Scheduled,
    /// It waits for its next attempt.
    Retry,
    /// As many jobs of its user run as may.
    Plan,
    /// No worker can run it.
    NoWorker,
    /// Operators drain all workers that can.
    WorkersDrained,
    /// The service of its provider does not answer.
    ProviderAway,
    /// Its provider gets no more now.
    ProviderLimit,
    /// Others come before it.
    Line,
    /// Its worker has gone silent.
    WorkerLost,
    /// As many jobs run as all workers may run at once.
    Total,
    /// As many jobs of its feature run as may.
    Feature,
}
