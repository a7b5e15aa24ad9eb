//! What can be wrong with a field: a reason for programs, a sentence for developers and one for users.

use std::fmt::{Debug, Display};

use super::language::{Language, Wording};

const MAX_FOUND_CHARS: usize = 100;
const MAX_ALLOWED: usize = 32;

/// Why a field is refused, or warned of: the names of `ViolationReason` in the contract without the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Flaw {
    /// Another rule, which only the description tells.
    Invalid,
    /// It is not given, or empty.
    Required,
    /// More characters or bytes than may be.
    TooLong,
    /// More, or fewer, entries or values than may be.
    TooMany,
    /// A number, or a time, that is too small or too large.
    OutOfRange,
    /// Not among the values that are allowed.
    NotOneOf,
    /// Not of the form that is expected, or with characters that may not be in it.
    Malformed,
    /// The same is there already.
    Duplicate,
    /// What was asked for has no such thing.
    NotSupported,
    /// It names something that there is not.
    UnknownName,
    /// It contradicts something else.
    Conflict,
    /// The caller may not ask for it.
    NotPermitted,
    /// Nothing of it can be shown, so that nothing would be made of it.
    NothingToShow,
    /// The user's plan allows less.
    PlanLimit,
    /// It names no upload of the user's.
    UploadNotFound,
    /// Of a warning: the provider does not read it.
    Ignored,
    /// Of a warning: characters that cannot be shown are left out.
    CharactersOmitted,
    /// Of a warning: words are left out, since there are too many.
    Shortened,
}

/// What programs read of a flaw; each may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The least that is allowed.
    pub min: Option<f64>,
    /// The most that is allowed.
    pub max: Option<f64>,
    /// The only values that are allowed, the first 32 of them.
    pub allowed: Vec<String>,
    /// What came, or how much of it; cut to 100 characters.
    pub found: String,
}

/// A flaw with all that is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// For programs.
    pub flaw: Flaw,
    /// For developers: what was expected, and what came.
    pub description: String,
    /// For programs.
    pub bounds: Bounds,
}

/// A bound of any type of number.
pub trait Number: Copy + PartialOrd + Display {
    /// The nearest there is.
    fn to_f64(self) -> f64;
}

macro_rules! numbers {
    ($($number:ty)+) => {
        $(impl Number for $number {
            fn to_f64(self) -> f64 {
                self as f64
            }
        })+
    };
}
numbers!(i32 i64 u32 usize f64);

impl Flaw {
    /// The flaw in words for developers.
    pub fn says(self, description: impl Into<String>) -> Problem {
        Problem {
            flaw: self,
            description: description.into(),
            bounds: Bounds::default(),
        }
    }

    /// The name in `reason` of a violation.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Sentences for users, the most telling first.
    fn wordings(self) -> &'static [Wording] {
        match self {
            Self::Invalid => &[["This cannot be accepted.", "Không thể chấp nhận mục này."]],
            Self::Required => &[["This is required.", "Mục này là bắt buộc."]],
            Self::TooLong => &[
                [
                    "This is too long: {max} at most, and it has {found}.",
                    "Quá dài: tối đa {max}, hiện có {found}.",
                ],
                ["This is too long: {max} at most.", "Quá dài: tối đa {max}."],
            ],
            Self::TooMany => &[
                [
                    "There must be {min} to {max}, not {found}.",
                    "Phải có từ {min} đến {max}, không phải {found}.",
                ],
                [
                    "There are too many: {max} at most, not {found}.",
                    "Quá nhiều: tối đa {max}, không phải {found}.",
                ],
            ],
            Self::OutOfRange => &[
                [
                    "This must be from {min} to {max}.",
                    "Phải trong khoảng từ {min} đến {max}.",
                ],
                ["This must be {min} or more.", "Phải từ {min} trở lên."],
                ["This must be {max} or less.", "Không được lớn hơn {max}."],
                ["This is out of range.", "Nằm ngoài khoảng cho phép."],
            ],
            Self::NotOneOf => &[
                [
                    "Choose one of: {allowed}.",
                    "Hãy chọn một trong: {allowed}.",
                ],
                [
                    "This is not among the choices.",
                    "Không có trong các lựa chọn.",
                ],
            ],
            Self::Malformed => &[["This is not written as expected.", "Không đúng định dạng."]],
            Self::Duplicate => &[["This is there twice.", "Bị trùng lặp."]],
            Self::NotSupported => &[["This is not possible here.", "Không dùng được ở đây."]],
            Self::UnknownName => &[["There is no such thing.", "Tên này không tồn tại."]],
            Self::Conflict => &[[
                "This does not go with what else was chosen.",
                "Không phù hợp với các lựa chọn khác.",
            ]],
            Self::NotPermitted => &[["You may not do this.", "Bạn không được phép làm điều này."]],
            Self::NothingToShow => &[[
                "None of these characters can be shown; write it in words.",
                "Không ký tự nào hiển thị được; hãy viết bằng chữ.",
            ]],
            Self::UploadNotFound => &[[
                "This upload does not exist.",
                "Tệp tải lên này không tồn tại.",
            ]],
            Self::PlanLimit => &[
                [
                    "Your plan allows {max} at most, not {found}.",
                    "Gói của bạn cho phép tối đa {max}, không phải {found}.",
                ],
                [
                    "Your plan does not allow this: {found}.",
                    "Gói của bạn không cho phép mục này: {found}.",
                ],
                [
                    "Your plan does not allow this.",
                    "Gói của bạn không cho phép mục này.",
                ],
            ],
            Self::Ignored => &[[
                "This has no effect here.",
                "Mục này không có tác dụng ở đây.",
            ]],
            Self::CharactersOmitted => &[[
                "These characters are left out: {found}",
                "Các ký tự này sẽ bị bỏ qua: {found}",
            ]],
            Self::Shortened => &[[
                "This is too long to be shown as a whole.",
                "Quá dài nên không hiển thị được toàn bộ.",
            ]],
        }
    }
}

