//! What is delivered, from peers who have proven a key and may yet be hostile; and what a store gives back sealed.

use std::sync::LazyLock;

use twine_attest::delivery::{Bundle, Ended, File, MAX_REPLY, Message, Variable, VolumeKey};
use twine_sgx::{REPORT_SIZE, report_from_bytes};
use twine_tee::SealTo;
use twine_tee::sealed::{seal, unseal};
use twine_workload::Deliverer;

fn deliverer() -> Deliverer {
    Deliverer {
        name: "owner".into(),
        key: [7; 32],
        output: false,
        env: vec!["TOKEN".into()],
        files: vec!["/in/a".into(), "/in/b".into()],
        volumes: vec!["vault".into()],
    }
}

pub fn bundle(bytes: &[u8]) {
    if let Ok(bundle) = Bundle::from_bytes(bytes) {
        assert!(bundle.to_bytes() == bytes, "a bundle has another encoding");
        if bundle.check(&deliverer()).is_ok() {
            assert_eq!((bundle.env.len(), bundle.files.len(), bundle.keys.len()), (1, 2, 1));
        }
    }
    if let Ok(message) = Message::read(&mut &*bytes, MAX_REPLY) {
        let mut sent = Vec::new();
        message.write(&mut sent).expect("a Vec takes everything");
        // The end of a run is skipped where it has entries of a later version.
        assert!(bytes.starts_with(&sent) || matches!(message, Message::Ended(_)), "another encoding");
    }
}

pub fn bundle_seeds() -> Vec<Vec<u8>> {
    let file = |path: &str| File { path: path.into(), contents: b"x,y".to_vec() };
    let bundle = Bundle {
        module: Some(b"\0asm\x01\0\0\0".to_vec()),
        env: vec![Variable { name: "TOKEN".into(), value: "secret".into() }],
        files: vec![file("/in/a"), file("/in/b")],
        keys: vec![VolumeKey { name: "vault".into(), key: [9; 32] }],
    };
    let messages = [
        Message::Workload(vec![1; 20]),
        Message::Bundle(bundle.to_bytes()),
        Message::Accepted,
        Message::Refused("no".into()),
        Message::Stdout(b"out".to_vec()),
        Message::Ended(Ended { outcome: 1, code: 7, message: "ended".into() }),
    ];
    let sent = messages.into_iter().map(|message| {
        let mut sent = Vec::new();
        message.write(&mut sent).expect("a Vec takes everything");
        sent
    });
    sent.chain([bundle.to_bytes(), Bundle::default().to_bytes()]).collect()
}

const AAD: &[u8] = b"purpose";

static SEALED: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let own = report_from_bytes(&[0; REPORT_SIZE]);
    let sealed = [(SealTo::Enclave, &b"secret"[..]), (SealTo::Signer, b"")]
        .map(|(to, data)| seal(to, &own, [to as u8; 32], AAD, data, &mut |_| Some([9; 16])));
    sealed.into_iter().map(|sealed| sealed.expect("sealed")).collect()
});

/// Opens as what was sealed, or not at all.
pub fn sealed(bytes: &[u8]) {
    if unseal(AAD, bytes, &mut |_| Some([9; 16])).is_ok() {
        assert!(SEALED.iter().any(|sealed| sealed == bytes), "changed bytes open");
    }
}

pub fn sealed_seeds() -> Vec<Vec<u8>> {
    SEALED.clone()
}
