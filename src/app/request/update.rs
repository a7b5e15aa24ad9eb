//! Changes of what requests are known by.

use serde_json::Value;

use crate::{
    app::App,
    domain::{Caller, Checks, Error, RequestNotes, Resource, check_etag},
    entity::request,
    store::{self, Transaction, request::Counted},
};

/// Requests that are moved in one transaction.
const AT_ONCE: u64 = 100;

fn notes_of(request: &request::Model) -> RequestNotes {
    let metadata = match &request.metadata {
        Some(Value::Object(metadata)) => metadata.clone(),
        _ => Default::default(),
    };
    RequestNotes {
        title: request.title.clone().unwrap_or_default(),
        project_id: request.project_id,
        metadata,
    }
}

impl App {
    /// Changes a live request. `checks` holds what is wrong with the change already.
    pub async fn update_request(
        &self,
        caller: Caller,
        id: i64,
        etag: &str,
        mut checks: Checks,
        change: impl Fn(&mut RequestNotes),
    ) -> Result<Counted, Error> {
        checks.id("id", id);
        checks.etag("etag", etag);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        self.store
            .write(async |tx| {
                let seen = store::request::find(tx, caller, id).await?;
                let mut wanted = notes_of(&seen);
                change(&mut wanted);
                wanted.check(&mut checks);
                checks.finish(())?;
                let changed = self.change_notes(tx, id, etag, change).await?;
                let changed = changed.ok_or_else(|| Error::not_found(Resource::Request, id))?;
                store::request::count(tx, changed).await
            })
            .await
    }

    /// Moves the live requests of a user's collection to another one, or out of it. How many were moved.
    pub async fn move_requests(
        &self,
        (user_id, project_id): (i64, i64),
        new_project_id: Option<i64>,
    ) -> Result<i64, Error> {
        let (mut moved, mut last) = (0, 0);
        let move_to = |notes: &mut RequestNotes| {
            if notes.project_id == Some(project_id) {
                notes.project_id = new_project_id;
            }
        };
        loop {
            let of = (user_id, project_id);
            let next =
                store::request::of_project_after(self.store.reader(), of, last, AT_ONCE).await?;
            let Some(id) = next.last() else {
                return Ok(moved);
            };
            last = *id;
            let written = self.store.write(async |tx| {
                let mut count = 0;
                for id in &next {
                    let changed = self.change_notes(tx, *id, "", move_to).await?;
                    count += i64::from(changed.is_some());
                }
                Ok(count)
            });
            moved += written.await?;
        }
    }

    /// Changes a request, with its jobs where they repeat it, unless it is deleted.
    async fn change_notes(
        &self,
        tx: &Transaction,
        id: i64,
        etag: &str,
        change: impl Fn(&mut RequestNotes),
    ) -> Result<Option<request::Model>, Error> {
        let seen = store::request::find(tx, Caller::TrustedService, id).await?;
        let mut wanted = notes_of(&seen);
        change(&mut wanted);
        // The jobs' locks come before the request's, everywhere.
        store::job::set_project(tx, &seen, wanted.project_id).await?;
        let locked = store::request::lock(tx, &seen).await?;
        if locked.deleted_at.is_some() {
            store::job::set_project(tx, &locked, locked.project_id).await?;
            return Ok(None);
        }
        check_etag(Resource::Request, id, locked.version, etag)?;
        let before = notes_of(&locked);
        let mut after = before.clone();
        change(&mut after);
        // Those that a retry has added meanwhile.
        store::job::set_project(tx, &locked, after.project_id).await?;
        if after == before {
            return Ok(Some(locked));
        }
        let now = self.moment(tx).await?;
        let updated = store::request::update(tx, locked, after, now).await?;
        Ok(Some(updated))
    }
}
