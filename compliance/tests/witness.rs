//! A witness cosigns only what extends what it has cosigned, through restarts and failures of its storage.

mod rig;

use rig::Rig;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use stele_compliance::seal::live::LiveSealer;
use stele_compliance::seal::note::{KeyKind, Note, VerifierKey};
use stele_compliance::seal::{Checkpoint, Hash, SealPolicy, SignedCheckpoint, Signer};
use stele_compliance::witness::client::CollectError;
use stele_compliance::witness::{
    CollectOutcome, CosignatureCollector, Witness, WitnessAnswer, WitnessCheckError, WitnessReply,
    WitnessRequest, check, cosigned_name,
};
use stele_journal::{Directory, Storage, StoredFile};
use stele_wire::units::{Nanos, Sequence};

fn firm() -> Signer {
    Signer::new("bank.example/stele", KeyKind::Log, &[7; 32]).unwrap()
}

fn witness_key(seed: u8) -> Signer {
    Signer::new(&format!("witness.example/{seed}"), KeyKind::Witness, &[seed; 32]).unwrap()
}

/// A witness over `folder`, as a new process would start it.
fn witness(folder: &Path, seed: u8) -> Witness {
    over(Arc::new(Directory::new(folder)), seed)
}

fn over(storage: Arc<dyn Storage>, seed: u8) -> Witness {
    let origins = vec!["stele.internal/".to_owned(), "log.example".to_owned()];
    Witness::new(witness_key(seed), vec![firm().public().clone()], origins, storage)
}

/// A checkpoint without a tree.
fn signed(origin: &str, size: u64, root: Hash, by: &Signer) -> SignedCheckpoint {
    Checkpoint { origin: origin.into(), size, root }.sign(by)
}

fn body(old: u64, proof: &[Hash], checkpoint: SignedCheckpoint) -> String {
    WitnessRequest { old, proof: proof.to_vec(), checkpoint }.to_string()
}

/// A trail that is sealed as it grows.
struct Trail {
    folder: tempfile::TempDir,
    rig: Rig,
    sealer: LiveSealer,
    now: u64,
}

impl Trail {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::open(folder.path());
        let policy = SealPolicy { events: 1 << 20, interval: Nanos(1) };
        let storage = Arc::new(Directory::new(folder.path()));
        let sealer = LiveSealer::new(storage, firm(), policy, Sequence(0));
        Self { folder, rig, sealer, now: 100 }
    }

    fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(Directory::new(self.folder.path()))
    }

    /// Adds events, and a checkpoint over the durable ones.
    fn grow(&mut self, trades: u64) -> u64 {
        let before = self.sealer.sealed().events;
        self.rig.trade(trades);
        self.now += 1;
        while self.sealer.turn(self.rig.durable(), false, 1000, Nanos(self.now)).unwrap() > 0 {}
        let sealed = self.sealer.sealed().events;
        assert!(sealed >= before + trades, "{sealed} of {before} and {trades}");
        sealed
    }

    fn collector(&self, seed: u8, writing: &Arc<Mutex<()>>) -> CosignatureCollector {
        CosignatureCollector::new(witness_key(seed).public().clone(), self.storage(), writing.clone())
    }

    fn check(&self, seeds: &[u8], quorum: usize) -> Result<(u64, Vec<u64>), WitnessCheckError> {
        let keys: Vec<VerifierKey> = seeds.iter().map(|seed| witness_key(*seed).public().clone()).collect();
        let report = check(self.storage().as_ref(), &keys, quorum)?;
        Ok((report.events, report.witnesses.iter().map(|said| said.events).collect()))
    }
}

/// Asks until the witness has cosigned the newest checkpoint. Returns the number of requests.
fn collect(
    collector: &mut CosignatureCollector,
    witness: &mut Witness,
    now: u64,
) -> Result<usize, CollectError> {
    let mut requests = 0;
    while let Some(request) = collector.request()? {
        requests += 1;
        let answer = witness.add_checkpoint(&request.to_string(), now);
        let reply = WitnessReply { status: answer.status(), body: answer.body() };
        if let CollectOutcome::Cosigned { .. } = collector.on_reply(&reply)? {
            break;
        }
        assert!(requests < 4, "it comes to an end");
    }
    Ok(requests)
}

