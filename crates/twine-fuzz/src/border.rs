//! The border: what a host tells an enclave.

use twine_abi::calls::{ClockReply, ReadModuleReply, ReadStdinReply, StoreOpenReply};
use twine_abi::run::{Operation, RunRequest};
use twine_abi::wire::{self, Answer, BUFFER_SIZE, Words, padded};

pub fn run_request(bytes: &[u8]) {
    let Ok(request) = RunRequest::parse(bytes) else { return };
    assert_eq!(encode(&request), bytes, "a run request has another encoding");
}

fn encode(request: &RunRequest<'_>) -> Vec<u8> {
    let mut bytes = request.header().to_vec();
    for part in request.parts() {
        bytes.extend_from_slice(part);
        bytes.resize(padded(bytes.len()), 0);
    }
    bytes
}

pub fn run_request_seeds() -> Vec<Vec<u8>> {
    let parts: [[&[u8]; 4]; 3] =
        [[b""; 4], [&[0x5A; 24], b"TERM=dumb\0", b"", b""], [&[1; 3], &[2; 65], b"data", b"data=00\0"]];
    let one = |[workload, environment, volume, insecure_keys]: [&[u8]; 4]| {
        let operation = Operation::Run;
        encode(&RunRequest { flags: 5, operation, workload, environment, volume, insecure_keys })
    };
    parts.map(one).into()
}

/// The first 16 bytes are what the host says that it replies and what room the request has, the rest is the buffer.
pub fn reply(bytes: &[u8]) {
    let Some((numbers, buffer)) = bytes.split_at_checked(16) else { return };
    let number = |at: usize| numbers[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let (replied, room) = (number(0), (number(8) % (BUFFER_SIZE as u64 + 1)) as usize);
    read::<ReadStdinReply>(buffer, replied, room);
    read::<ReadModuleReply>(buffer, replied, room);
    read::<StoreOpenReply>(buffer, replied, room);
    read::<ClockReply>(buffer, replied, room);
}

fn read<R: Words>(buffer: &[u8], replied: u64, room: usize) {
    let Ok(there) = wire::reply_head::<R>(replied) else { return };
    assert!(there <= BUFFER_SIZE && there as u64 <= replied);
    let mut head = vec![0; there];
    let count = there.min(buffer.len());
    head[..count].copy_from_slice(&buffer[..count]);
    if let Ok(Answer::Given(_, length)) = wire::read_reply::<R>(&head, replied, room) {
        assert!(length <= room, "more than there is room for");
        assert!(there + padded(length) <= BUFFER_SIZE, "beyond the buffer");
    }
}

pub fn reply_seeds() -> Vec<Vec<u8>> {
    let one = |replied: u64, room: u64, words: &[u64]| {
        [replied, room].iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
    };
    vec![
        one(8, 0, &[3]),
        one(24, 100, &[0, 0, 0]),
        one(40, 100, &[0, 7, 9, 10, 0, 0]),
        one(48, 16, &[0, 1, 2, 16, 0, 0]),
    ]
}
