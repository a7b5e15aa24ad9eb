use crate::{
    domain::{
        Caller, Error, FeatureProperties, Offer, Origin, RequestDraft, Resolved, Resource,
        TemplateData, Versioned, resolve, stored,
    },
    entity::{MediaType, feature, idempotency_key, job, request, template},
    store::{self, Transaction},
};

use super::{App, create_template::properties_of};

/// An accepted request and its jobs, in order of variation.
pub type Accepted = (request::Model, Vec<job::Model>);

impl App {
    /// Accepts a wish: checks it, stores it with one pending job for each variation, and wakes the workers.
    ///
    /// With an idempotency key that came before, the first call's request is returned, whatever has become of the feature
    /// since.
    pub async fn create_request(
        &self,
        caller: Caller,
        draft: RequestDraft,
    ) -> Result<Accepted, Error> {
        check_owner(caller, &draft)?;
        let draft = draft.with_allowed_priority(caller);
        if let Some(first) = self.replay(&draft).await? {
            return Ok(first);
        }
        let (feature, resolved) = self.resolve_draft(&draft).await?;
        self.check_provider(&resolved)?;
        self.store_request(draft, feature, &resolved).await
    }

    /// The feature that a wish asks for, and what the wish comes to with it.
    pub(super) async fn resolve_draft(
        &self,
        draft: &RequestDraft,
    ) -> Result<(feature::Model, Resolved), Error> {
        if draft.feature_id <= 0 {
            return self.refuse_unaddressed(draft);
        }
        let feature = self.find_open_feature(draft.feature_id).await?;
        let template = self.find_open_template(draft).await?;
        let resolved = self.resolve_request(draft, &feature, template.as_ref())?;
        Ok((feature, resolved))
    }

    /// Refuses a wish whose jobs could only fail, as far as this process knows. All of its jobs have the same provider.
    pub(super) fn check_provider(&self, resolved: &Resolved) -> Result<(), Error> {
        match resolved.jobs.first() {
            Some(job) => self.check_ready(&job.provider),
            None => Ok(()),
        }
    }

    /// A wish that names no feature is checked as far as possible, so that its other mistakes are told too.
    fn refuse_unaddressed(
        &self,
        draft: &RequestDraft,
    ) -> Result<(feature::Model, Resolved), Error> {
        let offer = Offer {
            category: MediaType::Image,
            system_prompt: None,
            properties: &FeatureProperties::default(),
            template: None,
            origin: None,
        };
        resolve(draft, offer, self.settings.intake, 0)?;
        Err(Error::internal(
            "a request without a feature was not refused",
        ))
    }

    async fn find_open_feature(&self, id: i64) -> Result<feature::Model, Error> {
        let feature = store::feature::find_live(self.store.reader(), id).await?;
        if !feature.is_active {
            return Err(Error::FeatureInactive(id));
        }
        Ok(feature)
    }

    async fn find_open_template(
        &self,
        draft: &RequestDraft,
    ) -> Result<Option<template::Model>, Error> {
        // An impossible id is refused with the other mistakes.
        let Some(id) = draft.template_id.filter(|id| *id > 0) else {
            return Ok(None);
        };
        let template = store::template::find_live(self.store.reader(), id).await?;
        if template.feature_id != draft.feature_id {
            return Err(Error::not_found(Resource::Template, id));
        }
        if !template.is_active {
            return Err(Error::TemplateInactive(id));
        }
        Ok(Some(template))
    }

    fn resolve_request(
        &self,
        draft: &RequestDraft,
        feature: &feature::Model,
        template: Option<&template::Model>,
    ) -> Result<Resolved, Error> {
        let properties = properties_of(feature)?;
        let origin = origin_of(feature, template);
        let template = template.map(data_of).transpose()?;
        let offer = Offer {
            category: feature.category,
            system_prompt: feature.system_prompt.as_deref(),
            properties: &properties,
            template: template.as_ref(),
            origin: Some(&origin),
        };
        resolve(draft, offer, self.settings.intake, rand::random())
    }

