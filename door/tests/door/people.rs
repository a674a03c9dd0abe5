//! Who may do what: users of the operating system, and the people of a configuration.

use crate::controls::switch_is_durable;
use crate::served::{OUTSIDE, SHARD, Served};
use rustix::process::geteuid;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use stele_door::protocol::Code;
use stele_door::{ClientError, DoorClient, People, Person, Role, SocketAddress};
use stele_risk::RiskLimits;
use stele_testkit::skip::skip;
use stele_wire::messages::{CancelScope, KillSwitch, SwitchState};

const SOCKET: &str = "STELE_TEST_SOCKET";

fn served(number: u32, user: u32, roles: &[Role]) -> Served {
    let person = Person { number, code: "a".into(), user, roles: roles.to_vec() };
    Served::with(People::new(vec![person]).unwrap(), RiskLimits::default())
}

fn is_denied<T: std::fmt::Debug>(result: Result<T, ClientError>) -> bool {
    matches!(result, Err(ClientError::Refused { code: Code::Denied, .. }))
}

#[test]
fn a_persons_roles_decide_what_its_user_may_do() {
    let user = geteuid().as_raw();
    let served = served(12, user, &[Role::Examiner]);
    let client = served.client();
    let person = client.welcome().person.clone().unwrap();
    assert_eq!((person.number, person.roles), (12, vec![Role::Examiner]));
    assert!(client.ring(SHARD).is_ok() && client.counters().is_ok() && client.trail(SHARD).list().is_err());
    assert!(is_denied(client.publisher(SHARD, OUTSIDE)));
    let switch = KillSwitch {
        party: 12.into(),
        scope: CancelScope::ALL,
        state: SwitchState::ENGAGED,
        ..KillSwitch::NULL
    };
    assert!(is_denied(client.submit_message(SHARD, &switch)));
}

#[test]
fn a_message_must_name_the_caller() {
    let served = served(12, geteuid().as_raw(), &[Role::Risk]);
    let client = served.client();
    switch_is_durable(&client);
    let switch = KillSwitch { party: 13.into(), state: SwitchState::ENGAGED, ..KillSwitch::NULL };
    let denied = client.submit_message(SHARD, &switch).unwrap_err().to_string();
    assert_eq!(denied, "the message names person 13 and the caller is person 12");
}

#[test]
fn a_user_who_is_not_a_person_learns_nothing() {
    let served = served(12, geteuid().as_raw() + 1, &[Role::Administrator]);
    let refused = served.connect().unwrap_err();
    let expected = format!("user {} is not a [[person]] of the configuration", geteuid().as_raw());
    assert_eq!(refused.to_string(), expected);
}

/// What the other user does; nothing when this program was started as a test.
#[test]
fn another_user() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let said = match DoorClient::connect(&SocketAddress::at(socket)) {
        Ok(client) => format!("connected as user {}", client.welcome().caller.user),
        Err(error) => format!("refused: {error}"),
    };
    println!("{said}");
}

/// Runs a copy of this program as another user, with access to nothing of this one's.
fn as_another_user(socket: &std::path::Path) -> Option<String> {
    if !geteuid().is_root() || Command::new("setpriv").arg("--version").output().is_err() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for path in [folder.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(["--exact", "people::another_user", "--nocapture"])
        .env(SOCKET, socket)
        .output()
        .unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn another_user_connects_only_where_the_mode_allows_it_and_the_kernel_names_that_user() {
    let served = Served::new();
    let mode = |path: &std::path::Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(served.folder.path(), 0o755);
    let Some(said) = as_another_user(served.socket()) else { return skip("root, and setpriv") };
    assert!(said.contains("refused: ") && said.contains("ermission denied"), "{said}");
    mode(served.socket(), 0o666);
    let said = as_another_user(served.socket()).unwrap();
    assert!(said.contains("connected as user 65534"), "{said}");
    switch_is_durable(&served.client());
}
