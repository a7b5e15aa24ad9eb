//! Presigned URLs of a bucket (AWS Signature Version 4, in the query). `object_store` signs for the present moment only, so
//! that no two of its URLs are the same.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use object_store::aws::AwsCredential;
use object_store::path::Path as ObjectPath;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use url::{ParseError, Position, Url};

use crate::domain::{hex, sha256_hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// All but what may stand in a URL or a header as it is.
pub(super) const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// What is done with an object.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) method: &'static str,
    /// What the call must have beside its host.
    pub(super) headers: &'a BTreeMap<String, String>,
}

impl<'a> Call<'a> {
    fn signed_headers(&self, url: &'a Url) -> BTreeMap<&'a str, &'a str> {
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        headers.chain([("host", host)]).collect()
    }
}

/// Signs calls for one object of a bucket.
pub(super) struct Presigner {
    pub(super) bucket_url: Url,
    pub(super) region: String,
}

impl Presigner {
    /// A URL that opens the object for so many seconds from `begin` on, as long as the credential is good.
    pub(super) fn sign(
        &self,
        credential: &AwsCredential,
        path: &ObjectPath,
        begin: DateTime<Utc>,
        seconds: i64,
    ) -> Result<String, ParseError> {
        let download = Call {
            method: "GET",
            headers: &BTreeMap::new(),
        };
        self.sign_call(credential, path, download, (begin, seconds))
    }

    /// The same for any call of the object, which must come with these headers, by names in lower case.
    pub(super) fn sign_call(
        &self,
        credential: &AwsCredential,
        path: &ObjectPath,
        call: Call<'_>,
        (begin, seconds): (DateTime<Utc>, i64),
    ) -> Result<String, ParseError> {
        let url = self.object_url(path)?;
        let time = begin.format("%Y%m%dT%H%M%SZ").to_string();
        let day = begin.format("%Y%m%d").to_string();
        let scope = [&day, self.region.as_str(), "s3", "aws4_request"];
        let scope_path = scope.join("/");
        let holder = format!("{}/{scope_path}", credential.key_id);
        let headers = call.signed_headers(&url);
        let names: Vec<&str> = headers.keys().copied().collect();
        let names = names.join(";");
        let token = credential.token.as_deref();
        let query = query(&time, seconds, &holder, (token, &names));
        let request = canonical_request(call.method, (&url, &query), &headers);
        let digest = sha256_hex(request.as_bytes());
        let text = format!("{ALGORITHM}\n{time}\n{scope_path}\n{digest}");
        let key = format!("AWS4{}", credential.secret_key).into_bytes();
        let key = scope.iter().fold(key, |key, part| mac(&key, part));
        let signature = hex(&mac(&key, &text));
        Ok(format!("{url}?{query}&X-Amz-Signature={signature}"))
    }

    fn object_url(&self, path: &ObjectPath) -> Result<Url, ParseError> {
        let bucket = self.bucket_url.as_str().trim_end_matches('/');
        let path = utf8_percent_encode(path.as_ref(), ESCAPED_IN_PATH);
        Url::parse(&format!("{bucket}/{path}"))
    }
}

/// The parameters in the order of their names, in which they are signed.
fn query(
    time: &str,
    seconds: i64,
    holder: &str,
    (token, signed_headers): (Option<&str>, &str),
) -> String {
    let seconds = seconds.to_string();
    let parameters = [
        ("X-Amz-Algorithm", Some(ALGORITHM)),
        ("X-Amz-Credential", Some(holder)),
        ("X-Amz-Date", Some(time)),
        ("X-Amz-Expires", Some(&seconds)),
        ("X-Amz-Security-Token", token),
        ("X-Amz-SignedHeaders", Some(signed_headers)),
    ];
    let given = parameters.into_iter().filter_map(|(name, value)| {
        let value = utf8_percent_encode(value?, ESCAPED);
        Some(format!("{name}={value}"))
    });
    given.collect::<Vec<_>>().join("&")
}

/// What is signed of a call.
fn canonical_request(
    method: &str,
    (url, query): (&Url, &str),
    headers: &BTreeMap<&str, &str>,
) -> String {
    let path = url.path();
    let names: Vec<&str> = headers.keys().copied().collect();
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let names = names.join(";");
    format!("{method}\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD")
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(token: Option<&str>) -> AwsCredential {
        AwsCredential {
            key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: token.map(str::to_owned),
        }
    }

    fn signed(token: Option<&str>, path: &str) -> String {
        let presigner = Presigner {
            bucket_url: Url::parse("https://examplebucket.s3.amazonaws.com/").unwrap(),
            region: "us-east-1".to_owned(),
        };
        let begin = DateTime::parse_from_rfc3339("2013-05-24T00:00:00Z").unwrap();
        let (credential, path) = (credential(token), ObjectPath::from(path));
        let signed = presigner.sign(&credential, &path, begin.to_utc(), 86_400);
        signed.unwrap()
    }

    /// The example of "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    #[test]
    fn the_signature_is_the_published_one() {
        assert_eq!(
            signed(None, "test.txt"),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn a_token_and_the_names_of_objects_are_escaped() {
        let url = signed(Some("a+b/c="), "a b/c+d.png");
        assert!(
            url.contains("&X-Amz-Security-Token=a%2Bb%2Fc%3D&X-Amz-SignedHeaders="),
            "{url}"
        );
        assert!(url.contains(".com/a%20b/c%2Bd.png?"), "{url}");
    }
}
