//! Freshness anchors behind the border: a record beside the store, or the owner's service that the host reaches.

use ring::digest::{Context, SHA256};
use twine_abi::calls::{Anchor as Ask, AnchorOperation, MAX_ANCHOR};
use twine_abi::wire::Status;
use twine_enclave::{border, identity};
use twine_volume::{
    Anchor, AnchorError, AnchorPolicy, AnchorRecord, InsecureFileAnchor, ServiceAnchor, Transport,
};
use twine_volume_key::Anchored;
use twine_workload::{Freshness, Moves};

use crate::volume::Random;

/// The anchor that the workload wants for the volume `name`, whose store has this handle, and when it moves.
pub fn of(freshness: &Freshness, name: &str, store: u64) -> (Option<Box<dyn Anchor>>, AnchorPolicy) {
    let (anchor, moves): (Box<dyn Anchor>, _) = match freshness {
        Freshness::Run => return (None, AnchorPolicy::EverySync),
        Freshness::InsecureFile { moves } => (Box::new(InsecureFileAnchor::new(Host(store))), moves),
        Freshness::Service { key, moves } => {
            let transport = Box::new(Host(store));
            (Box::new(ServiceAnchor::new(transport, Box::new(Random), *key, index(name))), moves)
        }
    };
    let policy = match moves {
        Moves::EverySync => AnchorPolicy::EverySync,
        Moves::Interval(nanoseconds) => AnchorPolicy::Interval(*nanoseconds),
        Moves::OpenAndClose => AnchorPolicy::OpenAndClose,
    };
    (Some(anchor), policy)
}

/// What a label says of it.
pub fn described(freshness: &Freshness, name: &str) -> Anchored {
    match freshness {
        Freshness::Run => Anchored::No,
        Freshness::InsecureFile { .. } => Anchored::InsecureFile,
        Freshness::Service { key, .. } => Anchored::Service { key: *key, index: index(name) },
    }
}

/// What the service knows a volume by: signer, workload and name. Nothing that the host keeps enters it, so a volume that
/// was deleted cannot be created again behind the service's back.
fn index(name: &str) -> [u8; 32] {
    let own = identity::own_report();
    let mut context = Context::new(&SHA256);
    for part in [&b"twine anchor index v1\0"[..], &own.mrsigner, &own.configid, name.as_bytes()] {
        context.update(part);
    }
    let mut index = [0; 32];
    index.copy_from_slice(context.finish().as_ref());
    index
}

/// The host, by the handle of the volume's store.
struct Host(u64);

impl Host {
    fn call(&self, operation: AnchorOperation, [expected, rest]: [&[u8]; 2]) -> Result<Vec<u8>, Status> {
        let ask = Ask { store: self.0, operation: operation as u64, expected: expected.len() as u64 };
        let mut answer = vec![0; MAX_ANCHOR];
        let (_, count) = border::call(&ask, &[expected, rest].concat(), &mut answer)?;
        answer.truncate(count);
        Ok(answer)
    }
}

fn failed(what: &str) -> impl Fn(Status) -> AnchorError {
    move |status| AnchorError::Failed(format!("{what} ({status:?})"))
}

impl AnchorRecord for Host {
    fn get(&mut self) -> Result<Option<Vec<u8>>, AnchorError> {
        match self.call(AnchorOperation::Get, [&[], &[]]) {
            Ok(record) => Ok(Some(record)),
            Err(Status::NotFound) => Ok(None),
            Err(status) => Err(failed("the host could not read its record")(status)),
        }
    }

    fn swap(&mut self, expected: &[u8], new: &[u8]) -> Result<(), AnchorError> {
        match self.call(AnchorOperation::Swap, [expected, new]) {
            Ok(_) => Ok(()),
            Err(Status::Busy) => Err(AnchorError::Conflict),
            Err(status) => Err(failed("the host could not keep its record")(status)),
        }
    }
}

impl Transport for Host {
    fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, AnchorError> {
        self.call(AnchorOperation::Ask, [&[], message]).map_err(|status| match status {
            Status::NotFound => AnchorError::Failed(
                "the host knows no service for it; name its address with host.anchors".to_owned(),
            ),
            _ => AnchorError::Failed("the service does not answer; is it running?".to_owned()),
        })
    }
}