#[test]
fn a_growing_trail_is_cosigned_by_two_witnesses_and_a_quorum_says_how_far() {
    let [disk, other_disk] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (mut first, mut second) = (witness(disk.path(), 1), witness(other_disk.path(), 2));
    let mut trail = Trail::new();
    let writing = Arc::default();
    let [mut from_first, mut from_second] = [1, 2].map(|seed| trail.collector(seed, &writing));
    assert_eq!(from_first.request().unwrap(), None, "nothing is sealed yet");
    assert!(matches!(trail.check(&[1, 2], 1), Err(WitnessCheckError::Quorum { .. })));
    let mut sizes = Vec::new();
    for now in 0..6 {
        sizes.push(trail.grow(400));
        assert_eq!(collect(&mut from_first, &mut first, 1000 + now).unwrap(), 1);
        assert_eq!(collect(&mut from_first, &mut first, 1000 + now).unwrap(), 0, "it has it");
        if now % 2 == 1 {
            assert_eq!(collect(&mut from_second, &mut second, 2000 + now).unwrap(), 1);
        }
    }
    let last = *sizes.last().unwrap();
    assert_eq!(trail.check(&[1, 2], 2).unwrap(), (last, vec![last, last]));
    let newest = trail.grow(10);
    collect(&mut from_first, &mut first, 3000).unwrap();
    assert_eq!(trail.check(&[1, 2], 2).unwrap(), (last, vec![newest, last]));
    assert_eq!(trail.check(&[1, 2], 1).unwrap().0, newest);
    assert!(matches!(trail.check(&[1, 3], 2), Err(WitnessCheckError::Quorum { .. })));
    let keys = [witness_key(1).public().clone(), witness_key(2).public().clone()];
    let report = check(trail.storage().as_ref(), &keys, 1).unwrap();
    assert_eq!((report.witnesses[0].checkpoints, report.witnesses[1].checkpoints), (7, 3));
    assert_eq!((report.witnesses[0].time, report.witnesses[1].time), (Some(3000), Some(2005)));
}

#[test]
fn a_new_client_catches_up_from_the_size_that_the_witness_names() {
    let disk = tempfile::tempdir().unwrap();
    let mut trail = Trail::new();
    for round in 0..5 {
        trail.grow(300);
        let mut collector = trail.collector(1, &Arc::default());
        // A new client asks from 0, learns the size, and proves from there; the witness is a new process each
        // time.
        let requests = collect(&mut collector, &mut witness(disk.path(), 1), 10).unwrap();
        assert_eq!(requests, if round == 0 { 1 } else { 2 });
    }
    // The cosigned file is lost: it is collected again, although nothing is new.
    let number = trail.check(&[1], 1).map(|_| cosigned_name(5)).unwrap();
    std::fs::remove_file(trail.folder.path().join(number)).unwrap();
    let mut collector = trail.collector(1, &Arc::default());
    assert_eq!(collect(&mut collector, &mut witness(disk.path(), 1), 11).unwrap(), 2);
    assert!(trail.folder.path().join(cosigned_name(5)).exists());
}

#[test]
fn a_rolled_back_or_forked_log_gets_no_second_cosignature_and_the_proof_of_it_is_kept() {
    let disk = tempfile::tempdir().unwrap();
    let mut honest = witness(disk.path(), 1);
    let origin = "log.example";
    let leaves: Vec<Hash> = (0..8u8).map(|leaf| Hash::leaf(&[leaf])).collect();
    let four = Hash::node(Hash::node(leaves[0], leaves[1]), Hash::node(leaves[2], leaves[3]));
    let rest = Hash::node(Hash::node(leaves[4], leaves[5]), Hash::node(leaves[6], leaves[7]));
    let eight = Hash::node(four, rest);
    let send = |witness: &mut Witness, old, proof: &[Hash], size, root| {
        witness.add_checkpoint(&body(old, proof, signed(origin, size, root, &firm())), 5)
    };
    assert_eq!(send(&mut honest, 0, &[], 4, four).status(), 200);
    assert_eq!(send(&mut honest, 4, &[rest], 8, eight).status(), 200);
    // Rolled back: an older tree is refused, whatever old size is sent.
    let conflict = |is_fork| WitnessAnswer::Conflict { size: 8, is_fork };
    assert_eq!(send(&mut honest, 0, &[], 4, four), conflict(false));
    assert_eq!(send(&mut honest, 4, &[], 4, four), conflict(false));
    assert_eq!(send(&mut honest, 8, &[], 4, four).status(), 400);
    assert_eq!(conflict(false).body(), "8\n");
    assert!(!disk.path().join("evidence").exists());
    // Forked: another tree of the same size, and a longer one that does not extend the first.
    assert_eq!(send(&mut honest, 8, &[], 8, rest), conflict(true));
    assert_eq!(send(&mut honest, 8, &[rest], 16, Hash::node(rest, rest)).status(), 422);
    let evidence: Vec<_> = std::fs::read_dir(disk.path().join("evidence")).unwrap().collect();
    let kept = std::fs::read_to_string(evidence[0].as_ref().unwrap().path()).unwrap();
    assert_eq!((evidence.len(), kept), (1, body(8, &[], signed(origin, 8, rest, &firm()))));
    // A restart forgets nothing.
    let mut again = witness(disk.path(), 1);
    assert_eq!(send(&mut again, 0, &[], 4, four), conflict(false));
    assert_eq!(again.cosigned(origin).unwrap().unwrap().unchecked().size, 8);
    assert_eq!(send(&mut again, 8, &[], 8, eight).status(), 200);
}

