//! The vendors' own clients find in a stand-in what they expect of the service.

use atelier::stand_in::Protocol;

use crate::support::provider::stand_in;
use crate::support::python::python;

#[tokio::test]
async fn the_client_of_openai_is_served() {
    let said = said_by("tests/python/openai_stand_in.py", Protocol::OpenAi, "/v1").await;
    let expected = [
        "images PNG PNG",
        "stream 2 image_generation.completed PNG",
        "link PNG",
        "refused 400 response_format",
        "speech RIFF",
        "speech flac fLaC",
        // Two seconds of 24,000 samples.
        "speech pcm 96000",
        "speech mp3 400 response_format invalid_request_error",
        "speech opus 400 response_format invalid_request_error",
        "speech aac 400 response_format invalid_request_error",
        "video completed 1280x720 4 ftyp WEBP deleted True",
        "video gone 404",
        "models stand-in-image stand-in-speech stand-in-video",
        "refused 400 prompt",
    ];
    assert_eq!(said, expected);
}

/// The lines that a program prints which gets the URL of a stand-in.
async fn said_by(program: &str, protocol: Protocol, path: &str) -> Vec<String> {
    let service = stand_in(protocol, Vec::new()).await;
    let (succeeded, printed) = python(program, &[&format!("{}{path}", service.url())]).await;
    assert!(succeeded, "{printed}");
    printed.lines().map(str::to_owned).collect()
}
