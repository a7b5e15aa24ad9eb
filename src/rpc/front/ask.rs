//! From a call to a request.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue};

use crate::{
    domain::{
        Error, Flaw, GenerationInput, JsonMap, MediaType, OutputSettings, RequestDraft, Schedule,
        TemplateData, VariableType, stored,
    },
    entity::{feature, job, request},
    rpc::{call, request::note_jobs, shown},
    store,
};

use super::{
    Front,
    fields::{Fields, number},
    refusal::Refusal,
    speech,
};

/// A request that is stored, or was before with the same idempotency key.
pub(super) struct Asked {
    pub(super) request: request::Model,
    pub(super) jobs: Vec<job::Model>,
    /// The file format that was asked for.
    pub(super) format: Option<String>,
    /// Fields that only the provider may know.
    pub(super) further: Vec<String>,
}

impl Front {
    /// Makes the request that a call asks for.
    pub(super) async fn ask(
        &self,
        makes: MediaType,
        mut fields: Fields,
        headers: &HeaderMap,
    ) -> Result<Asked, Refusal> {
        let mut pictures = fields.pictures();
        let drafted = self.draft(makes, &mut fields);
        let mut draft = drafted.map_err(|error| Refusal::of_call(error, makes, &[]))?;
        draft.idempotency_key = idempotency_key(headers);
        self.fit_catalogue(makes, &mut draft, &mut pictures, &mut fields)
            .await
            .map_err(|error| Refusal::of_call(error, makes, &[]))?;
        let (names, links): (Vec<_>, Vec<_>) = pictures.into_iter().unzip();
        let refuse = |error| Refusal::of_call(error, makes, &names);
        draft.user_media_urls.splice(0..0, links);
        let further = fields.values.keys().cloned().collect();
        draft.input.extra = fields.values;
        let format = draft.input.output.format.clone();
        let (uploads, checks) = (&fields.uploads, &fields.checks);
        let accepted = self
            .app
            .create_request_with(self.caller(), draft, uploads, checks);
        let (counted, jobs) = accepted.await.map_err(refuse)?;
        note_jobs(counted.request.id, &jobs);
        Ok(Asked {
            request: counted.request,
            jobs,
            format,
            further,
        })
    }

    /// What the fields say; those that mean nothing here are left.
    fn draft(&self, makes: MediaType, fields: &mut Fields) -> Result<RequestDraft, Error> {
        let model = fields.text("model").unwrap_or_default();
        fields.checks.require(!model.is_empty(), "model", || {
            Flaw::Required.says("is required: the name of a feature, or feature/template")
        });
        let (feature, template) = match model.contains('/') {
            true => (String::new(), model),
            false => (model, String::new()),
        };
        let prompt = match makes {
            MediaType::Audio => "input",
            MediaType::Image | MediaType::Video => "prompt",
        };
        let user_id = self.user(fields)?;
        let project_id = fields.whole("project_id");
        let named_plan = fields.text("plan");
        let checks = &mut fields.checks;
        (self.principal).check_project("project_id", project_id, checks);
        let plan = named_plan.as_deref().unwrap_or_default();
        let plan = (self.principal).plan_of("plan", plan, checks);
        Ok(RequestDraft {
            user_id,
            project_id,
            feature_id: 0,
            template_id: None,
            feature,
            template,
            user_prompt: fields.text(prompt).unwrap_or_default(),
            user_media_urls: fields.texts("user_media_urls"),
            input: input(makes, fields),
            metadata: fields.object("metadata").unwrap_or_default(),
            priority: fields.small("priority").unwrap_or_default(),
            schedule: Schedule::default(),
            idempotency_key: String::new(),
            client: self.principal.client.clone(),
            trace: call::trace(),
            preview: None,
            plan,
        })
    }

    /// The one that the call names by a number, or a user himself. Another name is not taken for the configured user: his
    /// would be the costs.
    pub(super) fn user(&self, fields: &mut Fields) -> Result<i64, Error> {
        let named = fields.text("user").filter(|user| !user.is_empty());
        let named = match named {
            None if self.caller().is_trusted() => self.settings.user.unwrap_or_else(|| {
                let words = "is required, since no front.user is configured";
                fields.checks.add("user", Flaw::Required.says(words));
                1
            }),
            None => 0,
            Some(named) => named.parse().unwrap_or_else(|_| {
                let words = "must be the decimal id of a user, or be left out";
                fields.checks.add("user", Flaw::Malformed.says(words));
                // Stands for a user only to keep what is missing from being told too.
                self.caller().scope().unwrap_or(1)
            }),
        };
        self.principal.acts_for(named)
    }

