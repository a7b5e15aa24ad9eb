//! The prompt that a template makes, without a request, see docs/domain.md#data-of-a-template.

use crate::{
    app::{App, feature::properties_of, template::data_of},
    domain::{Checks, Error, JsonMap, check_prompt},
    store,
};

/// What a user would give for a prompt.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Required; the template must be live.
    pub template_id: i64,
    /// Checked like that of a request.
    pub user_prompt: String,
    /// By name; those left out have their defaults.
    pub variables: JsonMap,
}

/// What a provider would get.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// What the template makes, or the user's where it has no prompt.
    pub prompt: String,
    /// The template's, else that of its defaults; empty if there is none.
    pub negative_prompt: String,
    /// Given or by default.
    pub variables: JsonMap,
    /// Whether users are told its values alone.
    pub is_hidden: bool,
}

impl App {
    /// Makes the prompt that a request with these values would have, or tells what is wrong with them. `checks` holds what is
    /// wrong already.
    pub async fn render_template(
        &self,
        trial: Trial,
        mut checks: Checks,
    ) -> Result<Rendered, Error> {
        let id = trial.template_id;
        checks.id("id", id);
        if id <= 0 {
            return Err(Error::Validation(checks.into_violations()));
        }
        let db = self.store.reader();
        let template = store::template::find_live(db, id).await?;
        let feature = store::feature::find(db, template.feature_id).await?;
        let properties = properties_of(&feature)?;
        let data = data_of(&template)?;
        let user_prompt = check_prompt(
            &trial.user_prompt,
            &properties,
            self.settings.intake,
            &mut checks,
        );
        let (variables, prompt) =
            data.fill(&trial.variables, user_prompt, "variables", &mut checks);
        checks.finish(Rendered {
            prompt: prompt.unwrap_or_else(|| user_prompt.to_owned()),
            negative_prompt: data
                .input_defaults(&properties, feature.category)
                .negative_prompt
                .unwrap_or_default(),
            variables,
            is_hidden: properties.hide_prompt,
        })
    }
}
