//! The Merkle tree of RFC 6962: its frontier, proofs from stored nodes, and the verification of proofs.

use super::hash::Hash;
use std::fmt;

/// The maximum number of leaves of a tree.
pub const SIZE_MAX: u64 = 1 << 62;

/// The frontier of a tree: the roots of the complete subtrees that its leaves form.
///
/// ```text
///  size 11 = 0b1011      ┌──────── 8 ────────┐ ┌ 2 ┐ 1
///  nodes[3], nodes[1], nodes[0]: there is a node of height h where bit h of the size is set
/// ```
///
/// Appending a leaf costs one node hash on average; the root costs one for each set bit.
///
/// # Examples
///
/// ```
/// use stele_compliance::seal::Hash;
/// use stele_compliance::seal::tree::Frontier;
///
/// let mut frontier = Frontier::default();
/// assert_eq!(frontier.root(), Hash::EMPTY_TREE);
/// let (first, second) = (Hash::leaf(b"first"), Hash::leaf(b"second"));
/// frontier.append(first);
/// frontier.append(second);
/// assert_eq!((frontier.size(), frontier.root()), (2, Hash::node(first, second)));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frontier {
    size: u64,
    nodes: [Hash; 63],
}

impl Default for Frontier {
    fn default() -> Self {
        Self { size: 0, nodes: [Hash::default(); 63] }
    }
}

impl Frontier {
    /// Makes a frontier from its complete subtrees, the largest first; `None` when their number does not
    /// match the size.
    pub fn restore(size: u64, subtrees: &[Hash]) -> Option<Self> {
        if size > SIZE_MAX || subtrees.len() != size.count_ones() as usize {
            return None;
        }
        let mut frontier = Self { size, ..Self::default() };
        let heights = (0..63).rev().filter(|height| size >> height & 1 == 1);
        heights.zip(subtrees).for_each(|(height, hash)| frontier.nodes[height as usize] = *hash);
        Some(frontier)
    }

    /// The roots of the complete subtrees, the largest first: together with the size, the arguments of
    /// [`Self::restore`].
    pub fn subtrees(&self) -> Vec<Hash> {
        let heights = (0..63).rev().filter(|height| self.size >> height & 1 == 1);
        heights.map(|height: u32| self.nodes[height as usize]).collect()
    }

    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    #[inline]
    pub fn append(&mut self, leaf: Hash) {
        self.append_subtree(leaf, 0);
    }

    /// Appends 2^`height` leaves, given by their root.
    ///
    /// # Panics
    /// When the size is not a multiple of that number, or would exceed [`SIZE_MAX`].
    #[inline]
    pub fn append_subtree(&mut self, root: Hash, height: u32) {
        let leaves = 1u64 << height;
        assert!(
            self.size.is_multiple_of(leaves),
            "a subtree of {leaves} leaves cannot begin at {}",
            self.size
        );
        assert!(self.size <= SIZE_MAX - leaves, "the tree is full");
        let (mut hash, mut at) = (root, height as usize);
        while self.size >> at & 1 == 1 {
            hash = Hash::node(self.nodes[at], hash);
            at += 1;
        }
        self.nodes[at] = hash;
        self.size += leaves;
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let mut heights =
            (0..63).filter(|height| self.size >> height & 1 == 1).map(|height: usize| self.nodes[height]);
        let Some(lowest) = heights.next() else { return Hash::EMPTY_TREE };
        heights.fold(lowest, |right, left| Hash::node(left, right))
    }
}

/// The source of a tree's nodes for proofs.
pub trait Nodes {
    /// Why a node is unavailable.
    type Error;

