//! The token that every call shows.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Adds the token, if there is one, to calls that bring none of their own.
#[derive(Clone, Default)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// `None` if no header takes the token.
    pub(super) fn new(token: &str) -> Option<Self> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().ok()?;
        value.set_sensitive(true);
        Some(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut call: Request<()>) -> Result<Request<()>, Status> {
        let metadata = call.metadata_mut();
        if let (Some(token), false) = (&self.0, metadata.contains_key("authorization")) {
            metadata.insert("authorization", token.clone());
        }
        Ok(call)
    }
}

/// Does not tell the token.
impl std::fmt::Debug for Bearer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self.0 {
            Some(_) => "Bearer(..)",
            None => "Bearer(none)",
        })
    }
}
