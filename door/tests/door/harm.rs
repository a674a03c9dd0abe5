//! Clients that send garbage, send nothing, do not read, or come in great numbers.

use crate::controls::switch_is_durable;
use crate::served::Served;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use stele_door::bounds::{CONNECTIONS_PER_USER_MAX, REQUEST_DEADLINE};

fn connect(served: &Served) -> UnixStream {
    let stream = UnixStream::connect(served.socket()).unwrap();
    stream.set_read_timeout(Some(REQUEST_DEADLINE * 4)).unwrap();
    stream
}

fn frame(json: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = ((json.len() + body.len()) as u32).to_le_bytes().to_vec();
    frame.extend((json.len() as u32).to_le_bytes());
    frame.extend([1, 0, 0, 0]);
    frame.extend(json.as_bytes());
    frame.extend(body);
    frame
}

const HELLO: &str = r#"{"request":"hello","process":"x"}"#;

#[test]
fn garbage_is_refused_and_ends_its_connection_only() {
    let served = Served::new();
    let client = served.client();
    let too_long = [&[255; 8][..], &[1, 0, 0, 0]].concat();
    let cases: [(&str, Vec<u8>); 6] = [
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("too long", too_long),
        ("not JSON", frame("{", b"")),
        ("an unknown request", frame(r#"{"request":"bye"}"#, b"")),
        ("a request before hello", frame(r#"{"request":"counters"}"#, b"")),
        ("deep nesting", frame(&"[".repeat(4_000), b"")),
    ];
    for (what, bytes) in cases {
        let mut stream = connect(&served);
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(r#""answer":"refused""#), "{what}: {answer}");
    }
    // Pseudo-random bytes of every length.
    let mut seed = 7_u32;
    for length in 0..200 {
        let mut stream = connect(&served);
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        let _ = stream.write_all(&bytes);
    }
    switch_is_durable(&client);
    assert!(client.counters().is_ok());
}

#[test]
fn clients_that_are_silent_half_done_or_do_not_read_are_cut_off_and_others_are_served_meanwhile() {
    let served = Served::new();
    let client = served.client();
    let since = Instant::now();
    let mut silent = connect(&served);
    let mut half = connect(&served);
    half.write_all(&frame(HELLO, b"")[..20]).unwrap();
    let mut deaf = connect(&served);
    deaf.write_all(&frame(HELLO, b"")).unwrap();
    deaf.set_nonblocking(true).unwrap();
    // It asks on and on and reads no answer, until neither side takes more.
    let request = frame(r#"{"request":"files","shard":9,"after":""}"#, b"");
    let mut asked = 0;
    while deaf.write(&request).is_ok() || asked == 0 || since.elapsed() < Duration::from_millis(200) {
        asked += 1;
        assert!(asked < 10_000_000, "what a client may send is bounded");
    }
    switch_is_durable(&client);
    for stream in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(since.elapsed() >= REQUEST_DEADLINE - Duration::from_millis(100), "they had their time");
    assert!(since.elapsed() < REQUEST_DEADLINE * 3);
    let cut = loop {
        match deaf.write(&request) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(since.elapsed() < REQUEST_DEADLINE * 4, "it is cut off");
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => break error,
            Ok(_) => {}
        }
    };
    assert_eq!(cut.kind(), std::io::ErrorKind::BrokenPipe);
    switch_is_durable(&client);
}

#[test]
fn one_user_has_a_bounded_number_of_connections_and_those_that_exist_work_on() {
    let served = Served::new();
    let client = served.client();
    let mut held: Vec<UnixStream> = (1..CONNECTIONS_PER_USER_MAX)
        .map(|_| {
            let mut stream = connect(&served);
            stream.write_all(&frame(HELLO, b"")).unwrap();
            stream
        })
        .collect();
    let mut first = [0; 12];
    held.iter_mut().for_each(|stream| stream.read_exact(&mut first).unwrap());
    let refused = served.connect().unwrap_err().to_string();
    assert!(refused.contains(&format!("has {CONNECTIONS_PER_USER_MAX} connections already")), "{refused}");
    switch_is_durable(&client);
    held.pop();
    let since = Instant::now();
    while served.connect().is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "a place is free again");
    }
}

#[test]
fn descriptors_that_a_client_sends_are_not_kept() {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    use std::mem::MaybeUninit;
    use std::os::fd::AsFd as _;
    let served = Served::new();
    let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut stream = connect(&served);
    let before = count();
    let file = std::fs::File::open("/dev/null").unwrap();
    for _ in 0..50 {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let sent = [file.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&sent)));
        let request = frame(HELLO, b"");
        sendmsg(&stream, &[std::io::IoSlice::new(&request)], &mut control, SendFlags::empty()).unwrap();
        let mut header = [0; 12];
        stream.read_exact(&mut header).unwrap();
        let mut rest = vec![0; u32::from_le_bytes(header[..4].try_into().unwrap()) as usize];
        stream.read_exact(&mut rest).unwrap();
    }
    // Other tests of this program open files meanwhile, so the count is not exact.
    assert!(count() < before + 40, "they do not pile up");
}
