//! From a request to a stored request with a pending job for each variation, all or nothing, see
//! docs/domain.md#resolving-a-request.

use crate::{
    app::{
        App,
        credit::{Asked, Hold},
        feature::properties_of,
        template::data_of,
    },
    billing::Billing,
    domain::{
        Caller, Checks, Error, FeatureProperties, Flaw, MediaType, Offer, Origin, RequestDraft,
        Resolved, TemplateData, Variable, Versioned, media_id, refuse_without_feature, resolve,
    },
    entity::{feature, job, template},
    media::Upload,
    provider::{Moderation, Place, Preset, Unfit},
    store::{self, Transaction, feature::Offered, request::Counted},
};

use super::intake::Intake;

/// An accepted request and its jobs, in order of variation.
pub type Accepted = (Counted, Vec<job::Model>);

impl App {
    /// Accepts a request: checks it, stores it with one pending job for each variation, and wakes the workers.
    ///
    /// With an idempotency key that came before, the first call's request is returned, whatever has become of the feature
    /// since. `checks` holds what is wrong with the request already.
    pub async fn create_request(
        &self,
        caller: Caller,
        draft: RequestDraft,
        checks: &Checks,
    ) -> Result<Accepted, Error> {
        self.create_request_with(caller, draft, &[], checks).await
    }

    /// The same for a request that names pictures by the links of these uploads.
    pub async fn create_request_with(
        &self,
        caller: Caller,
        draft: RequestDraft,
        uploads: &[Upload],
        checks: &Checks,
    ) -> Result<Accepted, Error> {
        check_owner(caller, &draft)?;
        let draft = draft.with_allowed_priority(caller);
        self.require_feature(&draft, checks)?;
        let content = match checks.is_empty() {
            true => self.check_with_moderation(&draft, checks).await,
            false => Ok(()),
        };
        let accepted = match (content, uploads) {
            (Err(refused), _) => Err(refused),
            (Ok(()), []) => self.store_draft(&draft, None, checks).await,
            (Ok(()), uploads) => self.store_with(&draft, uploads, checks).await,
        };
        let refusal = match accepted {
            Ok(accepted) => return Ok(accepted),
            Err(refusal) if !checks.is_empty() => return Err(refusal),
            Err(refusal) => refusal,
        };
        self.replay(&draft).await?.ok_or(refusal)
    }

