//! Time stamps of checkpoints by an authority: RFC 3161.
//!
//! ```text
//!  seals/checkpoints/0000000007 ──SHA-256──> imprint ──> authority ──> seals/timestamps/0000000007.tsr
//! ```
//!
//! The time stamp covers the checkpoint's file, including the log's signature; the authority's whole response
//! is stored. `openssl ts -verify -data CHECKPOINT -in CHECKPOINT.tsr -CAfile CA` checks the imprint and the
//! authority's signature. This module only checks that the time stamp is of this checkpoint, and reads the
//! stated time.

use crate::seal::sealing::{SealError, count_checkpoints};
use crate::seal::tiles::{checkpoint_name, read_file};
use cms::cert::x509::spki::AlgorithmIdentifier;
use cms::signed_data::EncapsulatedContentInfo;
use der::asn1::{AnyRef, Int, OctetString};
use der::oid::ObjectIdentifier;
use der::oid::db::rfc5912::ID_SHA_256;
use der::{Any, Decode as _, Encode as _, Reader as _};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use std::fmt;
use stele_journal::Storage;
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion, TstInfo};

/// The content type of a request.
pub const QUERY_CONTENT_TYPE: &str = "application/timestamp-query";
/// `id-ct-TSTInfo`.
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// The highest status of a response with a token: granted with modifications.
const GRANTED_MAX: u8 = 1;

/// The file of the time stamp of checkpoint `number` in a trail.
pub fn timestamp_name(number: u64) -> String {
    format!("seals/timestamps/{number:010}.tsr")
}

/// Why a time stamp is invalid.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TimestampError {
    /// The response is malformed.
    #[error("this is not a time stamp: {0}")]
    Malformed(String),
    /// The authority refused; its status.
    #[error("the authority refused to give a time stamp: status {0}")]
    Refused(u8),
    /// It is a time stamp of other data.
    #[error("it is a time stamp of something else: its imprint is not the checkpoint's hash")]
    Imprint,
    /// It answers another request.
    #[error("it answers another request: its nonce is not the one that was sent")]
    Nonce,
}

impl From<der::Error> for TimestampError {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// The contents of a time stamp. The authority's signature is not checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorityTimestamp {
    /// The time, in seconds since 1970.
    pub time: u64,
    /// SHA-256 of the data.
    pub imprint: [u8; 32],
    nonce: Option<Vec<u8>>,
}

/// A request for a time stamp.
///
/// # Examples
///
/// ```
/// use stele_compliance::timestamp::TimestampQuery;
///
/// let query = TimestampQuery::new(b"a checkpoint", 42);
/// assert_eq!(query.to_der().unwrap()[0], 0x30, "a DER sequence");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TimestampQuery {
    imprint: [u8; 32],
    nonce: [u8; 8],
}

impl TimestampQuery {
    /// Makes a request for `bytes`; `nonce` is a number that was not used before.
    pub fn new(bytes: &[u8], nonce: u64) -> Self {
        // A positive number of eight bytes, which has only one encoding.
        let nonce = (nonce >> 1 | 1 << 62).to_be_bytes();
        Self { imprint: Sha256::digest(bytes).into(), nonce }
    }

    /// The body of the request, in DER. It also asks for the authority's certificate.
    ///
    /// # Errors
    /// [`TimestampError::Malformed`], which does not occur in practice.
    pub fn to_der(&self) -> Result<Vec<u8>, TimestampError> {
        let hash_algorithm = AlgorithmIdentifier { oid: ID_SHA_256, parameters: Some(Any::null()) };
        let hashed_message = OctetString::new(self.imprint)?;
        let request = TimeStampReq {
            version: TspVersion::V1,
            message_imprint: MessageImprint { hash_algorithm, hashed_message },
            req_policy: None,
            nonce: Some(Int::new(&self.nonce)?),
            cert_req: true,
            extensions: None,
        };
        Ok(request.to_der()?)
    }

    /// Checks that `response` answers this request.
    ///
    /// # Errors
    /// [`TimestampError`].
    pub fn check(&self, response: &[u8]) -> Result<AuthorityTimestamp, TimestampError> {
        let stamp = AuthorityTimestamp::read(response)?;
        if stamp.imprint != self.imprint {
            return Err(TimestampError::Imprint);
        }
        if stamp.nonce.as_deref() != Some(&self.nonce[..]) {
            return Err(TimestampError::Nonce);
        }
        Ok(stamp)
    }
}

