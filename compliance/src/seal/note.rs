//! Signed notes: a text, an empty line, and lines with signatures of the text. C2SP signed-note v1.0.0 and,
//! for the witnesses' timestamped signatures, tlog-cosignature v1.1.0 (Ed25519).
//!
//! ```text
//!  text, one or more lines, each ended by a newline
//!                                                              an empty line
//!  — name base64(key id, 4 bytes ‖ signature)                  one or more of these
//! ```

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// The number of signatures in a note that is read. The specification requires at least 16.
pub const SIGNATURES_MAX: usize = 64;

/// The prefix of a private key's text form.
const SIGNER_PREFIX: &str = "PRIVATE+KEY+";

/// What a key signs. The number is the specification's signature type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyKind {
    /// Ed25519 over the text: the key of a log.
    Log = 0x01,
    /// Ed25519 over a time and the text: the key of a witness, `cosignature/v1`.
    Witness = 0x04,
}

impl KeyKind {
    fn of(byte: u8) -> Option<Self> {
        [Self::Log, Self::Witness].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why a note or a key is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoteError {
    /// The text is not a signed note.
    #[error("this is not a signed note: {0}")]
    Malformed(&'static str),
    /// The text is not a key.
    #[error("this is not a key: {0}")]
    NotAKey(&'static str),
    /// The name of a key is empty or contains a space or a plus sign.
    #[error("`{0}` is not a valid name of a key: it must not be empty or contain spaces or `+`")]
    Name(String),
    /// There is no signature of the key.
    #[error("it is not signed by {name} (key {id})", id = hex(id))]
    NotSigned {
        /// Name of the key.
        name: String,
        /// Id of the key.
        id: [u8; 4],
    },
    /// The signature of the key is invalid.
    #[error("the signature of {name} (key {id}) does not match the text", id = hex(id))]
    Signature {
        /// Name of the key.
        name: String,
        /// Id of the key.
        id: [u8; 4],
    },
}

/// A public key with its name; as text, `name+id+base64`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Makes a key of this name and kind.
    ///
    /// # Errors
    /// [`NoteError::Name`] and [`NoteError::NotAKey`].
    pub fn new(name: &str, kind: KeyKind, key: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key =
            VerifyingKey::from_bytes(key).map_err(|_| NoteError::NotAKey("not a point of the curve"))?;
        Ok(Self { name: name.to_owned(), kind, key })
    }

    /// The name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The 32 bytes of the public key.
    pub fn bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The key id: the first four bytes of SHA-256 over name, newline, kind and key.
    pub fn id(&self) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_bytes());
        hasher.update([b'\n', self.kind as u8]);
        hasher.update(self.key.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether `signature` is this key's signature over bytes without a note, as made by
    /// [`Signer::sign_bytes`].
    pub fn signed_bytes(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(bytes, &Signature::from_bytes(signature)).is_ok()
    }

    /// Checks one signature over `text`; for a witness, returns the time that it states, in seconds since
    /// 1970.
    fn check(&self, text: &str, signature: &[u8]) -> Result<Option<u64>, NoteError> {
        let failed = || NoteError::Signature { name: self.name.clone(), id: self.id() };
        let (time, signature, message) = match self.kind {
            KeyKind::Log => (None, signature, text.to_owned()),
            KeyKind::Witness => {
                let (time, signature) = signature.split_first_chunk().ok_or_else(failed)?;
                let time = u64::from_be_bytes(*time);
                (Some(time), signature, cosigned_text(time, text))
            }
        };
        let signature = Signature::from_slice(signature).map_err(|_| failed())?;
        self.key.verify_strict(message.as_bytes(), &signature).map_err(|_| failed())?;
        match time {
            Some(time) if i64::try_from(time).is_err() => Err(failed()),
            time => Ok(time),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), typed_base64(self.kind, self.key.as_bytes()))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, id, kind, bytes) = split_key(text)?;
        let key = Self::new(name, kind, &bytes)?;
        if hex(&key.id()) != id {
            return Err(NoteError::NotAKey("its id does not match its name and bytes"));
        }
        Ok(key)
    }
}

/// A private key with its name.
///
/// # Examples
///
/// ```
/// use stele_compliance::seal::note::{KeyKind, Note};
/// use stele_compliance::seal::Signer;
///
/// let signer = Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap();
/// let text = "a statement\n";
/// let note = Note::new(text.into(), vec![signer.sign(text, 0)]).unwrap();
/// assert_eq!(note.check(signer.public()), Ok(None));
///
/// let altered = Note::parse(&note.to_string().replace("statement", "falsehood")).unwrap();
/// assert!(altered.check(signer.public()).is_err());
/// ```
#[derive(Clone)]
pub struct Signer {
    public: VerifierKey,
    key: SigningKey,
}

impl Signer {
    /// Makes the key with this name, kind and seed.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        Ok(Self { public: VerifierKey::new(name, kind, key.verifying_key().as_bytes())?, key })
    }