#[test]
fn a_refusal_has_the_status_of_the_specification() {
    let disk = tempfile::tempdir().unwrap();
    let mut witness = witness(disk.path(), 1);
    let root = Hash::leaf(b"x");
    let known = signed("log.example", 1, root, &firm());
    let stranger = Signer::new("bank.example/stele", KeyKind::Log, &[8; 32]).unwrap();
    let cases = [
        (body(0, &[], signed("unknown.example", 1, root, &firm())), 404),
        (body(0, &[], signed("log.example", 1, root, &stranger)), 403),
        (body(2, &[], known.clone()), 400),
        (body(1, &[], known.clone()), 409),
        (body(0, &[root], known.clone()), 422),
        (body(0, &[], known.clone()).replace("old 0", "old zero"), 400),
        (String::new(), 400),
    ];
    for (body, status) in cases {
        assert_eq!(witness.add_checkpoint(&body, 1).status(), status, "{body}");
    }
    assert_eq!(witness.cosigned("log.example").unwrap(), None);
    // A signature of an unknown key does no harm next to one of a known key.
    let mut two = known;
    let other = stranger.sign(two.note().text(), 0);
    two.note_mut().signatures.insert(0, other);
    let WitnessAnswer::Cosigned(line) = witness.add_checkpoint(&body(0, &[], two.clone()), 77) else {
        panic!("it is good")
    };
    let note = Note::parse(&format!("{}\n{line}\n", two.note().text())).unwrap();
    assert_eq!(note.check(witness_key(1).public()), Ok(Some(77)));
}

/// Storage that fails at the next file that is kept: 1 before the file is there, 2 after it.
struct Dying {
    directory: Directory,
    dies: AtomicU8,
}

impl Storage for Dying {
    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn StoredFile>> {
        self.directory.open(name)
    }