impl AuthorityTimestamp {
    /// Reads an authority's response, without checking its signature.
    ///
    /// # Errors
    /// [`TimestampError::Malformed`] and [`TimestampError::Refused`].
    pub fn read(response: &[u8]) -> Result<Self, TimestampError> {
        let malformed = |why: &str| TimestampError::Malformed(why.into());
        let response = TimeStampResp::from_der(response)?;
        let status = response.status.status as u8;
        if status > GRANTED_MAX {
            return Err(TimestampError::Refused(status));
        }
        let token = response.time_stamp_token.ok_or_else(|| malformed("it has no token"))?;
        let signed = encapsulated(&token.content)?;
        if signed.econtent_type != TST_INFO {
            return Err(malformed("its token is not a TSTInfo"));
        }
        let content = signed.econtent.ok_or_else(|| malformed("its token is empty"))?;
        let info = TstInfo::from_der(content.value())?;
        let MessageImprint { hash_algorithm, hashed_message } = &info.message_imprint;
        let imprint = <[u8; 32]>::try_from(hashed_message.as_bytes()).ok();
        let imprint = imprint.filter(|_| hash_algorithm.oid == ID_SHA_256);
        let imprint = imprint.ok_or_else(|| malformed("its imprint does not use SHA-256"))?;
        let nonce = info.nonce.map(|nonce| nonce.as_bytes().to_vec());
        Ok(Self { time: info.gen_time.to_unix_duration().as_secs(), imprint, nonce })
    }
}

/// The signed content of a SignedData. The certificates and signatures after it are skipped: authorities send
/// certificates in an order that is not valid DER, or twice.
fn encapsulated(signed: &Any) -> Result<EncapsulatedContentInfo, der::Error> {
    AnyRef::from(signed).sequence(|reader| {
        u8::decode(reader)?;
        AnyRef::decode(reader)?;
        let signed = EncapsulatedContentInfo::decode(reader)?;
        let rest = reader.remaining_len();
        reader.read_slice(rest)?;
        Ok(signed)
    })
}

/// The newest checkpoint of a trail without a time stamp, with its number; `None` when there is no
/// checkpoint, or it has a time stamp.
///
/// # Errors
/// [`SealError::Io`].
pub fn unstamped(storage: &dyn Storage) -> Result<Option<(u64, Vec<u8>)>, SealError> {
    let io = |name: String| move |source| SealError::Io { file: name, source };
    let number = count_checkpoints(storage).map_err(io(storage.describe("seals")))?;
    let read = |name: String| read_file(storage, &name).map_err(io(storage.describe(&name)));
    if number == 0 || read(timestamp_name(number))?.is_some() {
        return Ok(None);
    }
    Ok(read(checkpoint_name(number))?.map(|bytes| (number, bytes)))
}

/// Summary of the time stamps of a trail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct TimestampReport {
    /// Number of checkpoints with a time stamp.
    pub stamps: u64,
    /// Number of the newest of them.
    pub checkpoint: u64,
    /// Its time, in seconds since 1970.
    pub time: u64,
    /// Whether the authority's signature was checked; always false here.
    pub signature_checked: bool,
}

impl fmt::Display for TimestampReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stamps, checkpoint, time, .. } = self;
        let time = i64::try_from(*time).ok().and_then(|time| Timestamp::from_second(time).ok());
        let time = time.map_or_else(|| "?".into(), |time| time.to_string());
        write!(
            f,
            "{stamps} time stamps are of the checkpoints they lie beside, that of checkpoint {checkpoint} says {time}; \
             the authority's signature is not checked here: `openssl ts -verify` does"
        )
    }
}

