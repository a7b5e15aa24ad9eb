//! From arguments to an accepted request: finds the feature and the template by name, then asks.

use std::collections::BTreeSet;

use tonic::Status;

use super::{GenerateArguments, GenerateError};
use crate::client::Client;
use crate::rpc::proto::{
    CreateRequestRequest, Feature, GenerationInput, Job, ListFeaturesRequest, ListTemplatesRequest,
    OutputSettings, Request, Template, TemplateVariable, Warning,
};

/// The provider of features that name none.
const BUILTIN: &str = "builtin";
/// As many rows a page as the server gives.
const PAGE_SIZE: i32 = 1000;

/// What the server accepted.
#[derive(Debug)]
pub(super) struct Asked {
    pub feature: Feature,
    pub template: Option<Template>,
    pub request: Request,
    pub jobs: Vec<Job>,
    /// What of the request has no effect.
    pub warnings: Vec<Warning>,
}

/// Uploads the pictures, and creates the request.
pub(super) async fn send(
    arguments: &GenerateArguments,
    user_id: i64,
    client: &Client,
    (feature, template): (Feature, Option<Template>),
) -> Result<Asked, GenerateError> {
    let mut message = message(arguments, user_id, &feature, template.as_ref());
    for picture in &arguments.pictures {
        let upload = client.upload(picture, user_id).await?;
        message.user_media_urls.push(upload.url);
    }
    let created = client.requests().create_request(message).await;
    let response = created
        .map_err(refused("cannot create the request"))?
        .into_inner();
    Ok(Asked {
        feature,
        template,
        request: response.request.unwrap_or_default(),
        jobs: response.jobs,
        warnings: response.warnings,
    })
}

/// Finds what the names of `arguments` stand for.
pub(super) async fn resolve(
    arguments: &GenerateArguments,
    client: &Client,
) -> Result<(Feature, Option<Template>), GenerateError> {
    let mut features = features(client).await?;
    if let Some(name) = &arguments.provider {
        let known: BTreeSet<_> = features.iter().map(provider).map(str::to_owned).collect();
        features.retain(|feature| provider(feature) == name);
        if features.is_empty() {
            return Err(unknown(
                "feature of the provider",
                name,
                known.into_iter().collect(),
            ));
        }
    }
    let feature = match &arguments.feature {
        Some(name) => {
            let known = || {
                features
                    .iter()
                    .map(|feature| feature.name.clone())
                    .collect()
            };
            let feature = features.iter().find(|feature| feature.name == *name);
            Some(feature.ok_or_else(|| unknown("feature", name, known()))?)
        }
        None => None,
    };
    let Some(name) = &arguments.template else {
        let feature = feature
            .or(features.first())
            .ok_or(GenerateError::EmptyCatalogue)?;
        return Ok((feature.clone(), None));
    };
    let templates = templates(client, feature).await?;
    let owned: Vec<_> = templates
        .iter()
        .filter_map(|template| {
            Some((
                template,
                features
                    .iter()
                    .find(|feature| feature.id == template.feature_id)?,
            ))
        })
        .collect();
    let mut matching = owned.iter().filter(|(template, _)| template.name == *name);
    match (matching.next(), matching.next()) {
        (Some((template, feature)), None) => Ok(((*feature).clone(), Some((*template).clone()))),
        (Some(_), Some(_)) => Err(GenerateError::Ambiguous {
            name: name.clone(),
            features: owners(&owned, name),
        }),
        (None, _) => Err(unknown("template", name, full_names(&owned))),
    }
}

fn provider(feature: &Feature) -> &str {
    let properties = feature.properties.as_ref();
    let name = properties.map_or("", |properties| properties.provider.as_str());
    if name.is_empty() { BUILTIN } else { name }
}

/// The features that have a template called `name`.
fn owners(templates: &[(&Template, &Feature)], name: &str) -> Vec<String> {
    templates
        .iter()
        .filter(|(template, _)| template.name == name)
        .map(|(_, feature)| feature.name.clone())
        .collect()
}

/// Each template with the feature that it belongs to.
fn full_names(templates: &[(&Template, &Feature)]) -> Vec<String> {
    templates
        .iter()
        .map(|(template, feature)| format!("{} ({})", template.name, feature.name))
        .collect()
}

fn unknown(noun: &'static str, name: &str, known: Vec<String>) -> GenerateError {
    GenerateError::Unknown {
        noun,
        name: name.to_owned(),
        known,
    }
}

async fn features(client: &Client) -> Result<Vec<Feature>, GenerateError> {
    let mut rows = Vec::new();
    let mut query = ListFeaturesRequest {
        page_size: PAGE_SIZE,
        is_active: Some(true),
        ..Default::default()
    };
    loop {
        let page = client.features().list_features(query.clone()).await;
        let page = page
            .map_err(refused("cannot list the features"))?
            .into_inner();
        rows.extend(page.features);
        if page.next_page_token.is_empty() {
            return Ok(rows);
        }
        query.page_token = page.next_page_token;
    }
}

/// The active templates of `feature`, or of all features.
async fn templates(
    client: &Client,
    feature: Option<&Feature>,
) -> Result<Vec<Template>, GenerateError> {
    let mut rows = Vec::new();
    let mut query = ListTemplatesRequest {
        page_size: PAGE_SIZE,
        feature_id: feature.map_or(0, |feature| feature.id),
        is_active: Some(true),
        ..Default::default()
    };
    loop {
        let page = client.templates().list_templates(query.clone()).await;
        let page = page
            .map_err(refused("cannot list the templates"))?
            .into_inner();
        rows.extend(page.templates);
        if page.next_page_token.is_empty() {
            return Ok(rows);
        }
        query.page_token = page.next_page_token;
    }
}

fn message(
    arguments: &GenerateArguments,
    user_id: i64,
    feature: &Feature,
    template: Option<&Template>,
) -> CreateRequestRequest {
    let declared: &[TemplateVariable] = template
        .and_then(|template| template.template_data.as_ref())
        .map_or(&[], |data| &data.variables);
    let variables = arguments
        .variables
        .iter()
        .map(|variable| (variable.name.clone(), variable.value(declared)))
        .collect();
    CreateRequestRequest {
        user_id,
        feature_id: feature.id,
        template_id: template.map(|template| template.id),
        user_prompt: arguments.prompt.clone(),
        input: Some(GenerationInput {
            negative_prompt: arguments.negative_prompt.clone(),
            seed: arguments.seed,
            variations: arguments.variations.unwrap_or_default(),
            variables,
            output: Some(output(arguments)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn output(arguments: &GenerateArguments) -> OutputSettings {
    let (format, formats) = match &arguments.formats[..] {
        [only] => (Some(only.clone()), Vec::new()),
        several => (None, several.to_vec()),
    };
    OutputSettings {
        format,
        formats,
        aspect_ratio: arguments.aspect_ratio.clone(),
        duration_seconds: arguments.duration,
        ..Default::default()
    }
}

/// Names what a call was for in the error that it ended with.
pub(super) fn refused(action: &'static str) -> impl Fn(Status) -> GenerateError {
    move |status| GenerateError::Refused { action, status }
}
