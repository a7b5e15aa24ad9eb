//! HTTP/2 by the frame, for what no client would send.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::support::server::within;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Of a frame: length, kind, flags, stream.
const HEAD: usize = 9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const CANCEL: u32 = 0x8;

/// Identifiers of settings and errors, RFC 9113.
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Kinds of frames, RFC 9113.
pub(crate) struct Kind;

impl Kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const RST_STREAM: u8 = 0x3;
    const SETTINGS: u8 = 0x4;
    const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    fn new(kind: u8, flags: u8, stream: u32, payload: Vec<u8>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload,
        }
    }

    /// All headers of a call whose body follows; each as a literal that is not indexed.
    pub(crate) fn headers(stream: u32, headers: &[(&str, &str)]) -> Self {
        let mut block = Vec::new();
        for (name, value) in headers {
            block.push(0);
            for text in [name, value] {
                block.push(
                    u8::try_from(text.len())
                        .ok()
                        .filter(|it| *it < 127)
                        .unwrap(),
                );
                block.extend(text.as_bytes());
            }
        }
        Self::new(Kind::HEADERS, END_HEADERS, stream, block)
    }

    pub(crate) fn last_data(stream: u32, body: Vec<u8>) -> Self {
        Self::new(Kind::DATA, END_STREAM, stream, body)
    }

    /// The caller has lost interest.
    pub(crate) fn reset(stream: u32) -> Self {
        let payload = CANCEL.to_be_bytes().to_vec();
        Self::new(Kind::RST_STREAM, 0, stream, payload)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub(crate) fn is(&self, kind: u8, stream: u32) -> bool {
        (self.kind, self.stream) == (kind, stream)
    }

    /// Of GOAWAY.
    pub(crate) fn error_code(&self) -> u32 {
        u32::from_be_bytes(self.payload[4..8].try_into().unwrap())
    }
}

/// A connection whose frames are written and read one by one.
pub(crate) struct Raw {
    reader: OwnedReadHalf,
    writer: Option<OwnedWriteHalf>,
}

impl Raw {
    /// Connects and says the first words.
    pub(crate) async fn open(url: &str) -> Self {
        let connection = TcpStream::connect(url.replace("http://", "")).await;
        let (reader, writer) = connection.unwrap().into_split();
        let mut raw = Self {
            reader,
            writer: Some(writer),
        };
        let settings = Frame::new(Kind::SETTINGS, 0, 0, Vec::new());
        raw.send(&[PREFACE, &settings.encode()].concat()).await;
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let writer = self.writer.as_mut().unwrap();
        within(writer.write_all(bytes)).await.unwrap();
    }

    /// What writes, for a task of its own; pings are not answered then.
    pub(crate) fn take_writer(&mut self) -> OwnedWriteHalf {
        self.writer.take().unwrap()
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            let mut head = [0; HEAD];
            self.reader.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.reader.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
            let frame = Frame::new(head[3], head[4], stream, payload);
            if frame.kind == Kind::PING && frame.flags & ACK == 0 && self.writer.is_some() {
                let answer = Frame::new(Kind::PING, ACK, 0, frame.payload);
                self.send(&answer.encode()).await;
            } else {
                return Some(frame);
            }
        }
    }

    /// What the server says of itself first.
    pub(crate) async fn settings(&mut self) -> BTreeMap<u16, u32> {
        let frame = within(self.frame()).await.unwrap();
        assert_eq!(
            (frame.kind, frame.flags & ACK),
            (Kind::SETTINGS, 0),
            "{frame:?}"
        );
        let settings = frame.payload.chunks(6).map(|it| {
            let id = u16::from_be_bytes(it[..2].try_into().unwrap());
            (id, u32::from_be_bytes(it[2..].try_into().unwrap()))
        });
        settings.collect()
    }
}