    fn keep(&self, name: &str, source: &mut dyn io::Read) -> io::Result<()> {
        let dies = self.dies.swap(0, Ordering::Relaxed);
        if dies != 1 {
            self.directory.keep(name, source)?;
        }
        if dies == 0 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn close(&self, name: &str, length: u64) -> io::Result<()> {
        self.directory.close(name, length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }
}

#[test]
fn a_witness_that_dies_before_or_after_storing_forgets_no_cosignature() {
    let disk = tempfile::tempdir().unwrap();
    let mut trail = Trail::new();
    let mut collector = trail.collector(1, &Arc::default());
    let mut before = 0;
    for round in 0..12u8 {
        let size = trail.grow(50);
        let dies = round % 3;
        let storage = Arc::new(Dying { directory: Directory::new(disk.path()), dies: AtomicU8::new(dies) });
        let request = collector.request().unwrap().unwrap().to_string();
        let answer = over(storage, 1).add_checkpoint(&request, 1);
        assert_eq!(answer.status(), if dies == 0 { 200 } else { 500 });
        let origin = request.split("\n\n").nth(1).unwrap().lines().next().unwrap();
        let known = witness(disk.path(), 1).cosigned(origin).unwrap();
        let known = known.map_or(0, |known| known.unchecked().size);
        assert_eq!(known, if dies == 1 { before } else { size }, "kept whole or not at all");
        let reply = WitnessReply { status: answer.status(), body: answer.body() };
        assert_eq!(collector.on_reply(&reply).is_ok(), dies == 0);
        // Whatever was lost, the next process and the same client agree again.
        collect(&mut collector, &mut witness(disk.path(), 1), 2).unwrap();
        assert_eq!(trail.check(&[1], 1).unwrap().0, size);
        before = size;
    }
}

#[test]
fn a_reply_that_is_not_a_cosignature_of_the_witness_is_refused() {
    let mut trail = Trail::new();
    let size = trail.grow(10);
    let disk = tempfile::tempdir().unwrap();
    let mut collector = trail.collector(1, &Arc::default());
    let ask = |collector: &mut CosignatureCollector| collector.request().unwrap().unwrap();
    let request = ask(&mut collector);
    let WitnessAnswer::Cosigned(others) = witness(disk.path(), 2).add_checkpoint(&request.to_string(), 1)
    else {
        panic!("it is good")
    };
    let reply = |status, body: &str| WitnessReply { status, body: body.into() };
    for body in ["", "nonsense\n", &format!("{others}\n")] {
        let taken = collector.on_reply(&reply(200, body));
        assert!(matches!(taken, Err(CollectError::Cosignature(_))), "{body}");
        ask(&mut collector);
    }
    let ahead = format!("{}\n", size + 1);
    let taken = collector.on_reply(&reply(409, &ahead));
    assert!(matches!(taken, Err(CollectError::Ahead { witness, .. }) if witness == size + 1));
    assert!(matches!(collector.request(), Err(CollectError::Ahead { .. })));
    let mut collector = trail.collector(1, &Arc::default());
    for (status, body) in [(409, "many\n"), (500, "\u{7}no\nmore"), (301, ""), (404, "who?")] {
        ask(&mut collector);
        let taken = collector.on_reply(&reply(status, body));
        assert!(matches!(taken, Err(CollectError::Refused { status: said, .. }) if said == status));
    }
    assert!(!trail.folder.path().join("seals/cosigned").exists());
}

#[test]
fn an_altered_cosigned_checkpoint_is_found() {
    let disk = tempfile::tempdir().unwrap();
    let mut trail = Trail::new();
    let mut collector = trail.collector(1, &Arc::default());
    for _ in 0..2 {
        trail.grow(20);
        collect(&mut collector, &mut witness(disk.path(), 1), 9).unwrap();
    }
    let [one, two] = [1, 2].map(|number| trail.folder.path().join(cosigned_name(number)));
    let good = std::fs::read_to_string(&two).unwrap();
    std::fs::copy(&one, &two).unwrap();
    assert!(matches!(trail.check(&[1], 1), Err(WitnessCheckError::Differs { .. })));
    // The signature covers the time.
    let (head, line) = good.trim_end().rsplit_once(' ').unwrap();
    let later = format!("{head} {}\n", line.replacen("AAAAAAAAAAk", "AAAAAAAAAAo", 1));
    let flipped = if later.trim_end() == good.trim_end() {
        let middle = line.len() / 2;
        let letter = if &line[middle..=middle] == "A" { "B" } else { "A" };
        format!("{head} {}{letter}{}\n", &line[..middle], &line[middle + 1..])
    } else {
        later
    };
    std::fs::write(&two, flipped).unwrap();
    assert!(matches!(trail.check(&[1], 1), Err(WitnessCheckError::Cosignature { .. })));
    std::fs::write(&two, good).unwrap();
    trail.check(&[1], 1).unwrap();
}

/// transparency-dev/merkle's cases, each put to a witness that has cosigned the first tree.
#[test]
fn a_witness_accepts_exactly_the_valid_published_consistency_proofs() {
    let shared = std::env::var_os("STELE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data/merkle/transparency-dev-merkle-testdata/consistency");
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "CI needs the shared data in STELE_SHARED");
        println!("skipped: needs STELE_SHARED");
        return;
    }
    let (mut taken, mut refused) = (0, 0);
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let size = |name: &str| case[name].as_u64().unwrap();
            let root = |name: &str| Hash::from_base64(case[name].as_str().unwrap_or_default());
            let proof: Option<Vec<Hash>> = match &case["proof"] {
                Value::Array(lines) => lines.iter().map(|line| Hash::from_base64(line.as_str()?)).collect(),
                _ => Some(Vec::new()),
            };
            let (old, new) = (size("size1"), size("size2"));
            // A root that does not have 32 bytes is not a hash and cannot be sent to a witness, even in the
            // one case that should hold; from size 0 there is nothing to prove.
            let (Some(old_root), Some(new_root), Some(proof)) = (root("root1"), root("root2"), proof) else {
                refused += 1;
                continue;
            };
            let disk = tempfile::tempdir().unwrap();
            let mut witness = witness(disk.path(), 1);
            if old > 0 {
                let first = body(0, &[], signed("log.example", old, old_root, &firm()));
                assert_eq!(witness.add_checkpoint(&first, 1).status(), 200);
            }
            let second = body(old, &proof, signed("log.example", new, new_root, &firm()));
            let is_taken = witness.add_checkpoint(&second, 2).status() == 200;
            if old > 0 {
                assert_eq!(is_taken, case["wantErr"] != true, "{}", path.display());
            }
            taken += u32::from(is_taken);
            refused += u32::from(!is_taken);
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken >= 5 && refused > 50, "{taken} {refused}");
}
