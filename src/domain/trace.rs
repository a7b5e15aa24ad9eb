//! By what callers find their call again in the logs of several programs.

/// Longest x-request-id that is taken up, in bytes.
const MAX_REQUEST_ID: usize = 128;

/// What a caller gave a call to be known by. It is kept with the jobs that the call makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// `x-request-id`, the caller's or one made here.
    pub x_request_id: Option<String>,
    /// `traceparent` as W3C Trace Context, version 00, writes it.
    pub traceparent: Option<String>,
}

impl Trace {
    /// Takes up what is well formed. What is not is left out, since it stands in every line of the log.
    pub fn from_headers(x_request_id: Option<&str>, traceparent: Option<&str>) -> Self {
        let owned = |text: &str| text.to_owned();
        Self {
            x_request_id: x_request_id.filter(|id| is_request_id(id)).map(owned),
            traceparent: traceparent.filter(|text| is_traceparent(text)).map(owned),
        }
    }
}

fn is_request_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    !text.is_empty() && text.len() <= MAX_REQUEST_ID && text.bytes().all(is_plain)
}

/// `00-<32 hex digits>-<16>-<2>`, in lower case; neither id is all zeros.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, parent, flags] = parts[..] else {
        return false;
    };
    let is_hex = |part: &str, digits: usize| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == digits && part.bytes().all(hex)
    };
    let is_id = |part, digits| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    version == "00" && is_id(trace, 32) && is_id(parent, 16) && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_well_formed_is_taken_up() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::from_headers(Some("a-1_b.c:d/e+f=@"), Some(parent));
        assert_eq!(trace.x_request_id.as_deref(), Some("a-1_b.c:d/e+f=@"));
        assert_eq!(trace.traceparent.as_deref(), Some(parent));

        for bad in ["", "a b", "a\nb", "\u{1b}[31m", "é", &"x".repeat(129)] {
            assert_eq!(Trace::from_headers(Some(bad), None), Trace::default());
        }
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::from_headers(None, Some(bad)), Trace::default());
        }
    }
}
