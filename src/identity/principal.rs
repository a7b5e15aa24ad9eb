//! Who makes a call, as far as authentication is sure of it.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};

use crate::domain::{Actor, Caller, Checks, Error, Flaw};

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// As whom it is made.
    pub role: Role,
    /// How that was shown.
    pub proof: Proof,
    /// When it is not so any more; `None`: never.
    pub until: Option<DateTime<Utc>>,
    /// The plan of a user, as his token names it.
    pub plan: Option<String>,
    /// What a user may name as his project.
    pub projects: BTreeSet<i64>,
    /// Whose idempotency keys the caller's are, such as `service:shop`; `None`: they are told apart from nobody's.
    pub client: Option<String>,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything: nobody is asked who he is.
    Anyone,
    /// An end user of this id, who sees his own.
    User(i64),
    /// A backend that acts for any user.
    Service,
    /// What a service may, and change the catalogue.
    Admin,
}

/// How a caller has shown who he is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By reaching the server.
    Reach,
    /// By a signed token.
    Token,
    /// By the API key of this id.
    ApiKey(i64),
    /// By the certificate of the connection, which ends when that holds no more.
    Certificate,
}

impl Principal {
    /// Whoever reaches a server that asks nobody who he is.
    pub fn local() -> Self {
        Self {
            role: Role::Anyone,
            proof: Proof::Reach,
            until: None,
            plan: None,
            projects: BTreeSet::new(),
            client: None,
        }
    }

    /// How long it is so still; `None`: for ever.
    pub fn left(&self, now: DateTime<Utc>) -> Option<Duration> {
        let until = self.until?;
        Some((until - now).to_std().unwrap_or_default())
    }

    /// Whose rows the principal sees.
    pub fn caller(&self) -> Caller {
        match self.role {
            Role::Anyone | Role::Service | Role::Admin => Caller::TrustedService,
            Role::User(id) => Caller::User(id),
        }
    }

    /// In whose name the audit log has what he does.
    pub fn actor(&self) -> Actor {
        let credential = match self.proof {
            Proof::Reach => None,
            Proof::Token => Some("token".to_owned()),
            Proof::ApiKey(id) => Some(format!("api_key:{id}")),
            Proof::Certificate => Some("certificate".to_owned()),
        };
        Actor {
            name: self.client.clone().unwrap_or(Actor::local().name),
            credential,
        }
    }

    /// The user that a call is about which names this one: of a user himself, whom he need not name (0).
    ///
    /// # Errors
    /// [`Error::PermissionDenied`] where a user names another, be there one or not.
    pub fn acts_for(&self, named: i64) -> Result<i64, Error> {
        match self.role {
            Role::User(own) if named == 0 || named == own => Ok(own),
            Role::User(_) => Err(Error::PermissionDenied(
                "a user acts for himself only: leave the user's id out".to_owned(),
            )),
            Role::Anyone | Role::Service | Role::Admin => Ok(named),
        }
    }

    /// The plan by whose limits a request goes that names this one, if it names any: of a user that of his token, which he need
    /// not name. Notes another.
    pub fn plan_of(&self, field: &str, named: &str, checks: &mut Checks) -> Option<String> {
        let named = Some(named).filter(|named| !named.is_empty());
        if !matches!(self.role, Role::User(_)) {
            return named.map(str::to_owned);
        }
        let is_own = named.is_none() || named == self.plan.as_deref();
        checks.require(is_own, field, || {
            Flaw::NotPermitted.says("must be left out: a user has the plan of his token")
        });
        self.plan.clone()
    }

    /// Notes a project that a user names and that is not among his own.
    pub fn check_project(&self, field: &str, named: Option<i64>, checks: &mut Checks) {
        let Some(named) = named.filter(|_| matches!(self.role, Role::User(_))) else {
            return;
        };
        checks.require(self.projects.contains(&named), field, || {
            Flaw::NotPermitted.says("must be among the projects that the token names")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(role: Role) -> Principal {
        Principal {
            role,
            projects: BTreeSet::from([3]),
            ..Principal::local()
        }
    }

    #[test]
    fn a_user_acts_for_himself_and_all_others_for_whom_they_name() {
        let user = of(Role::User(7));
        assert_eq!(user.acts_for(0).unwrap(), 7);
        assert_eq!(user.acts_for(7).unwrap(), 7);
        for other in [8, -1, i64::MAX] {
            let refused = user.acts_for(other);
            assert!(
                matches!(refused, Err(Error::PermissionDenied(_))),
                "{other}"
            );
        }
        for role in [Role::Anyone, Role::Service, Role::Admin] {
            assert_eq!(of(role).acts_for(8).unwrap(), 8);
            assert_eq!(of(role).acts_for(0).unwrap(), 0);
            assert_eq!(of(role).caller(), Caller::TrustedService);
        }
        assert_eq!(user.caller(), Caller::User(7));
    }

    #[test]
    fn the_audit_log_has_a_client_by_its_name_and_by_how_it_was_shown() {
        assert_eq!(Principal::local().actor(), Actor::local());
        let shown = |proof| Principal {
            proof,
            client: Some("admin:ops".to_owned()),
            ..of(Role::Admin)
        };
        for (proof, credential) in [
            (Proof::Token, "token"),
            (Proof::ApiKey(7), "api_key:7"),
            (Proof::Certificate, "certificate"),
        ] {
            let actor = shown(proof).actor();
            let told = (actor.name.as_str(), actor.credential.as_deref());
            assert_eq!(told, ("admin:ops", Some(credential)));
        }
    }

    #[test]
    fn a_user_has_the_plan_of_his_token_and_others_name_one() {
        let plan = |role, named| {
            let (mut checks, who) = (Checks::default(), of(role));
            let free = Some("free".to_owned());
            let plan = Principal { plan: free, ..who }.plan_of("plan", named, &mut checks);
            (plan, checks.is_empty())
        };
        let free = Some("free".to_owned());
        assert_eq!(plan(Role::User(7), ""), (free.clone(), true));
        assert_eq!(plan(Role::User(7), "free"), (free.clone(), true));
        assert_eq!(plan(Role::User(7), "pro"), (free, false));
        for role in [Role::Anyone, Role::Service, Role::Admin] {
            assert_eq!(plan(role, ""), (None, true));
            assert_eq!(plan(role, "pro"), (Some("pro".to_owned()), true));
        }
    }

    #[test]
    fn a_user_names_the_projects_of_his_token_only() {
        let violations = |role, named| {
            let mut checks = Checks::default();
            of(role).check_project("project_id", named, &mut checks);
            checks.into_violations().iter().count()
        };
        assert_eq!(violations(Role::User(7), None), 0);
        assert_eq!(violations(Role::User(7), Some(3)), 0);
        assert_eq!(violations(Role::User(7), Some(4)), 1);
        assert_eq!(violations(Role::Service, Some(4)), 0);
    }
}
