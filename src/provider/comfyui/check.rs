//! Whether workflows can take what a feature and its template set: by themselves, and by what the server has.

use super::{
    classes::Classes,
    workflow::{Graph, Library},
};
use crate::{
    domain::JsonMap,
    provider::{Place, Preset, Unfit},
};

pub(super) struct Judge<'a> {
    pub(super) workflows: &'a Library,
    /// Unknown until the server has told them.
    pub(super) classes: Option<&'a Classes>,
}

impl Judge<'_> {
    pub(super) fn check(&self, preset: Preset<'_>, variables: &JsonMap) -> Vec<Unfit> {
        let Preset {
            settings, style, ..
        } = preset;
        let mut wrong = self.check_level(&[], settings, true);
        if let Ok(Some(graph)) = self.workflows.graph(&[settings]) {
            wrong.extend(self.check_model(&graph, preset));
        }
        if !style.is_empty() {
            let own = self.check_level(&[settings], style, style.contains_key("workflow"));
            wrong.extend(own.into_iter().map(|unfit| unfit.of(Place::Style)));
        }
        if let Ok(Some(graph)) = self.workflows.graph(&[settings, style]) {
            let unfit = graph.misfits("variables.", variables).into_iter();
            let unfit = unfit.chain(self.unlisted(&graph, "variables.", variables));
            wrong.extend(unfit.map(|unfit| unfit.of(Place::Variable)));
        }
        wrong
    }

    /// What is wrong with a level of settings over others. A workflow of those below is told with them.
    fn check_level(&self, below: &[&JsonMap], level: &JsonMap, whole: bool) -> Vec<Unfit> {
        let mut wrong = self.workflows.check(below, level);
        let levels: Vec<_> = below.iter().copied().chain([level]).collect();
        if let Ok(Some(graph)) = self.workflows.graph(&levels) {
            let classes = self.classes.filter(|_| whole);
            wrong.extend(classes.map(|it| it.check(&graph)).unwrap_or_default());
            wrong.extend(self.unlisted(&graph, "settings.", level));
        }
        wrong
    }

    fn check_model(&self, graph: &Graph, preset: Preset<'_>) -> Option<Unfit> {
        let model = preset.model?;
        if !graph.takes("model") {
            return Some(Unfit::model("left out, or bound").unread());
        }
        let expected = self.classes?.misfit(graph, "model", &model.into())?;
        Some(Unfit::model(expected))
    }

    /// Those of these values of a family of inputs that the server does not have.
    fn unlisted(&self, graph: &Graph, family: &str, values: &JsonMap) -> Vec<Unfit> {
        let unlisted = values.iter().filter_map(|(name, value)| {
            let expected = self
                .classes?
                .misfit(graph, &format!("{family}{name}"), value)?;
            Some(Unfit::setting(name, expected))
        });
        unlisted.collect()
    }
}
