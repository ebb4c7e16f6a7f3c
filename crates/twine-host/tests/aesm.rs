//! Quotes by AESM: a service that speaks its protobuf protocol on a socket, and everything that can go wrong with one.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use twine_host::quote::{AesmQuotes, QuoteProvider};

/// Fields of aesm.message.Request and Response.
const INIT_QUOTE_EX: u32 = 15;
const QUOTE_SIZE_EX: u32 = 16;
const QUOTE_EX: u32 = 17;
const KEY_COUNT: u32 = 21;
const KEYS: u32 = 22;

/// Protobuf, as far as these messages need it: field numbers with numbers or bytes.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u32, value: u64) -> Self {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of a message that hold bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let number = varint(&mut bytes);
        if key & 7 == 2 {
            let (value, rest) = bytes.split_at(number as usize);
            fields.push(((key >> 3) as u32, value.to_vec()));
            bytes = rest;
        }
    }
    fields
}

/// An attestation key id with an algorithm.
fn key_id(algorithm: u32) -> Vec<u8> {
    let mut id = vec![0xA0 | algorithm as u8; 256];
    id[154..158].copy_from_slice(&algorithm.to_le_bytes());
    id
}

/// What a service answers to the requests of one kind: the fields of its response, after the error code.
type Answer = fn(request: &[(u32, Vec<u8>)]) -> (u64, Message);

/// A service that answers until the test ends. Requests are recorded.
struct Aesm {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    requests: Arc<Mutex<Vec<(u32, Vec<(u32, Vec<u8>)>)>>>,
}

impl Aesm {
    fn start(special: Option<(u32, Answer)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("aesm.socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = requests.clone();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut len = [0; 4];
                // Somebody who only looks whether the service is there sends nothing.
                if connection.read_exact(&mut len).is_err() {
                    continue;
                }
                let mut request = vec![0; u32::from_ne_bytes(len) as usize];
                connection.read_exact(&mut request).unwrap();
                let (kind, inner) = fields(&request).remove(0);
                let inner = fields(&inner);
                let answer = match special {
                    Some((special, answer)) if special == kind => answer,
                    _ => honest(kind),
                };
                let (code, body) = answer(&inner);
                record.lock().unwrap().push((kind, inner));
                let body = [Message::default().number(1, code).0, body.0].concat();
                let response = Message::default().bytes(kind, &body).0;
                connection.write_all(&(response.len() as u32).to_ne_bytes()).unwrap();
                connection.write_all(&response).unwrap();
            }
        });
        Self { _folder: folder, socket, requests }
    }

    fn quotes(&self) -> AesmQuotes {
        AesmQuotes::new(&self.socket)
    }
}

fn honest(kind: u32) -> Answer {
    match kind {
        KEY_COUNT => |_| (0, Message::default().number(2, 2)),
        KEYS => |_| (0, Message::default().bytes(2, &[key_id(0), key_id(2)].concat())),
        INIT_QUOTE_EX => |_| (0, Message::default().bytes(2, &[7; 512]).number(3, 32).bytes(4, &[1; 32])),
        QUOTE_SIZE_EX => |_| (0, Message::default().number(2, 4600)),
        // The report comes back in the quote.
        QUOTE_EX => |request| {
            let report = &request.iter().find(|(field, _)| *field == 1).unwrap().1;
            (0, Message::default().bytes(2, &[b"quote of ", &report[..]].concat()).bytes(3, &[0; 960]))
        },
        _ => |_| (1, Message::default()),
    }
}

fn refusal(special: (u32, Answer)) -> String {
    let aesm = Aesm::start(Some(special));
    let quotes = aesm.quotes();
    let error = quotes.target().and_then(|_| quotes.quote(&[9; 432])).unwrap_err();
    error.to_string().replace(aesm.socket.to_str().unwrap(), "SOCKET")
}

#[test]
fn a_report_is_quoted_with_the_ecdsa_key() {
    let aesm = Aesm::start(None);
    let quotes = aesm.quotes();
    assert_eq!(quotes.target().unwrap(), [7; 512]);
    let quote = quotes.quote(&[9; 432]).unwrap();
    assert_eq!(quote, [b"quote of ", &[9; 432][..]].concat());
    let requests = aesm.requests.lock().unwrap();
    let keys: Vec<_> = requests
        .iter()
        .filter_map(|(kind, request)| {
            let field = if *kind == QUOTE_EX { 2 } else { 1 };
            let takes_key = matches!(*kind, INIT_QUOTE_EX | QUOTE_SIZE_EX | QUOTE_EX);
            takes_key.then(|| request.iter().find(|(number, _)| *number == field).unwrap().1.clone())
        })
        .collect();
    assert!(keys.len() >= 3 && keys.iter().all(|key| *key == key_id(2)));
    assert_eq!(requests.iter().filter(|(kind, _)| *kind == KEYS).count(), 1, "asked for once");
}

#[test]
fn a_service_that_is_not_there_is_told_how_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let missing = AesmQuotes::new(folder.path().join("none")).target().unwrap_err().to_string();
    assert!(missing.contains("does not answer at") && missing.contains("sgx-aesm-service"), "{missing}");
    // A socket that nobody listens on any more.
    let socket = folder.path().join("left.socket");
    drop(UnixListener::bind(&socket).unwrap());
    let refused = AesmQuotes::new(socket).target().unwrap_err().to_string();
    assert!(refused.contains("systemctl start aesmd"), "{refused}");
}

#[test]
fn what_the_service_refuses_has_a_remedy() {
    let no_plugin = refusal((KEY_COUNT, |_| (38, Message::default())));
    assert!(
        no_plugin.starts_with(
            "AESM at SOCKET refused: UnsupportedAttKeyId_38; install libsgx-aesm-quote-ex-plugin"
        ),
        "{no_plugin}"
    );
    let no_pck = refusal((INIT_QUOTE_EX, |_| (44, Message::default())));
    assert!(no_pck.contains("NoPlatformCertData_44") && no_pck.contains("sgx_default_qcnl.conf"), "{no_pck}");
    let foreign = refusal((QUOTE_EX, |_| (47, Message::default())));
    assert!(foreign.contains("not of this processor"), "{foreign}");
    let busy = refusal((QUOTE_EX, |_| (18, Message::default())));
    assert!(busy.ends_with("try again later"), "{busy}");
    let unknown = refusal((QUOTE_SIZE_EX, |_| (4711, Message::default())));
    assert!(unknown.contains("Unknown(4711)") && unknown.contains("journalctl"), "{unknown}");
}

#[test]
fn a_service_without_an_ecdsa_key_makes_no_quotes() {
    let epid: Answer = |_| (0, Message::default().bytes(2, &[key_id(0), key_id(1)].concat()));
    assert!(refusal((KEYS, epid)).contains("no ECDSA P-256 attestation key; install"));
}

#[test]
fn answers_that_are_none_are_refused() {
    let short =
        refusal((INIT_QUOTE_EX, |_| (0, Message::default().bytes(2, &[7; 100]).number(3, 1).bytes(4, &[1]))));
    assert!(short.contains("100 bytes, which is no TARGETINFO"), "{short}");
    let count = refusal((KEYS, |_| (0, Message::default().bytes(2, &[1; 100]))));
    assert!(count.contains("answered what is no answer"), "{count}");
    let size = refusal((QUOTE_SIZE_EX, |_| (0, Message::default())));
    assert!(size.contains("answered what is no answer"), "{size}");
}