    /// Checks that what is asked for makes this, takes the voice for a variable where the template has one, and pictures for the
    /// variables that need one. What there is not is told when the request is made, unless it was made before.
    async fn fit_catalogue(
        &self,
        makes: MediaType,
        draft: &mut RequestDraft,
        pictures: &mut Vec<(String, String)>,
        fields: &mut Fields,
    ) -> Result<(), Error> {
        let Some((feature, data)) = self.find(draft).await? else {
            return Ok(());
        };
        fields
            .checks
            .require(feature.category == makes, "model", || {
                let (made, wanted): (&str, &str) = (feature.category.into(), makes.into());
                Flaw::Conflict.says(format!(
                    "must make {wanted}, {:?} makes {made}",
                    feature.name
                ))
            });
        if makes == MediaType::Audio {
            speech::fit_format(&feature, &mut draft.input.output, &mut fields.checks);
        }
        fill_pictures(&data, &mut draft.input.variables, pictures);
        let has_voice = data
            .variables
            .iter()
            .any(|variable| variable.name == "voice");
        if has_voice && let Some(voice) = fields.values.remove("voice") {
            let named = voice.get("id").cloned().unwrap_or(voice);
            let variables = &mut draft.input.variables;
            variables.entry("voice").or_insert(named);
        }
        Ok(())
    }

    async fn find(
        &self,
        draft: &RequestDraft,
    ) -> Result<Option<(feature::Model, TemplateData)>, Error> {
        let found = async {
            if draft.template.is_empty() {
                let named = (0, draft.feature.as_str());
                let feature = shown::feature(&self.app, self.caller(), named).await?;
                return Ok((feature, TemplateData::default()));
            }
            let named = (0, draft.template.as_str());
            let (template, feature) = shown::template(&self.app, self.caller(), named).await?;
            let feature = store::feature::live(feature)?;
            Ok((feature, stored::show(Some(template.template_data))))
        };
        match found.await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotNamed { .. } | Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The client's own field for a picture stands for each variable that needs one and has none, in their order.
fn fill_pictures(
    data: &TemplateData,
    variables: &mut JsonMap,
    pictures: &mut Vec<(String, String)>,
) {
    let needed = data.variables.iter();
    let needed = needed.filter(|it| it.required && it.kind == VariableType::Picture);
    for variable in needed {
        if !pictures.is_empty() && !variables.contains_key(&variable.name) {
            let (_, link) = pictures.remove(0);
            variables.insert(variable.name.clone(), link.into());
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> String {
    let key = headers.get("idempotency-key").map(HeaderValue::as_bytes);
    String::from_utf8_lossy(key.unwrap_or_default()).into_owned()
}

fn input(makes: MediaType, fields: &mut Fields) -> GenerationInput {
    GenerationInput {
        negative_prompt: fields.text("negative_prompt"),
        seed: fields.whole("seed"),
        cfg_scale: fields.number("cfg_scale"),
        lora_weights: lora_weights(fields),
        product_url: fields.text("product_url"),
        mask_url: mask(fields),
        batch_size: variations(fields),
        output: output(makes, fields),
        variables: fields.object("variables").unwrap_or_default(),
        extra: Default::default(),
    }
}

/// 0 means what a template says to ours, and nothing to OpenAI's.
fn variations(fields: &mut Fields) -> i32 {
    let given = fields.small("n");
    fields.checks.require(given != Some(0), "n", || {
        Flaw::OutOfRange
            .says("must be at least 1, got 0")
            .min(1)
            .found(0)
    });
    given.unwrap_or_default()
}

/// By OpenAI's name or by that of the API.
fn mask(fields: &mut Fields) -> Option<String> {
    let names = ["mask", "mask_url"];
    let [mask, url] = names.map(|name| fields.link(name).filter(|link| !link.is_empty()));
    let is_one = mask.is_none() || url.is_none();
    fields.checks.require(is_one, "mask", || {
        Flaw::Conflict.says("must be left out where mask_url is given")
    });
    mask.or(url)
}

fn output(makes: MediaType, fields: &mut Fields) -> OutputSettings {
    let format = match makes {
        MediaType::Audio => "response_format",
        MediaType::Image | MediaType::Video => "output_format",
    };
    let (width, height) = size(fields).unzip();
    OutputSettings {
        format: fields.text(format),
        aspect_ratio: fields.text("aspect_ratio"),
        width,
        height,
        duration_seconds: fields.small("seconds"),
        formats: Vec::new(),
    }
}

/// `1024x1536`; none for `auto`.
fn size(fields: &mut Fields) -> Option<(i32, i32)> {
    let size = fields.text("size").filter(|size| size != "auto")?;
    let sides = size.split_once('x');
    let sides = sides.and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    fields.checks.require(sides.is_some(), "size", || {
        let words = format!("must be WIDTHxHEIGHT in pixels or auto, got {size:?}");
        Flaw::Malformed.says(words).found(&size)
    });
    sides
}

fn lora_weights(fields: &mut Fields) -> Option<BTreeMap<String, f64>> {
    let given = fields.object("lora_weights")?;
    let entries = given.into_iter().filter_map(|(name, weight)| {
        let read = number(weight);
        fields.checks.require(read.is_some(), "lora_weights", || {
            Flaw::Malformed.says(format!("must hold numbers, {name:?} is none"))
        });
        Some((name, read?))
    });
    Some(entries.collect())
}