    /// Has the request moderated, only once nothing else speaks against it: a judge may be paid for, and a user's limits bound how
    /// often he is asked.
    async fn check_with_moderation(
        &self,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<(), Error> {
        if matches!(self.moderation, Moderation::Off) {
            return Ok(());
        }
        let (_, resolved) = self.resolve_now(draft, checks).await?;
        self.check_quotas(draft, &resolved).await?;
        self.check_content(draft).await
    }

    /// What the request comes to with the feature and the template that it asks for.
    pub(super) fn resolve_draft(
        &self,
        draft: &RequestDraft,
        offered: &Offered,
        checks: &Checks,
    ) -> Result<Resolved, Error> {
        let (feature, template) = (&offered.feature, offered.template.as_ref());
        if !feature.is_active {
            return Err(Error::FeatureInactive(feature.id));
        }
        let inactive = template.filter(|template| !template.is_active);
        if let (Some(template), None) = (inactive, &draft.preview) {
            return Err(Error::TemplateInactive(template.id));
        }
        let plan = match self.plan_of(draft) {
            Err(_) if !checks.is_empty() => None,
            found => found?,
        };
        let properties = properties_of(feature)?;
        let unsaved = draft.preview.as_ref().and_then(|it| it.data.as_ref());
        // What is not saved is no version of the template.
        let origin = origin_of(feature, template.filter(|_| unsaved.is_none()));
        let template = match unsaved {
            Some(data) => {
                let mut checks = checks.clone();
                data.check(&properties, feature.category, &mut checks);
                self.check_look(&properties, feature.category, data, &mut checks);
                Some(checks.finish(data.clone())?)
            }
            None => template.map(data_of).transpose()?,
        };
        let offer = Offer {
            category: feature.category,
            system_prompt: feature.system_prompt.as_deref(),
            properties: &properties,
            template: template.as_ref(),
            own_seconds: self.own_seconds(&properties, feature.category),
            plan,
            origin: &origin,
        };
        let mut checks = checks.clone();
        draft.schedule.check(self.clock.now(), &mut checks);
        self.check_filled_look(draft, offer, &mut checks);
        check_pictures(draft, offer.template, &offered.pictures, &mut checks);
        let provider = self.providers.get(properties.provider());
        let only_pictures = provider.is_some_and(|it| it.takes_pictures(feature.category));
        let uploads = (offered.uploads.as_slice(), only_pictures);
        self.check_uploads(draft, offer.template, uploads, &mut checks);
        self.check_links(draft, offer, &mut checks);
        self.check_inputs(draft, offer, &mut checks);
        self.check_ignored(draft, offer, &mut checks);
        resolve(draft, offer, self.settings.intake, rand::random(), checks)
    }

    /// What this process knows of it: another may have the provider.
    fn own_seconds(&self, properties: &FeatureProperties, category: MediaType) -> Option<u32> {
        let provider = self.providers.get(properties.provider())?;
        provider.own_seconds(category)
    }

    /// Notes what the provider could not read of the template with the request's variables, and a prompt of which it could show
    /// nothing, if this process has that provider.
    fn check_filled_look(&self, draft: &RequestDraft, offer: Offer<'_>, checks: &mut Checks) {
        let provider = self.providers.get(offer.properties.provider());
        let Some(provider) = provider else {
            return;
        };
        let (user_prompt, given) = (draft.user_prompt.trim(), &draft.input.variables);
        // What is wrong with the variables themselves is told by the rules.
        let mut found = Checks::default();
        let fill = |template: &TemplateData| template.fill(given, user_prompt, "", &mut found);
        let (variables, prompt) = offer.template.map(fill).unwrap_or_default();
        let prompt = prompt.as_deref().unwrap_or(user_prompt);
        let remarks = provider.remarks(offer.category, prompt).into_iter();
        for remark in remarks.filter(|it| it.flaw == Flaw::NothingToShow && found.is_empty()) {
            checks.add("user_prompt", remark);
        }
        if offer.template.is_none() {
            return;
        }
        for unfit in provider.check(Preset::of_offer(offer), &variables) {
            let Unfit { key, expected, .. } = &unfit;
            match unfit.place {
                Place::Variable => checks.add(format!("input.variables.{key}"), unfit.problem()),
                // What has no effect is told when it is written; a template that is there already goes on as before.
                Place::Style if unfit.flaw != Flaw::NotSupported => {
                    let words = format!("the template's style.{key} must be {expected}");
                    checks.add("template_id", unfit.flaw.says(words));
                }
                Place::Style | Place::Model | Place::Settings => {}
            }
        }
    }

    /// Refuses a request whose jobs could only fail, as far as this process knows. All of its jobs have the same provider.
    pub(super) fn check_provider(&self, resolved: &Resolved) -> Result<(), Error> {
        match resolved.jobs.first() {
            Some(job) => self.check_ready(job.providers()),
            None => Ok(()),
        }
    }

    pub(super) fn require_feature(
        &self,
        draft: &RequestDraft,
        checks: &Checks,
    ) -> Result<(), Error> {
        if draft.tells_feature() {
            return Ok(());
        }
        Err(refuse_without_feature(
            draft,
            self.settings.intake,
            checks.clone(),
        ))
    }

    /// Keeps the uploads, then stores the request: a storage may be slow, so no transaction is open meanwhile. What is refused,
    /// or was accepted before, is not kept; what is kept for nothing all the same, upkeep removes as any object without a
    /// record.
    async fn store_with(
        &self,
        draft: &RequestDraft,
        uploads: &[Upload],
        checks: &Checks,
    ) -> Result<Accepted, Error> {
        let (_, resolved) = self.resolve_now(draft, checks).await?;
        if let Some(accepted) = self.replay(draft).await? {
            return Ok(accepted);
        }
        self.check_quotas(draft, &resolved).await?;
        let reserve = async |tx: &Transaction| store::request::reserve_id(tx).await;
        let id = self.store.write(reserve).await?;
        for upload in uploads {
            let (key, content) = (upload.key(id), upload.content.clone());
            self.storage.put(&key, content, None).await?;
        }
        self.store_draft(draft, Some(id), checks).await
    }

    /// Checks and stores a request, for which Billing holds what it costs, if it is Billing that keeps credits.
    async fn store_draft(
        &self,
        draft: &RequestDraft,
        id: Option<i64>,
        checks: &Checks,
    ) -> Result<Accepted, Error> {
        let Billing::Remote(_) = &self.settings.billing else {
            return self.store_held(draft, id, None, checks).await;
        };
        let (_, resolved) = self.resolve_now(draft, checks).await?;
        if let Some(accepted) = self.replay(draft).await? {
            return Ok(accepted);
        }
        self.check_quotas(draft, &resolved).await?;
        let asked = Asked {
            request_id: id,
            user_id: draft.user_id,
            jobs: resolved.jobs.len(),
            cost_per_job: cost_per_job(draft, &resolved),
        };
        let Some(hold) = self.hold(asked).await? else {
            return self.store_held(draft, id, None, checks).await;
        };
        let id = Some(hold.request_id);
        let stored = self.store_held(draft, id, Some(&hold), checks).await;
        if stored.is_err() {
            self.let_go(&hold).await;
        }
        stored
    }

    /// Checks and stores a request, and its user where that one is not known yet.
    async fn store_held(
        &self,
        draft: &RequestDraft,
        id: Option<i64>,
        hold: Option<&Hold>,
        checks: &Checks,
    ) -> Result<Accepted, Error> {
        let intake = || Intake {
            draft: draft.clone(),
            checks: checks.clone(),
            id,
            hold: hold.cloned(),
        };
        match self.store_request(intake()).await {
            Err(Error::UserUnknown(user)) if self.settings.provision_users => {
                store::user::provision(self.store.writer(), &self.settings.users, user).await?;
                self.store_request(intake()).await
            }
            stored => stored,
        }
    }

    /// The request that the draft's key stands for already; `None` if it is a new one or there is no key.
    async fn replay(&self, draft: &RequestDraft) -> Result<Option<Accepted>, Error> {
        if !draft.has_valid_key() {
            return Ok(None);
        }
        let db = self.store.reader();
        let Some(known) = store::idempotency_key::find(db, draft).await? else {
            return Ok(None);
        };
        if !draft.matches(&known.fingerprint)? {
            return Err(Error::IdempotencyKeyReused {
                key: draft.idempotency_key.clone(),
                request_id: known.request_id,
            });
        }
        let request = store::request::find(db, Caller::TrustedService, known.request_id).await?;
        let jobs = store::deletion::current_jobs(db, &request).await?;
        Ok(Some((store::request::count(db, request).await?, jobs)))
    }
}

/// Whoever makes the catalogue tries it for nothing.
pub(super) fn cost_per_job(draft: &RequestDraft, resolved: &Resolved) -> i64 {
    match draft.preview {
        Some(_) => 0,
        None => resolved.cost_per_job,
    }
}

/// Notes what the request gives as a picture of the user's own and is none.
fn check_pictures(
    draft: &RequestDraft,
    template: Option<&TemplateData>,
    own: &[i64],
    checks: &mut Checks,
) {
    for Variable { name, .. } in template.into_iter().flat_map(TemplateData::pictures) {
        let given = draft.input.variables.get(name).and_then(media_id);
        if let Some(id) = given.filter(|id| !own.contains(id)) {
            checks.add(
                format!("input.variables.{name}"),
                Flaw::Conflict
                    .says(format!(
                        "must be a picture of the user's own, which media {id} is not"
                    ))
                    .found(id),
            );
        }
    }
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

/// To a user the others are unknown. Who calls from outside does not come so far: it is
/// [denied](crate::identity::Principal::acts_for).
pub(super) fn check_owner(caller: Caller, draft: &RequestDraft) -> Result<(), Error> {
    match caller.scope() {
        Some(user_id) if user_id != draft.user_id => Err(Error::UserUnknown(draft.user_id)),
        _ => Ok(()),
    }
}
