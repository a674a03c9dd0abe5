//! What goes through the socket: frames of a header, a JSON text and bytes. `docs/door.md` draws them.

use crate::bounds::ANSWER_LENGTH_MAX;
use crate::credentials::Caller;
use crate::people::Role;
use serde::{Deserialize, Serialize};

/// The version of the protocol. A server answers only requests of its own version.
pub const PROTOCOL_VERSION: u16 = 1;
/// The bytes of a frame's header.
pub const HEADER_LENGTH: usize = 12;

/// The header of a frame, little-endian: `length` u32, `json` u32, `version` u16, `descriptors` u16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// The bytes after the header: the JSON text, then the bytes.
    pub length: usize,
    /// The bytes of the JSON text.
    pub json: usize,
    /// The version of the protocol.
    pub version: u16,
    /// The descriptors that come with the frame's first byte.
    pub descriptors: u16,
}

impl FrameHeader {
    /// Reads a header.
    pub fn read(bytes: &[u8; HEADER_LENGTH]) -> Self {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let half = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"));
        Self { length: word(0) as usize, json: word(4) as usize, version: half(8), descriptors: half(10) }
    }
}

/// Encodes a frame.
///
/// # Panics
/// When the frame is longer than 4 GiB or the value is not JSON, which no message of this protocol is.
pub fn encode(value: &impl Serialize, bytes: &[u8], descriptors: usize) -> Vec<u8> {
    let json = serde_json::to_vec(value).expect("the messages of the protocol are JSON");
    let length = |length: usize| u32::try_from(length).expect("a frame is short").to_le_bytes();
    let mut frame = Vec::with_capacity(HEADER_LENGTH + json.len() + bytes.len());
    frame.extend(length(json.len() + bytes.len()));
    frame.extend(length(json.len()));
    frame.extend(PROTOCOL_VERSION.to_le_bytes());
    frame.extend((descriptors as u16).to_le_bytes());
    frame.extend(json);
    frame.extend(bytes);
    debug_assert!(frame.len() <= HEADER_LENGTH + ANSWER_LENGTH_MAX);
    frame
}

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The first request: what the bus is. `process` is the client's own name for itself, as claimed.
    Hello {
        /// The claimed name of the process.
        process: String,
    },
    /// The memory of a shard's ring: one descriptor.
    Ring {
        /// The shard.
        shard: u32,
    },
    /// The memory of the counters: one descriptor.
    Counters,
    /// To be a publisher of a shard until the connection ends: the descriptors of the ring and of the lane.
    Claim {
        /// The shard.
        shard: u32,
        /// The publisher's number.
        publisher: u16,
    },
    /// To submit one message, whose body follows the JSON text. The answer comes when the message is durable
    /// or refused.
    Submit {
        /// The shard.
        shard: u32,
        /// The template of the message, of Stele's schema.
        template: u16,
    },
    /// The names of the files of a shard's trail, in order, after the name `after`.
    Files {
        /// The shard.
        shard: u32,
        /// Empty for the first names.
        after: String,
    },
    /// A file of a shard's trail, to read: one descriptor.
    File {
        /// The shard.
        shard: u32,
        /// Its name.
        name: String,
    },
}

/// What the door answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::Hello`].
    Welcome(Box<Welcome>),
    /// To a request for memory or a file. The descriptors come with it.
    Here,
    /// To [`Request::Submit`]: the message is durable.
    Sequenced {
        /// Its sequence on the shard's log.
        sequence: u64,
    },
    /// To [`Request::Files`].
    Files {
        /// The names, in order.
        names: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
    /// The request is refused.
    Refused {
        /// Why, for programs.
        code: Code,
        /// Why, for people.
        what: String,
        /// The decision of the risk checks, where that is the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<Decision>,
    },
}

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request cannot be read. The connection ends.
    Malformed,
    /// The server has another version of the protocol or the schema. The connection ends.
    Version,
    /// The caller may not do it.
    Denied,
    /// The shard, the publisher or the file does not exist.
    NotFound,
    /// Another process is connected as this publisher.
    Taken,
    /// Try again in a moment.
    Busy,
    /// The bus does not have it, such as a ring that is private to its process.
    Unavailable,
    /// The bus refused the message, and it is not on the log.
    Refused,
    /// The bus did not answer in time. The message may still be sequenced.
    NoAnswer,
}

/// A decision of the risk checks against a control: the event `RiskDecision` on the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// The sequence of the event.
    pub sequence: u64,
    /// The number of the check.
    pub check: u8,
    /// What was asked for.
    pub limit: i64,
    /// What is in force.
    pub value: i64,
}

/// What the bus is, and who calls.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The name of the bus.
    pub bus: String,
    /// The process that runs it.
    pub process: u32,
    /// The version of Stele's schema that it writes.
    pub schema: u16,
    /// Whether the configuration has people. If not, the number of the person in a message is not verified.
    pub has_people: bool,
    /// Who calls, as the kernel says.
    pub caller: Caller,
    /// The person that calls, where the configuration has people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<CallingPerson>,
    /// The shards, by number.
    pub shards: Vec<ShardReport>,
}

/// The person that calls.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CallingPerson {
    /// The number of the person.
    pub number: u32,
    /// The code of the person.
    pub code: String,
    /// The roles of the person.
    pub roles: Vec<Role>,
}

/// A shard of the bus.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ShardReport {
    /// Its number.
    pub shard: u32,
    /// The id of its trail, in hexadecimal digits.
    pub trail: String,
    /// The epoch that it writes.
    pub epoch: u32,
    /// The directory of its trail.
    pub directory: String,
    /// Whether other processes can map its ring.
    pub has_ring: bool,
    /// The publishers that other processes can be.
    pub publishers: Vec<PublisherReport>,
}

/// A publisher that another process can be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublisherReport {
    /// Its number.
    pub id: u16,
    /// Its name.
    pub name: String,
    /// Whether a process is connected as it.
    pub is_taken: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients in other languages depend on it: a change needs a new version.
    #[test]
    fn a_frame_has_the_documented_layout() {
        let frame = encode(&Request::Submit { shard: 3, template: 506 }, b"body", 0);
        let json = br#"{"request":"submit","shard":3,"template":506}"#;
        let length = (json.len() + 4) as u8;
        assert_eq!(frame[..HEADER_LENGTH], [length, 0, 0, 0, json.len() as u8, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!(frame[HEADER_LENGTH..], [&json[..], b"body"].concat());
        let header = FrameHeader::read(frame[..HEADER_LENGTH].try_into().unwrap());
        assert_eq!((header.length, header.json), (json.len() + 4, json.len()));
        let texts = [
            (serde_json::to_string(&Request::Counters).unwrap(), r#"{"request":"counters"}"#),
            (serde_json::to_string(&Answer::Here).unwrap(), r#"{"answer":"here"}"#),
            (
                serde_json::to_string(&Answer::Refused {
                    code: Code::NotFound,
                    what: "x".into(),
                    decision: None,
                })
                .unwrap(),
                r#"{"answer":"refused","code":"not-found","what":"x"}"#,
            ),
        ];
        texts.iter().for_each(|(found, expected)| assert_eq!(found, expected));
    }

    #[test]
    fn an_unknown_request_or_field_is_malformed() {
        for text in [r#"{"request":"bye"}"#, r#"{"request":"ring"}"#, r#"{"request":"ring","shard":1,"x":2}"#]
        {
            assert!(serde_json::from_str::<Request>(text).is_err(), "{text}");
        }
    }
}
