//! What an identity system goes by when it locks somebody out or deletes an account, so that two states of a
//! directory can be compared by it.

use std::borrow::Cow;

use super::resource::Value;
use super::{Resource, User};

/// The attribute of our extension that tells the employment.
pub(super) const EMPLOYMENT: &str = "employmentId";

/// How somebody stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Whether `active` is true.
    pub active: bool,
    /// The `userName`.
    pub user_name: Cow<'a, str>,
    /// Whether there is an e-mail address.
    pub has_email: bool,
    /// Whether there is an employment.
    pub has_employment: bool,
}

/// What somebody can lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// `active` is false now.
    Active,
    /// The `userName` is another one: whoever looks for the old one finds nobody.
    UserName,
    /// There is no e-mail address any more.
    Email,
    /// There is no employment any more, nor anything that comes from it.
    Employment,
}

impl Standing<'_> {
    /// What is lost on the way from here to `later`.
    pub fn losses(&self, later: &Standing<'_>) -> impl Iterator<Item = Loss> + use<> {
        let lost = |loss, is_lost: bool| is_lost.then_some(loss);
        // Nearly always they are the same.
        let is_renamed =
            self.user_name != later.user_name && self.user_name.to_lowercase() != later.user_name.to_lowercase();
        [
            lost(Loss::Active, self.active && !later.active),
            lost(Loss::UserName, is_renamed),
            lost(Loss::Email, self.has_email && !later.has_email),
            lost(Loss::Employment, self.has_employment && !later.has_employment),
        ]
        .into_iter()
        .flatten()
    }
}

impl User {
    /// How this user stands.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        Standing {
            active: self.active,
            user_name: Cow::Borrowed(&self.user_name),
            has_email: !self.emails.is_empty(),
            has_employment: self.extension.has(EMPLOYMENT),
        }
    }
}

impl Resource {
    /// How this user stands.
    #[must_use]
    pub fn standing(&self) -> Standing<'_> {
        let known = self.resource_type().known();
        let first = |holder| self.single(holder)?.parts().next();
        let email = known.emails.and_then(first).zip(known.email).and_then(|(email, value)| email.get(value));
        let is_there = |value: Value<'_>| !value.is_empty();
        Standing {
            active: known.active.and_then(|id| self.single(id)?.boolean()).unwrap_or_default(),
            user_name: known.user_name.and_then(|id| self.text_of(id)).unwrap_or_default(),
            has_email: email.is_some_and(is_there),
            has_employment: known.employment.and_then(|id| self.single(id)).is_some_and(is_there),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_there_can_be_lost() {
        let whole = Standing { active: true, user_name: "Ann@x".into(), has_email: true, has_employment: true };
        let bare = Standing { active: false, user_name: "personio-1".into(), has_email: false, has_employment: false };
        let losses = |one: &Standing<'_>, other: &Standing<'_>| one.losses(other).collect::<Vec<_>>();
        assert_eq!(losses(&whole, &bare), [Loss::Active, Loss::UserName, Loss::Email, Loss::Employment]);
        assert_eq!(losses(&bare, &whole), [Loss::UserName]);
        assert_eq!(losses(&whole, &Standing { user_name: "ann@X".into(), ..whole.clone() }), []);
        assert_eq!(losses(&whole, &Standing { active: false, ..whole.clone() }), [Loss::Active]);
    }
}