    /// The public key.
    pub fn public(&self) -> &VerifierKey {
        &self.public
    }

    /// The private seed.
    pub fn seed(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The private key as text, `PRIVATE+KEY+name+id+base64`, which other tools for signed notes read.
    pub fn to_secret_text(&self) -> String {
        let public = &self.public;
        let secret = typed_base64(public.kind, self.seed());
        format!("{SIGNER_PREFIX}{}+{}+{secret}", public.name, hex(&public.id()))
    }

    /// Reads a key in the form of [`Self::to_secret_text`].
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn from_secret_text(text: &str) -> Result<Self, NoteError> {
        let rest = text
            .strip_prefix(SIGNER_PREFIX)
            .ok_or(NoteError::NotAKey("it does not begin with PRIVATE+KEY+"))?;
        let (name, id, kind, seed) = split_key(rest)?;
        let signer = Self::new(name, kind, &seed)?;
        if hex(&signer.public.id()) != id {
            return Err(NoteError::NotAKey("its id does not match its name and bytes"));
        }
        Ok(signer)
    }

    /// Signs `text`. A witness states `time`, in seconds since 1970; a log ignores it.
    pub fn sign(&self, text: &str, time: u64) -> NoteSignature {
        let bytes = match self.public.kind {
            KeyKind::Log => self.key.sign(text.as_bytes()).to_bytes().to_vec(),
            KeyKind::Witness => {
                let signature = self.key.sign(cosigned_text(time, text).as_bytes());
                [&time.to_be_bytes()[..], &signature.to_bytes()].concat()
            }
        };
        NoteSignature { name: self.public.name.clone(), id: self.public.id(), bytes }
    }

    /// Signs any bytes with the bare key, without a note.
    pub fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public)
    }
}

/// One signature line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub id: [u8; 4],
    /// The signature, in the form of the key's kind.
    pub bytes: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blob = [&self.id[..], &self.bytes].concat();
        write!(f, "\u{2014} {} {}", self.name, Base64::encode_string(&blob))
    }
}

/// A text and its signatures, which are not checked yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    text: String,
    /// The signatures.
    pub signatures: Vec<NoteSignature>,
}

