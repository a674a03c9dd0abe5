//! Rotation of keys: one key hands over to the next one by an event on the log that it signed.
//!
//! ```text
//!  events          ······················R····]··················]
//!  checkpoints     K0 ] K0         ]       K0 ] K1               ]      R: KeyRotated, K0 to K1
//! ```
//!
//! The event has both keys, and the old key's signature over a text of four lines: `stele key rotation`, the
//! log's origin, the old key and the new key, both as `name+id+base64`. A rotation keeps the key's name.
//!
//! The rule: the first checkpoint over the event may be signed by either key, every later one by the new key.
//! So the event comes after the second-to-last checkpoint of the old key and is under the first checkpoint of
//! the new key; that is where it is looked for. A later holder of the old key can add nothing after it. From
//! the old key, the new one follows by the old key's signature; from the new key, the old one follows because
//! the event is under a checkpoint of the new key.

use super::note::{KeyKind, Signer, VerifierKey};
use stele_journal::{TrailError, TrailReader};
use stele_wire::messages::KeyRotated;
use stele_wire::{Frame, Nanos, Sequence};
use zerocopy::little_endian::{U32, U64};

/// A rotation as recorded on the log; its signature is not checked yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyRotation {
    /// Sequence of the event.
    pub sequence: Sequence,
    /// The bytes of the old key.
    pub old: [u8; 32],
    /// The bytes of the new key.
    pub new: [u8; 32],
    signature: [u8; 64],
}

impl KeyRotation {
    /// Reads the rotation that an event records; `None` for any other event.
    #[inline]
    pub fn read(frame: &Frame<'_>) -> Option<Self> {
        if frame.template_id() != KeyRotated::TEMPLATE_ID {
            return None;
        }
        let event = frame.message::<KeyRotated>()?;
        let (old, new, signature) = (event.old_key, event.new_key, event.signature);
        Some(Self { sequence: frame.sequence(), old, new, signature })
    }

    /// The new key for log `origin`, if `old` is the old key and signed this rotation.
    pub fn successor(&self, old: &VerifierKey, origin: &str) -> Option<VerifierKey> {
        let new = VerifierKey::new(old.name(), KeyKind::Log, &self.new).ok()?;
        let is_signed = || old.signed_bytes(text(origin, old, &new).as_bytes(), &self.signature);
        (old.bytes() == self.old && is_signed()).then_some(new)
    }

    /// The old key for log `origin`, if `new` is the new key.
    pub fn predecessor(&self, new: &VerifierKey, origin: &str) -> Option<VerifierKey> {
        let old = VerifierKey::new(new.name(), KeyKind::Log, &self.old).ok()?;
        (self.successor(&old, origin).as_ref() == Some(new)).then_some(old)
    }
}

/// The text that the old key signs.
fn text(origin: &str, old: &VerifierKey, new: &VerifierKey) -> String {
    format!("stele key rotation\n{origin}\n{old}\n{new}\n")
}

/// Makes the event by which `old` hands over to `new` on log `origin` at `effective`, by party `person`,
/// approved by party `approved_by` (0 for none).
///
/// # Panics
/// When the two keys have different names, or are the same.
pub fn rotation(
    origin: &str,
    old: &Signer,
    new: &VerifierKey,
    effective: Nanos,
    person: u32,
    approved_by: u32,
) -> KeyRotated {
    assert_eq!(old.public().name(), new.name(), "a rotation keeps the key's name");
    assert_ne!(old.public(), new, "a key hands over to another key");
    KeyRotated {
        effective: U64::new(effective.0),
        old_key: old.public().bytes(),
        new_key: new.bytes(),
        person: U32::new(person),
        approved_by: U32::new(approved_by),
        signature: old.sign_bytes(text(origin, old.public(), new).as_bytes()),
        ..KeyRotated::NULL
    }
}

/// The rotations in the events after `after` up to and including `to`, in order, and the last event that
/// could be read. A trail that begins later or ends earlier has fewer.
pub(super) fn rotations_between(
    reader: &mut TrailReader,
    after: u64,
    to: u64,
) -> Result<(Vec<KeyRotation>, u64), TrailError> {
    match reader.seek(Sequence(after.saturating_add(1))) {
        Err(TrailError::NotFound { sequence, first, .. }) if sequence < first => reader.seek(first)?,
        Err(TrailError::NotFound { last, .. }) => return Ok((Vec::new(), last.0)),
        sought => sought?,
    }
    let (mut found, mut last) = (Vec::new(), after);
    while last < to
        && let Some(entry) = reader.read_next()?
    {
        last = entry.frame.sequence().0;
        found.extend(KeyRotation::read(&entry.frame));
    }
    Ok((found, last))
}

/// The keys that took over from `key`, one after the other, the next one first.
pub(super) fn successors(rotations: &[KeyRotation], key: &VerifierKey, origin: &str) -> Vec<VerifierKey> {
    let mut line: Vec<VerifierKey> = Vec::new();
    for rotation in rotations {
        line.extend(rotation.successor(line.last().unwrap_or(key), origin));
    }
    line
}

