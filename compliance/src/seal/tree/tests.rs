use super::*;
use base64ct::{Base64, Encoding as _};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use serde_json::Value;
use sha2::Sha256;
use std::path::{Path, PathBuf};

/// Every node by the definition: hashes of leaves, and a recursion.
struct Naive(Vec<Hash>);

impl Naive {
    fn of(count: u64) -> Self {
        Self((0..count).map(|number| Hash::leaf(&number.to_le_bytes())).collect())
    }

    fn root(&self, size: u64) -> Hash {
        fn root_of(leaves: &[Hash]) -> Hash {
            match leaves {
                [] => Hash::EMPTY_TREE,
                [leaf] => *leaf,
                _ => {
                    let (left, right) = leaves.split_at(split_of(leaves.len() as u64) as usize);
                    Hash::node(root_of(left), root_of(right))
                }
            }
        }
        root_of(&self.0[..size as usize])
    }
}

impl Nodes for Naive {
    type Error = ();

    fn node(&mut self, height: u32, index: u64) -> Result<Hash, ()> {
        let leaves = self.0.get((index << height) as usize..((index + 1) << height) as usize).ok_or(())?;
        Ok(Self(leaves.to_vec()).root(leaves.len() as u64))
    }
}

#[test]
fn the_frontier_gives_the_root_at_every_size_and_survives_a_restart_at_each() {
    let naive = Naive::of(70);
    let mut frontier = Frontier::default();
    for (at, leaf) in naive.0.iter().enumerate() {
        assert_eq!(frontier.root(), naive.root(at as u64));
        frontier = Frontier::restore(at as u64, &frontier.subtrees()).expect("its own parts");
        frontier.append(*leaf);
    }
    assert_eq!((frontier.size(), frontier.root()), (70, naive.root(70)));
    assert_eq!(Frontier::restore(70, &frontier.subtrees()[1..]), None);
}

#[test]
fn a_subtree_appended_whole_equals_its_leaves_appended_one_by_one() {
    let mut naive = Naive::of(24);
    let mut frontier = Frontier::default();
    frontier.append_subtree(naive.node(4, 0).unwrap(), 4);
    frontier.append_subtree(naive.node(3, 2).unwrap(), 3);
    assert_eq!(frontier.root(), naive.root(24));
}