impl Note {
    /// Makes the note of `text` with these signatures.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] when the text does not end in a newline or has control characters.
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end in a newline"));
        }
        if text.chars().any(|character| character < ' ' && character != '\n') {
            return Err(NoteError::Malformed("there is a control character in the text"));
        }
        if signatures.is_empty() || signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Malformed("there is no signature, or there are too many"));
        }
        Ok(Self { text, signatures })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let blank = note.rfind("\n\n").ok_or(NoteError::Malformed("there is no blank line"))?;
        let (text, lines) = (&note[..=blank], &note[blank + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed("the last line is incomplete"))?;
        let signatures = lines.split('\n').map(read_signature).collect::<Result<_, _>>()?;
        Self::new(text.to_owned(), signatures)
    }

    /// The text, including its final newline. It is not trustworthy before [`Self::check`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether there is a signature line with the name and id of `key`.
    pub fn names(&self, key: &VerifierKey) -> bool {
        let id = key.id();
        self.signatures.iter().any(|line| line.name == key.name && line.id == id)
    }

    /// Checks that `key` signed the text; for a witness, returns the time that it stated, in seconds since
    /// 1970. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`]; [`NoteError::Signature`] when a signature line of the key is invalid.
    pub fn check(&self, key: &VerifierKey) -> Result<Option<u64>, NoteError> {
        let id = key.id();
        let mut outcome = Err(NoteError::NotSigned { name: key.name.clone(), id });
        for signature in self.signatures.iter().filter(|line| line.name == key.name && line.id == id) {
            outcome = Ok(key.check(&self.text, &signature.bytes)?);
        }
        outcome
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

fn read_signature(line: &str) -> Result<NoteSignature, NoteError> {
    let malformed = NoteError::Malformed("a signature is not of the form `— name base64`");
    let rest = line.strip_prefix("\u{2014} ").ok_or(malformed.clone())?;
    let (name, blob) = rest.split_once(' ').ok_or(malformed.clone())?;
    check_name(name).map_err(|_| malformed.clone())?;
    let blob = Base64::decode_vec(blob).map_err(|_| malformed.clone())?;
    let (id, bytes) = blob.split_first_chunk().filter(|(_, bytes)| !bytes.is_empty()).ok_or(malformed)?;
    Ok(NoteSignature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
}

/// Splits a key's text into name, id in hexadecimal, kind and bytes.
fn split_key(text: &str) -> Result<(&str, &str, KeyKind, [u8; 32]), NoteError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::NotAKey("it is not of the form name+id+base64"));
    };
    let data = Base64::decode_vec(data).map_err(|_| NoteError::NotAKey("its last part is not base64"))?;
    let (kind, bytes) = data.split_first().ok_or(NoteError::NotAKey("it is empty"))?;
    let kind = KeyKind::of(*kind).ok_or(NoteError::NotAKey("it is of an algorithm other than Ed25519"))?;
    let bytes = bytes.try_into().map_err(|_| NoteError::NotAKey("an Ed25519 key has 32 bytes"))?;
    Ok((name, id, kind, bytes))
}

fn typed_base64(kind: KeyKind, bytes: &[u8; 32]) -> String {
    Base64::encode_string(&[&[kind as u8], &bytes[..]].concat())
}