impl Problem {
    /// It is not given.
    pub fn required() -> Self {
        Flaw::Required.says("is required")
    }

    /// It is there twice.
    pub fn duplicate(entry: impl Debug) -> Self {
        let found = format!("{entry:?}");
        let problem = Flaw::Duplicate.says(format!("must be unique, {found} is there twice"));
        problem.found(found.trim_matches('"'))
    }

    /// It is too small or too large.
    pub fn out_of_range<N: Number>(min: N, max: N, found: N) -> Self {
        let words = format!("must be from {min} to {max}, got {found}");
        Flaw::OutOfRange.says(words).min(min).max(max).found(found)
    }

    /// It is below 0.
    pub fn negative<N: Number>(found: N) -> Self {
        let words = format!("must not be negative, got {found}");
        Flaw::OutOfRange.says(words).min(0).found(found)
    }

    /// A list, or a map, is too long.
    pub fn too_many(max: usize, found: usize) -> Self {
        let words = format!("must have at most {max} entries, has {found}");
        Flaw::TooMany.says(words).max(max).found(found)
    }

    /// It is no value of an enum of the contract.
    pub fn no_value_of(name: &str, found: i32) -> Self {
        let words = format!("must be a value of {name}, got {found}");
        Flaw::NotOneOf.says(words).found(found)
    }

    /// With the least that is allowed.
    pub fn min(mut self, min: impl Number) -> Self {
        self.bounds.min = Some(min.to_f64());
        self
    }

    /// With the most that is allowed.
    pub fn max(mut self, max: impl Number) -> Self {
        self.bounds.max = Some(max.to_f64());
        self
    }

    /// With the only values that are allowed.
    pub fn allowed(mut self, values: impl IntoIterator<Item: ToString>) -> Self {
        let values = values.into_iter().take(MAX_ALLOWED);
        let values = values.map(|value| cut(value.to_string(), MAX_FOUND_CHARS));
        self.bounds.allowed = values.collect();
        self
    }

    /// With what came, or how much.
    pub fn found(mut self, found: impl Display) -> Self {
        self.bounds.found = cut(found.to_string(), MAX_FOUND_CHARS);
        self
    }
}

/// Words alone, of which programs learn no more than that something is wrong.
impl From<String> for Problem {
    fn from(description: String) -> Self {
        Flaw::Invalid.says(description)
    }
}

impl From<&str> for Problem {
    fn from(description: &str) -> Self {
        Flaw::Invalid.says(description)
    }
}

impl Bounds {
    /// The sentence for users that tells most of what is known.
    pub(super) fn sentence(&self, flaw: Flaw, language: Language) -> String {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let value = |place: &str| match place {
            "min" => self.min.map(|min| min.to_string()),
            "max" => self.max.map(|max| max.to_string()),
            "allowed" => text(self.allowed.join(", ")),
            _ => text(self.found.clone()),
        };
        let mut said = flaw.wordings().iter();
        let said = said.find_map(|wording| language.say(*wording, value));
        said.unwrap_or_default()
    }

    /// Bytes of what varies in length.
    pub(super) fn bytes(&self) -> usize {
        self.allowed.iter().map(String::len).sum::<usize>() + self.found.len()
    }
}

/// The text, or its beginning and an ellipsis: at most `max_chars` characters.
pub(super) fn cut(mut text: String, max_chars: usize) -> String {
    if text.chars().nth(max_chars).is_some() {
        let last = text.char_indices().nth(max_chars - 1);
        text.truncate(last.map_or(0, |(at, _)| at));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    #[test]
    fn every_flaw_has_a_sentence_in_every_language() {
        let all = Flaw::Invalid
            .says("")
            .min(1)
            .max(3)
            .allowed(["a", "b"])
            .found(7);
        for flaw in Flaw::iter() {
            let said = Language::iter().map(|language| all.bounds.sentence(flaw, language));
            let said: Vec<_> = said.collect();
            assert!(
                said.iter().all(|said| !said.is_empty()),
                "{flaw:?}: {said:?}"
            );
            assert_ne!(said[0], said[1], "{flaw:?}");
        }
    }

    #[test]
    fn a_sentence_tells_the_bounds_that_are_known() {
        let said = |problem: Problem| problem.bounds.sentence(problem.flaw, Language::Vi);
        let both = Problem::out_of_range(1, 4, 9);
        assert_eq!(said(both), "Phải trong khoảng từ 1 đến 4.");
        assert_eq!(said(Problem::negative(-1)), "Phải từ 0 trở lên.");
        assert_eq!(
            said(Flaw::OutOfRange.says("")),
            "Nằm ngoài khoảng cho phép."
        );
    }
}