    async fn store_request(
        &self,
        draft: RequestDraft,
        feature: feature::Model,
        resolved: &Resolved,
    ) -> Result<Accepted, Error> {
        let key = (!draft.idempotency_key.is_empty()).then(|| draft.clone());
        let plan = store::job::Plan {
            category: feature.category,
            priority: draft.priority,
            max_attempts: self.settings.max_attempts,
            now: self.clock.now(),
        };
        let tx = self.store.begin().await?;
        self.ensure_user(&tx, draft.user_id).await?;
        let request =
            store::request::insert(&tx, draft, resolved, feature.system_prompt, plan.now).await?;
        let jobs = store::job::insert(&tx, &request, &resolved.jobs, plan).await?;
        ensure_still_offered(&tx, &request).await?;
        if let Some(template_id) = request.template_id {
            store::trend::count_use(&tx, template_id, plan.now).await?;
        }
        if let Some(draft) = key
            && !self.claim_key(&tx, &draft, &request).await?
        {
            tx.rollback().await?;
            let first = self.replay(&draft).await?;
            return first.ok_or_else(|| Error::internal("an idempotency key vanished"));
        }
        tx.commit().await?;

        self.events.publish(&jobs);
        Ok((request, jobs))
    }

    async fn ensure_user(&self, tx: &Transaction, id: i64) -> Result<(), Error> {
        if self.settings.provision_users {
            return store::user::provision(tx, id).await;
        }
        if store::user::exists(tx, id).await? {
            Ok(())
        } else {
            Err(Error::UserUnknown(id))
        }
    }

    async fn claim_key(
        &self,
        tx: &Transaction,
        draft: &RequestDraft,
        request: &request::Model,
    ) -> Result<bool, Error> {
        let key = idempotency_key::Model {
            user_id: draft.user_id,
            key: draft.idempotency_key.clone(),
            fingerprint: draft.fingerprint()?,
            request_id: request.id,
            created_at: request.created_at,
        };
        store::idempotency_key::claim(tx, key).await
    }

    /// The request that the draft's key stands for already; `None` if it is a new one or there is no key.
    async fn replay(&self, draft: &RequestDraft) -> Result<Option<Accepted>, Error> {
        if !draft.has_valid_key() {
            return Ok(None);
        }
        let db = self.store.reader();
        let Some(known) =
            store::idempotency_key::find(db, draft.user_id, &draft.idempotency_key).await?
        else {
            return Ok(None);
        };
        if known.fingerprint != draft.fingerprint()? {
            return Err(Error::IdempotencyKeyReused {
                key: draft.idempotency_key.clone(),
                request_id: known.request_id,
            });
        }
        let request = store::request::find(db, Caller::TrustedService, known.request_id).await?;
        let jobs = store::deletion::current_jobs(db, &request).await?;
        Ok(Some((request, jobs)))
    }
}

/// What was live when the wish was checked may have been deleted since. From here on it cannot be: the request's foreign
/// keys hold a deletion up until the transaction has ended.
async fn ensure_still_offered(tx: &Transaction, request: &request::Model) -> Result<(), Error> {
    store::feature::find_live(tx, request.feature_id).await?;
    if let Some(id) = request.template_id {
        store::template::find_live(tx, id).await?;
    }
    Ok(())
}

fn origin_of(feature: &feature::Model, template: Option<&template::Model>) -> Origin {
    Origin {
        feature: Versioned {
            id: feature.id,
            name: feature.name.clone(),
            version: feature.version,
        },
        template: template.map(|template| Versioned {
            id: template.id,
            name: template.name.clone(),
            version: template.version,
        }),
    }
}

/// To a user the others are unknown.
pub(super) fn check_owner(caller: Caller, draft: &RequestDraft) -> Result<(), Error> {
    match caller.scope() {
        Some(user_id) if user_id != draft.user_id => Err(Error::UserUnknown(draft.user_id)),
        _ => Ok(()),
    }
}

/// The typed data of a stored template.
pub(super) fn data_of(template: &template::Model) -> Result<TemplateData, Error> {
    stored::read(Some(&template.template_data)).map_err(|error| {
        Error::internal(format!(
            "template_data of template {}: {error}",
            template.id
        ))
    })
}
