//! The body of an `add-checkpoint` request.
//!
//! ```text
//!  old 20852014                                       leaves under the checkpoint that the witness has
//!  PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=       consistency proof, at most 63 hashes
//!  …
//!
//!  the checkpoint, verbatim
//! ```

use crate::seal::checkpoint::read_decimal;
use crate::seal::{Hash, SignedCheckpoint};
use std::fmt;

/// The maximum number of hashes of a consistency proof.
pub const PROOF_MAX: usize = 63;
/// The longest body that is read, in bytes: a proof, and a checkpoint with the maximum number of signatures.
pub const BODY_LENGTH_MAX: usize = 64 << 10;

/// An `add-checkpoint` request: see the [module documentation](self).
///
/// # Examples
///
/// ```
/// use stele_compliance::witness::WitnessRequest;
///
/// let error = WitnessRequest::parse("no request").unwrap_err();
/// assert_eq!(error.to_string(), "this is not an add-checkpoint request: there is no blank line");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WitnessRequest {
    /// Number of leaves under the checkpoint that the witness has; 0 for none.
    pub old: u64,
    /// The proof that the new tree extends the one of `old` leaves; empty when `old` is 0.
    pub proof: Vec<Hash>,
    /// The checkpoint to be cosigned.
    pub checkpoint: SignedCheckpoint,
}

/// Why a body is not a valid request.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not an add-checkpoint request: {0}")]
pub struct InvalidRequest(pub String);

impl WitnessRequest {
    /// Reads a body, without checking the proof or signatures.
    ///
    /// # Errors
    /// [`InvalidRequest`].
    pub fn parse(body: &str) -> Result<Self, InvalidRequest> {
        let bad = |why: &str| InvalidRequest(why.into());
        let (head, checkpoint) = body.split_once("\n\n").ok_or_else(|| bad("there is no blank line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(read_decimal);
        let old = old.ok_or_else(|| bad("its first line is not `old` and a size"))?;
        let proof: Option<Vec<Hash>> = lines.map(Hash::from_base64).collect();
        let proof = proof.ok_or_else(|| bad("a line of the proof is not the base64 of 32 bytes"))?;
        if proof.len() > PROOF_MAX {
            return Err(bad("its proof has more than 63 hashes"));
        }
        let checkpoint =
            SignedCheckpoint::parse(checkpoint).map_err(|error| InvalidRequest(error.to_string()))?;
        Ok(Self { old, proof, checkpoint })
    }
}

/// Writes the body.
impl fmt::Display for WitnessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of the specification.
    const EXAMPLE: &str = "old 20852014\n\
        PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
        jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
        5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
        /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\n\
        example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

    #[test]
    fn the_example_of_the_specification_is_read_and_written_unchanged() {
        let request = WitnessRequest::parse(EXAMPLE).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert_eq!(request.checkpoint.unchecked().size, 20_852_163);
        assert_eq!(request.checkpoint.note().signatures.len(), 2);
        assert_eq!(request.to_string(), EXAMPLE);
    }

    #[test]
    fn a_malformed_request_is_refused() {
        let hash = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n";
        let bad = [
            String::new(),
            EXAMPLE.replace("old 20852014", "old 020852014"),
            EXAMPLE.replace("old 20852014", "new 20852014"),
            EXAMPLE.replace("old 20852014", "old  20852014"),
            EXAMPLE.replace("old 20852014", "old 99999999999999999999999"),
            EXAMPLE.replace("PlRN", "PlR"),
            EXAMPLE.replace(hash, &hash.repeat(61)),
            EXAMPLE.replace("\n\nexample", "\nexample"),
            EXAMPLE.trim_end().to_owned(),
        ];
        for body in bad {
            assert!(WitnessRequest::parse(&body).is_err(), "{body}");
        }
        assert!(WitnessRequest::parse(&EXAMPLE.replace(hash, &hash.repeat(60))).is_ok());
    }

    proptest! {
        #[test]
        fn no_altered_request_makes_it_panic_and_what_is_read_is_written_as_it_was(
            at in 0..EXAMPLE.len(),
            letter in any::<char>(),
        ) {
            let at = EXAMPLE.floor_char_boundary(at);
            let end = EXAMPLE.ceil_char_boundary(at + 1);
            let altered = format!("{}{letter}{}", &EXAMPLE[..at], &EXAMPLE[end..]);
            if let Ok(request) = WitnessRequest::parse(&altered) {
                prop_assert_eq!(request.to_string(), altered);
            }
        }
    }
}
