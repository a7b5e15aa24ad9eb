//! What `validate_only` answers with.

use crate::{
    app::ValidRequest,
    domain::{JobInput, Resolved},
    rpc::{json, proto},
};

pub(super) fn response(valid: ValidRequest) -> proto::CreateRequestResponse {
    proto::CreateRequestResponse {
        request: None,
        jobs: Vec::new(),
        resolved_input: message(valid),
    }
}

/// The first job's input stands for all: they differ by the seed only.
fn message(ValidRequest { resolved, cost }: ValidRequest) -> Option<proto::ResolvedInput> {
    let Resolved {
        random_seed, jobs, ..
    } = resolved;
    let variations = whole(jobs.len());
    let seeds = jobs.iter().map(|job| i64::from(job.seed));
    let seeds = seeds.filter(|_| !random_seed).collect();
    let first = jobs.into_iter().next()?;
    Some(proto::ResolvedInput {
        seeds,
        random_seed,
        variations,
        cost,
        ..input(first)
    })
}

fn input(job: JobInput) -> proto::ResolvedInput {
    let variables = job.variables.into_iter();
    let formats = job.formats.into_iter();
    let further = formats.filter(|format| Some(format) != job.format.as_ref());
    proto::ResolvedInput {
        prompt: job.prompt,
        template_prompt: job.template_prompt.unwrap_or_default(),
        user_prompt: job.user_prompt,
        negative_prompt: job.negative_prompt,
        width: whole(job.width),
        height: whole(job.height),
        aspect_ratio: job.aspect_ratio,
        duration_seconds: job.duration_seconds.map_or(0, whole),
        further_formats: further.collect(),
        format: job.format.unwrap_or_default(),
        frame_rate: job.frame_rate.map_or(0, whole),
        cfg_scale: job.cfg_scale,
        lora_weights: job.lora_weights.into_iter().collect(),
        product_url: job.product_url,
        variables: variables
            .map(|(name, value)| (name, json::to_value(value)))
            .collect(),
        media_urls: job.media_urls,
        extra: Some(json::to_struct(job.extra)),
        ..Default::default()
    }
}

/// A size or number within the bounds of a request, all of which fit.
fn whole(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
