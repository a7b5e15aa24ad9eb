//! How much is told of rows.

use super::{Caller, Checks, Flaw};

/// Each has all of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// What a gallery shows.
    Basic,
    /// All that an end user may see, with what forms are made of.
    User,
    /// Everything, that for operators too.
    Full,
}

impl View {
    /// The view asked for, or else the most that the caller may see. That it is more than that goes to `checks`.
    pub fn granted(asked: Option<Self>, caller: Caller, checks: &mut Checks) -> Self {
        let most = caller.view();
        checks.require(asked <= Some(most), "view", || {
            Flaw::NotPermitted.says("only a trusted caller may see VIEW_FULL")
        });
        asked.unwrap_or(most)
    }

    /// What a template says, as far as the view has it: its feature may hide it from users.
    pub fn prompt(self, text: String, is_hidden: bool) -> String {
        match is_hidden && self < Self::Full {
            true => String::new(),
            false => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(asked: Option<View>, caller: Caller) -> Result<View, Vec<Flaw>> {
        let mut checks = Checks::default();
        let view = View::granted(asked, caller, &mut checks);
        let violations = checks.into_violations();
        let flaws: Vec<_> = violations.iter().map(|it| it.flaw).collect();
        if flaws.is_empty() {
            Ok(view)
        } else {
            Err(flaws)
        }
    }

    #[test]
    fn a_trusted_caller_is_granted_every_view_and_an_end_user_all_but_the_full_one() {
        let (trusted, user) = (Caller::TrustedService, Caller::User(7));
        for view in [View::Basic, View::User] {
            assert_eq!(granted(Some(view), trusted), Ok(view));
            assert_eq!(granted(Some(view), user), Ok(view));
        }
        assert_eq!(granted(Some(View::Full), trusted), Ok(View::Full));
        let refused = Err(vec![Flaw::NotPermitted]);
        assert_eq!(granted(Some(View::Full), user), refused);
    }

    #[test]
    fn who_asks_for_no_view_sees_the_most_that_he_may() {
        assert_eq!(granted(None, Caller::TrustedService), Ok(View::Full));
        assert_eq!(granted(None, Caller::User(7)), Ok(View::User));
    }
}
