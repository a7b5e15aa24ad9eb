//! What a provider is about to be asked is written down before, so that it is never asked for the same twice, see
//! docs/domain.md#attempts. What is to be written at the same time is written by one statement.

use crate::{
    app::{App, gather::Gather},
    domain::Error,
    store::{
        Store,
        queue::{self, Lease, Submission},
    },
};

/// Submissions that wait to be written down. The answer is whether it was, or `None` where that must be tried alone.
pub(in crate::app) type Submissions = Gather<Submission, Result<Option<bool>, Error>>;

impl App {
    /// Notes which provider runs the attempt and the key under which its task is about to be submitted; false if the lease is
    /// lost.
    pub async fn note_submission(
        &self,
        lease: &Lease,
        provider: &str,
        key: &str,
    ) -> Result<bool, Error> {
        let submission = Submission {
            lease: lease.clone(),
            provider: provider.to_owned(),
            key: key.to_owned(),
        };
        let work = || {
            let store = self.store.clone();
            move |batch| {
                let store = store.clone();
                async move { note_all(&store, batch).await }
            }
        };
        let submissions = &self.gathering.submissions;
        match submissions.submit(submission.clone(), 1, work).await {
            Some(noted) => match noted? {
                Some(noted) => Ok(noted),
                None => queue::note_submission(self.store.writer(), &submission).await,
            },
            None => Err(Error::internal("a submission could not be written down")),
        }
    }
}

async fn note_all(store: &Store, batch: Vec<Submission>) -> Vec<Result<Option<bool>, Error>> {
    let db = store.writer();
    if let [submission] = batch.as_slice() {
        return vec![queue::note_submission(db, submission).await.map(Some)];
    }
    match queue::note_submissions(db, &batch).await {
        Ok(noted) => {
            let noted = batch
                .iter()
                .map(|it| noted.contains(&it.lease).then_some(true));
            noted.map(Ok).collect()
        }
        Err(error) => batch.iter().map(|_| Err(error.for_another())).collect(),
    }
}