#[test]
fn roots_and_proofs_equal_those_of_another_implementation() {
    let mut theirs = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    let mut ours = Naive::of(40);
    for number in 0..40u64 {
        theirs.push(number.to_le_bytes());
        let size = number + 1;
        assert_eq!(ours.root(size).0[..], theirs.root().as_bytes()[..]);
        for index in 0..size {
            let proof: Vec<u8> =
                prove_inclusion(&mut ours, index, size).unwrap().iter().flat_map(|h| h.0).collect();
            assert_eq!(proof, theirs.prove_inclusion(index as usize).as_bytes());
        }
        for additions in 1..size {
            let old = size - additions;
            let proof: Vec<u8> =
                prove_consistency(&mut ours, old, size).unwrap().iter().flat_map(|h| h.0).collect();
            assert_eq!(proof, theirs.prove_consistency(additions as usize).as_bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_proof_holds_and_any_change_breaks_it(
        size in 1u64..300, a in any::<u64>(), b in any::<u64>(), flip in any::<usize>()
    ) {
        let mut naive = Naive::of(size);
        let (index, old) = (a % size, 1 + b % size);
        let (leaf, root, old_root) = (naive.0[index as usize], naive.root(size), naive.root(old));
        let proof = prove_inclusion(&mut naive, index, size).unwrap();
        prop_assert_eq!(verify_inclusion(index, size, leaf, root, &proof), Ok(()));
        let between = prove_consistency(&mut naive, old, size).unwrap();
        prop_assert_eq!(verify_consistency(old, size, old_root, root, &between), Ok(()));
        for change in 0..2 {
            if let Some(altered) = alter(&proof, flip, change) {
                prop_assert!(verify_inclusion(index, size, leaf, root, &altered).is_err());
            }
            if let Some(altered) = alter(&between, flip, change) {
                prop_assert!(verify_consistency(old, size, old_root, root, &altered).is_err());
            }
        }
        prop_assert!(verify_inclusion(index, size, root_but(leaf), root, &proof).is_err());
        prop_assert!(verify_consistency(old, size, root_but(old_root), root, &between).is_err());
    }
}

fn root_but(mut hash: Hash) -> Hash {
    hash.0[31] ^= 1;
    hash
}

fn alter(proof: &[Hash], flip: usize, change: u32) -> Option<Vec<Hash>> {
    let mut altered = proof.to_vec();
    let at = flip.checked_rem(altered.len())?;
    if change == 0 {
        altered[at].0[flip % 32] ^= 1 << (flip % 8);
    } else {
        altered.remove(at);
    }
    Some(altered)
}

/// transparency-dev/merkle's test data: cases to accept and cases to reject.
#[test]
fn every_published_proof_has_the_published_result() {
    let Some(folder) = vectors() else { return };
    let inclusion = judge(&folder.join("inclusion"), |case| {
        let [index, size] = ["leafIdx", "treeSize"].map(|name| number(case, name));
        is_included(case, index, size)
    });
    let consistency = judge(&folder.join("consistency"), |case| {
        let [old, new] = ["size1", "size2"].map(|name| number(case, name));
        is_consistent(case, old, new)
    });
    assert_eq!((inclusion, consistency), (98, 98), "number of cases of the two kinds");
}

/// Their cases about subtrees of leaves `start` to `end`, where `start` is a multiple of the power of two at
/// or above their number: such a subtree is a tree of its own, and one from the first leaf on is an earlier
/// tree. They accept that a subtree without leaves is consistent with anything; this implementation refuses
/// that, as it does for a tree.
#[test]
fn every_published_proof_about_a_subtree_with_leaves_has_the_published_result() {
    let Some(folder) = vectors() else { return };
    let is_subtree = |start: u64, end: u64| {
        let width = end.checked_sub(start).filter(|leaves| *leaves > 0);
        let width = width.and_then(u64::checked_next_power_of_two);
        width.is_some_and(|width| start.is_multiple_of(width))
    };
    let inclusion = judge(&folder.join("subtreeinclusion"), |case| {
        let [index, start, end] = ["leafIdx", "start", "end"].map(|name| number(case, name));
        is_subtree(start, end) && index >= start && is_included(case, index - start, end - start)
    });
    let empty = std::cell::Cell::new(0);
    let consistency = judge(&folder.join("subtreeconsistency"), |case| {
        let [start, end, size] = ["start", "end", "size"].map(|name| number(case, name));
        assert!(start == 0 || !is_subtree(start, end), "none is about a later subtree");
        let is_vacuous = start == end && case["wantErr"] == false;
        empty.set(empty.get() + u32::from(is_vacuous));
        let is_accepted = is_subtree(start, end) && is_consistent(case, end, size);
        assert!(!(is_vacuous && is_accepted));
        is_accepted || is_vacuous
    });
    assert_eq!((inclusion, consistency, empty.get()), (204, 118, 6), "number of cases of each kind");
}

/// The number of cases in `folder`, each of which must give its stated result.
fn judge(folder: &Path, is_accepted: impl Fn(&Value) -> bool) -> usize {
    let paths = files(folder);
    for path in &paths {
        let case = read(path);
        assert_eq!(is_accepted(&case), case["wantErr"] == false, "{}", path.display());
    }
    paths.len()
}

fn number(case: &Value, name: &str) -> u64 {
    case[name].as_u64().unwrap()
}

fn is_included(case: &Value, index: u64, size: u64) -> bool {
    match (hash(&case["leafHash"]), hash(&case["root"]), proof(case)) {
        (Some(leaf), Some(root), Some(proof)) => verify_inclusion(index, size, leaf, root, &proof).is_ok(),
        _ => false,
    }
}

fn is_consistent(case: &Value, old: u64, new: u64) -> bool {
    match (hash(&case["root1"]), hash(&case["root2"]), proof(case)) {
        (Some(root1), Some(root2), Some(proof)) => verify_consistency(old, new, root1, root2, &proof).is_ok(),
        _ => false,
    }
}

/// The authors' cases about sizes use texts such as "don't care 1" for roots. They are not hashes and would
/// be refused for that alone, so their hash is used instead and the sizes decide.
fn hash(value: &Value) -> Option<Hash> {
    let bytes = Base64::decode_vec(value.as_str()?).ok()?;
    if bytes.starts_with(b"don't care") {
        assert_eq!(Hash::from_bytes(&bytes), None);
        return Some(Hash::leaf(&bytes));
    }
    Hash::from_bytes(&bytes)
}

fn proof(case: &Value) -> Option<Vec<Hash>> {
    match &case["proof"] {
        Value::Null => Some(Vec::new()),
        list => list.as_array().expect("a list").iter().map(hash).collect(),
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn vectors() -> Option<PathBuf> {
    let shared = std::env::var_os("STELE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data/merkle/transparency-dev-merkle-testdata");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
    println!("skipped: needs STELE_SHARED");
    None
}