fn cosigned_text(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn check_name(name: &str) -> Result<(), NoteError> {
    if name.is_empty()
        || name
            .chars()
            .any(|character| character.is_whitespace() || character.is_control() || character == '+')
    {
        return Err(NoteError::Name(name.to_owned()));
    }
    Ok(())
}

fn hex(id: &[u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use signed_note::{Note as TheirNote, StandardSigner, StandardVerifier, VerifierList};

    /// The example of C2SP's signed-note.
    const PUBLISHED_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const PUBLISHED_NOTE: &str = "This is an example message.\n\n\
        \u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    fn signer(kind: KeyKind) -> Signer {
        Signer::new("bank.example/stele", kind, &[7; 32]).unwrap()
    }

    fn note(kind: KeyKind) -> Note {
        let text = "a text\n\nof three lines\n".to_owned();
        let signature = signer(kind).sign(&text, 1_700_000_000);
        Note::new(text, vec![signature]).unwrap()
    }

    #[test]
    fn the_published_note_checks_under_the_published_key() {
        let key: VerifierKey = PUBLISHED_KEY.parse().unwrap();
        assert_eq!(key.to_string(), PUBLISHED_KEY);
        assert_eq!(Note::parse(PUBLISHED_NOTE).unwrap().check(&key), Ok(None));
        let altered = Note::parse(&PUBLISHED_NOTE.replace("example message", "other message")).unwrap();
        assert!(matches!(altered.check(&key), Err(NoteError::Signature { .. })));
    }

    #[test]
    fn a_note_survives_its_text_form_and_checks() {
        let note = note(KeyKind::Log);
        let read = Note::parse(&note.to_string()).unwrap();
        assert_eq!(read, note);
        assert_eq!(read.check(signer(KeyKind::Log).public()), Ok(None));
    }

    #[test]
    fn a_cosignature_states_its_time_and_covers_it() {
        let mut note = note(KeyKind::Witness);
        let key = signer(KeyKind::Witness).public().clone();
        assert_eq!(note.check(&key), Ok(Some(1_700_000_000)));
        note.signatures[0].bytes[7] ^= 1;
        assert!(matches!(note.check(&key), Err(NoteError::Signature { .. })));
    }

    #[test]
    fn the_published_cosignature_covers_the_time_before_its_signature() {
        let published = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
            \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
            \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
        let note = Note::parse(published).unwrap();
        assert_eq!(note.to_string(), published);
        let witness = &note.signatures[1];
        assert_eq!((witness.id, witness.bytes.len()), ([0x8d, 0x66, 0xcf, 0x3f], 72));
        assert_eq!(witness.bytes[..8], 1_679_315_147u64.to_be_bytes());
    }

    #[test]
    fn a_signature_over_another_text_or_by_another_key_is_refused() {
        let note = note(KeyKind::Log);
        let other = Note::parse(&note.to_string().replace("three", "four")).unwrap();
        let key = signer(KeyKind::Log).public().clone();
        assert!(matches!(other.check(&key), Err(NoteError::Signature { .. })));
        let stranger = Signer::new("bank.example/stele", KeyKind::Log, &[8; 32]).unwrap();
        assert!(matches!(note.check(stranger.public()), Err(NoteError::NotSigned { .. })));
        let renamed = Signer::new("bank.example/other", KeyKind::Log, &[7; 32]).unwrap();
        assert!(matches!(note.check(renamed.public()), Err(NoteError::NotSigned { .. })));
        let witness = signer(KeyKind::Witness);
        assert!(matches!(note.check(witness.public()), Err(NoteError::NotSigned { .. })));
    }

    #[test]
    fn keys_survive_their_text_forms() {
        for kind in [KeyKind::Log, KeyKind::Witness] {
            let signer = signer(kind);
            assert_eq!(signer.public().to_string().parse::<VerifierKey>().unwrap(), *signer.public());
            let secret = Signer::from_secret_text(&signer.to_secret_text()).unwrap();
            assert_eq!((secret.seed(), secret.public()), (signer.seed(), signer.public()));
        }
    }

    #[test]
    fn a_malformed_key_or_note_is_refused() {
        let key = signer(KeyKind::Log).public().to_string();
        let renamed = key.replace("bank", "benk");
        for text in ["", "a+b", &key[..key.len() - 4], &renamed, "a b+00000000+AQ=="] {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
        assert_eq!(Signer::new("a b", KeyKind::Log, &[1; 32]).unwrap_err(), NoteError::Name("a b".into()));
        let good = note(KeyKind::Log).to_string();
        let cut = &good[..good.len() - 1];
        let hyphen = good.replace('\u{2014}', "-");
        let tab = good.replace("a text", "a\ttext");
        for text in ["", "text\n", "text\n\n", cut, &hyphen, &tab] {
            assert!(matches!(Note::parse(text), Err(NoteError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn another_implementation_verifies_our_notes_and_we_verify_its() {
        let ours = note(KeyKind::Log);
        let key = signer(KeyKind::Log).public().to_string();
        let verifier = || VerifierList::new(vec![Box::new(StandardVerifier::new(&key).unwrap())]);
        let read = TheirNote::from_bytes(ours.to_string().as_bytes()).unwrap();
        let (verified, _) = read.verify(&verifier()).unwrap();
        assert_eq!(verified.len(), 1);
        let mut theirs = TheirNote::new(b"their text\n", &[]).unwrap();
        let signer = StandardSigner::new(&signer(KeyKind::Log).to_secret_text()).unwrap();
        theirs.add_sigs(&[&signer]).unwrap();
        let theirs = Note::parse(std::str::from_utf8(&theirs.to_bytes()).unwrap()).unwrap();
        assert_eq!(theirs.check(&key.parse().unwrap()), Ok(None));
    }
}