/// The keys from which `key` took over, one after the other, the latest one first.
pub(super) fn predecessors(rotations: &[KeyRotation], key: &VerifierKey, origin: &str) -> Vec<VerifierKey> {
    let mut line: Vec<VerifierKey> = Vec::new();
    for rotation in rotations.iter().rev() {
        line.extend(rotation.predecessor(line.last().unwrap_or(key), origin));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use stele_wire::Identity;
    use stele_wire::frame::{frame_length, seal};
    use stele_wire::units::{Epoch, ShardId, TrailId};
    use zerocopy::IntoBytes as _;

    const ORIGIN: &str = "stele.internal/00/0";

    fn signer(seed: u8) -> Signer {
        Signer::new("bank.example/stele", KeyKind::Log, &[seed; 32]).unwrap()
    }

    fn read(event: &KeyRotated) -> KeyRotation {
        let (old, new, signature) = (event.old_key, event.new_key, event.signature);
        KeyRotation { sequence: Sequence(9), old, new, signature }
    }

    fn rotated(old: u8, new: u8) -> KeyRotation {
        read(&rotation(ORIGIN, &signer(old), signer(new).public(), Nanos(1), 7, 0))
    }

    #[test]
    fn a_rotation_leads_from_either_key_to_the_other_only_on_its_own_log() {
        let (old, new) = (signer(1), signer(2));
        let rotated = rotated(1, 2);
        assert_eq!(rotated.successor(old.public(), ORIGIN).as_ref(), Some(new.public()));
        assert_eq!(rotated.predecessor(new.public(), ORIGIN).as_ref(), Some(old.public()));
        assert_eq!(rotated.successor(new.public(), ORIGIN), None);
        assert_eq!(rotated.predecessor(old.public(), ORIGIN), None);
        assert_eq!(rotated.successor(old.public(), "stele.internal/00/1"), None);
        let renamed = Signer::new("bank.example/other", KeyKind::Log, &[1; 32]).unwrap();
        assert_eq!(rotated.successor(renamed.public(), ORIGIN), None);
    }

    #[test]
    fn a_rotation_that_the_old_key_did_not_sign_leads_nowhere() {
        let (old, stranger) = (signer(1), signer(3));
        let good = rotated(1, 2);
        let forged = KeyRotation { new: stranger.public().bytes(), ..good };
        assert_eq!(forged.successor(old.public(), ORIGIN), None);
        assert_eq!(forged.predecessor(stranger.public(), ORIGIN), None);
        let mut altered = good;
        altered.signature[5] ^= 1;
        assert_eq!(altered.successor(old.public(), ORIGIN), None);
        // The stranger signed a rotation of the stranger's own key.
        let usurped = KeyRotation { old: old.public().bytes(), ..rotated(3, 2) };
        assert_eq!(usurped.successor(old.public(), ORIGIN), None);
    }

    #[test]
    fn a_chain_of_keys_is_followed_past_unrelated_rotations() {
        let rotations = [rotated(1, 2), rotated(5, 6), rotated(1, 2), rotated(2, 3), rotated(3, 4)];
        let names = |keys: Vec<VerifierKey>| keys.iter().map(VerifierKey::bytes).collect::<Vec<_>>();
        let bytes =
            |seeds: &[u8]| seeds.iter().map(|seed| signer(*seed).public().bytes()).collect::<Vec<_>>();
        assert_eq!(names(successors(&rotations, signer(1).public(), ORIGIN)), bytes(&[2, 3, 4]));
        assert_eq!(names(predecessors(&rotations, signer(4).public(), ORIGIN)), bytes(&[3, 2, 1]));
        assert_eq!(names(successors(&rotations, signer(4).public(), ORIGIN)), bytes(&[]));
    }

    #[test]
    fn only_a_key_rotated_event_is_read_as_a_rotation() {
        let identity = Identity { trail: TrailId([1; 16]), shard: ShardId(0), epoch: Epoch(1) };
        let event = rotation(ORIGIN, &signer(1), signer(2).public(), Nanos(1), 7, 0);
        let mut frame = vec![0; frame_length(event.as_bytes().len())];
        let length = frame.len() as u16;
        frame[4..6].copy_from_slice(&length.to_le_bytes());
        frame[7] = stele_wire::bounds::FRAME_VERSION;
        frame[8..16].copy_from_slice(&9u64.to_le_bytes());
        for (at, value) in [144, KeyRotated::TEMPLATE_ID, 1, 1].into_iter().enumerate() {
            frame[24 + 2 * at..26 + 2 * at].copy_from_slice(&value.to_le_bytes());
        }
        frame[32..32 + event.as_bytes().len()].copy_from_slice(event.as_bytes());
        seal(&mut frame, identity.seed());
        assert_eq!(KeyRotation::read(&Frame::read(&frame).unwrap()), Some(rotated(1, 2)));
        frame[26] ^= 1;
        assert_eq!(KeyRotation::read(&Frame::read(&frame).unwrap()), None);
    }
}