    /// The root of the complete subtree over 2^`height` leaves, starting at leaf `index` · 2^`height`.
    ///
    /// # Errors
    /// When the node is unavailable.
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root over leaves `begin` to `end`. `begin` is a multiple of the power of two at or above their number.
///
/// # Errors
/// Those of `nodes`.
pub fn range_root<N: Nodes>(nodes: &mut N, begin: u64, end: u64) -> Result<Hash, N::Error> {
    if begin == end {
        return Ok(Hash::EMPTY_TREE);
    }
    let leaves = end - begin;
    if leaves.is_power_of_two() {
        let height = leaves.trailing_zeros();
        return nodes.node(height, begin >> height);
    }
    let split = begin + split_of(leaves);
    Ok(Hash::node(range_root(nodes, begin, split)?, range_root(nodes, split, end)?))
}

/// Makes the proof that leaf `index` is in the tree of `size` leaves: RFC 6962, section 2.1.1.
///
/// # Errors
/// Those of `nodes`.
///
/// # Panics
/// When the tree has no such leaf.
pub fn prove_inclusion<N: Nodes>(nodes: &mut N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(index < size, "a tree of {size} leaves has no leaf {index}");
    let (mut begin, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - begin > 1 {
        let split = begin + split_of(end - begin);
        if index < split {
            proof.push(range_root(nodes, split, end)?);
            end = split;
        } else {
            proof.push(range_root(nodes, begin, split)?);
            begin = split;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Makes the proof that the tree of `new` leaves extends the tree of `old` leaves: RFC 6962, section 2.1.2.
///
/// # Errors
/// Those of `nodes`.
///
/// # Panics
/// When `old` is 0 or above `new`.
pub fn prove_consistency<N: Nodes>(nodes: &mut N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(0 < old && old <= new, "a tree of {new} leaves cannot extend one of {old}");
    let (mut begin, mut end) = (0, new);
    let mut proof = Vec::new();
    while end != old {
        let split = begin + split_of(end - begin);
        if old <= split {
            proof.push(range_root(nodes, split, end)?);
            end = split;
        } else {
            proof.push(range_root(nodes, begin, split)?);
            begin = split;
        }
    }
    if begin > 0 {
        proof.push(range_root(nodes, begin, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The largest power of two below `leaves`, which is at least 2.
fn split_of(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// Why a proof is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProofError {
    /// The tree has no such leaf.
    NoSuchLeaf {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// Consistency cannot be proved for an empty old tree, or for one larger than the new tree.
    Sizes {
        /// The old tree's size.
        old: u64,
        /// The new tree's size.
        new: u64,
    },
    /// The number of hashes does not match the sizes.
    Length {
        /// Number of hashes for these sizes.
        expected: usize,
        /// Number of hashes in the proof.
        found: usize,
    },
    /// The hashes give another root.
    Root {
        /// The root to be proved.
        expected: Hash,
        /// The root that the hashes give.
        found: Hash,
    },
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchLeaf { index, size } => write!(f, "a tree of {size} leaves has no leaf {index}"),
            Self::Sizes { old, new } => write!(f, "a tree of {new} leaves cannot extend one of {old}"),
            Self::Length { expected, found } => {
                write!(f, "the proof has {found} hashes, but the sizes require {expected}")
            }
            Self::Root { expected, found } => write!(f, "the proof gives root {found}, not {expected}"),
        }
    }
}

impl std::error::Error for ProofError {}

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with this root: RFC 9162, section 2.1.3.2.
///
/// # Errors
/// [`ProofError`].
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: Hash,
    root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let inner = (index ^ (size - 1)).checked_ilog2().map_or(0, |bit| bit + 1);
    let border = (index >> inner).count_ones();
    check_length((inner + border) as usize, proof.len())?;
    let (lower, upper) = proof.split_at(inner as usize);
    let mut found = leaf;
    for (height, sibling) in lower.iter().enumerate() {
        found =
            if index >> height & 1 == 1 { Hash::node(*sibling, found) } else { Hash::node(found, *sibling) };
    }
    found = upper.iter().fold(found, |right, left| Hash::node(*left, right));
    check_root(root, found)
}

/// Checks that the tree of `new` leaves with `new_root` extends the one of `old` leaves with `old_root`: RFC
/// 9162, section 2.1.4.2. Size 0 is refused: every tree extends the empty one, so a proof of it has no
/// meaning.
///
/// # Errors
/// [`ProofError`].
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: Hash,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old == 0 || old > new {
        return Err(ProofError::Sizes { old, new });
    }
    if old == new {
        check_length(0, proof.len())?;
        return check_root(old_root, new_root);
    }
    // The proof begins at the largest complete subtree that ends the old tree; when that is the whole old
    // tree, its root is known and omitted.
    let shift = old.trailing_zeros();
    let last = (old - 1) >> shift;
    let inner = (last ^ ((new - 1) >> shift)).checked_ilog2().map_or(0, |bit| bit + 1);
    let border = (last >> inner).count_ones();
    let is_whole = old.is_power_of_two();
    check_length((inner + border) as usize + usize::from(!is_whole), proof.len())?;
    let (seed, path) = if is_whole { (old_root, proof) } else { (proof[0], &proof[1..]) };
    let (lower, upper) = path.split_at(inner as usize);
    let (mut before, mut after) = (seed, seed);
    for (height, sibling) in lower.iter().enumerate() {
        if last >> height & 1 == 1 {
            before = Hash::node(*sibling, before);
            after = Hash::node(*sibling, after);
        } else {
            after = Hash::node(after, *sibling);
        }
    }
    for left in upper {
        before = Hash::node(*left, before);
        after = Hash::node(*left, after);
    }
    check_root(old_root, before)?;
    check_root(new_root, after)
}

fn check_length(expected: usize, found: usize) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Length { expected, found }) }
}

fn check_root(expected: Hash, found: Hash) -> Result<(), ProofError> {
    if expected == found { Ok(()) } else { Err(ProofError::Root { expected, found }) }
}

#[cfg(test)]
mod tests;
