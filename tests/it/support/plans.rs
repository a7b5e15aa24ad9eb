//! Plans of users.

use atelier::config::Config;
use atelier::domain::{Plan, Plans};

/// A plan of this name, by which nothing is limited but what the test says.
pub(crate) fn plan(name: &str, limit: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = Plan {
        name: name.to_owned(),
        ..Plan::default()
    };
    limit(&mut plan);
    plan
}

/// These and no others; the first is that of who has none.
pub(crate) fn plans(plans: impl IntoIterator<Item = Plan>) -> Plans {
    let plans: Vec<_> = plans.into_iter().collect();
    Plans {
        default: plans.first().map(|plan| plan.name.clone()),
        by_name: plans
            .into_iter()
            .map(|plan| (plan.name.clone(), plan))
            .collect(),
    }
}

/// The same for a server.
pub(crate) fn configure(config: &mut Config, those: impl IntoIterator<Item = Plan>) {
    let Plans { by_name, default } = plans(those);
    (config.named_plans, config.plans.default) = (by_name, default);
}