/// Checks every time stamp of a trail against its checkpoint; `None` when there is none.
///
/// # Errors
/// The file, and the error.
pub fn check(storage: &dyn Storage) -> Result<Option<TimestampReport>, (String, TimestampError)> {
    let unread =
        |name: String| move |error: std::io::Error| (name, TimestampError::Malformed(error.to_string()));
    let count = count_checkpoints(storage).map_err(unread(storage.describe("seals")))?;
    let mut report: Option<TimestampReport> = None;
    for number in 1..=count {
        let name = timestamp_name(number);
        let file = storage.describe(&name);
        let Some(response) = read_file(storage, &name).map_err(unread(file.clone()))? else { continue };
        let checkpoint = read_file(storage, &checkpoint_name(number)).map_err(unread(file.clone()))?;
        let stamp = AuthorityTimestamp::read(&response).map_err(|why| (file.clone(), why))?;
        if checkpoint.is_none_or(|bytes| stamp.imprint != <[u8; 32]>::from(Sha256::digest(&bytes))) {
            return Err((file, TimestampError::Imprint));
        }
        let stamps = report.map_or(0, |report| report.stamps) + 1;
        report =
            Some(TimestampReport { stamps, checkpoint: number, time: stamp.time, signature_checked: false });
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64ct::{Base64, Encoding as _};
    use proptest::prelude::*;

    /// The answer of `openssl ts -reply`, version 3.0.19, to `openssl ts -query -sha256 -no_nonce` over
    /// [`DATA`].
    const ANSWER: &str = "\
        MIICCjADAgEAMIICAQYJKoZIhvcNAQcCoIIB8jCCAe4CAQMxDzANBglghkgBZQMEAgEFADCBjAYLKoZIhvcNAQkQAQ\
        SgfQR7MHkCAQEGBCoDBAEwMTANBglghkgBZQMEAgEFAAQgOCuuilqpXNTbU7nU7VyAhi/ac9Zvn0b4oEt+/3uQ0Z4C\
        AQIYDzIwMjYxMTIxMTU1MDI1WjADAgEBAQH/oB+kHTAbMRkwFwYDVQQDDBBhIHRlc3QgYXV0aG9yaXR5MYIBRzCCAU\
        MCAQEwMzAbMRkwFwYDVQQDDBBhIHRlc3QgYXV0aG9yaXR5AhRtUBfolVhdL59V3IkZHk4PVgbaAjANBglghkgBZQME\
        AgEFAKCBpDAaBgkqhkiG9w0BCQMxDQYLKoZIhvcNAQkQAQQwHAYJKoZIhvcNAQkFMQ8XDTI2MTEyMTE1NTAyNVowLw\
        YJKoZIhvcNAQkEMSIEIJGG0KMz30krIRJmDSTp7prYcnsmmdPQ0bvzX7F1JlyfMDcGCyqGSIb3DQEJEAIvMSgwJjAk\
        MCIEIPn1RJe5T8E6UtfVl+I5oJHSKQhp/kkTbxjTH6AXmufoMAoGCCqGSM49BAMCBEcwRQIgLosjXqB68I0chOJt+O\
        SbleFjEDGUZFWKru/Xs/TWAkQCIQCTwlXgppjtcPp4MpAKPeziBa7LT0jvMmbIJu1Ql/YXyA==";
    const DATA: &[u8] = b"stamped by an authority";

    fn answer() -> Vec<u8> {
        Base64::decode_vec(ANSWER).unwrap()
    }

    #[test]
    fn the_answer_of_another_implementation_is_read() {
        let stamp = AuthorityTimestamp::read(&answer()).unwrap();
        let imprint: [u8; 32] = Sha256::digest(DATA).into();
        assert_eq!((stamp.time, stamp.imprint, &stamp.nonce), (1_795_276_225, imprint, &None));
        assert_eq!(TimestampQuery::new(DATA, 7).check(&answer()), Err(TimestampError::Nonce));
        assert_eq!(TimestampQuery::new(b"something else", 7).check(&answer()), Err(TimestampError::Imprint));
    }

    #[test]
    fn the_bytes_of_a_request_are_stable() {
        let der = TimestampQuery::new(DATA, 0x1234).to_der().unwrap();
        let request = TimeStampReq::from_der(&der).unwrap();
        assert_eq!(request.message_imprint.hashed_message.as_bytes(), &Sha256::digest(DATA)[..]);
        assert_eq!(request.nonce.unwrap().as_bytes(), (0x091a_u64 | 1 << 62).to_be_bytes());
        assert!(request.cert_req);
        assert_eq!((der.len(), &der[..5]), (69, &[0x30, 67, 0x02, 0x01, 0x01][..]));
    }

    #[test]
    fn a_refusal_of_the_authority_is_reported() {
        // TimeStampResp with status 2 and no token.
        assert_eq!(AuthorityTimestamp::read(&[0x30, 5, 0x30, 3, 2, 1, 2]), Err(TimestampError::Refused(2)));
    }

    proptest! {
        #[test]
        fn a_cut_answer_is_refused_and_no_altered_byte_makes_it_panic(cut in 0..520_usize, at in 0..520_usize, bits in 1..=255_u8) {
            let whole = answer();
            let cut = cut.min(whole.len() - 1);
            prop_assert!(AuthorityTimestamp::read(&whole[..cut]).is_err());
            let mut altered = whole.clone();
            let at = at % altered.len();
            altered[at] ^= bits;
            let _ = AuthorityTimestamp::read(&altered);
        }
    }
}
