//! The owner's anchor service against a host that carries its messages (docs/volume-format.md, section 10).

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use ring::signature::Ed25519KeyPair;
use twine_vfs::FileSystem;

use super::support::{Random, TestClock, environment, master, tiny};
use crate::store::MemoryStore;
use crate::{
    AnchorError, AnchorService, Environment, Error, Ledger, Options, Result, ServiceAnchor, Transport, Volume,
};

#[derive(Default)]
struct InMemory(HashMap<[u8; 32], Vec<u8>>);

impl Ledger for InMemory {
    fn get(&mut self, index: &[u8; 32]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.get(index).cloned())
    }

    fn put(&mut self, index: &[u8; 32], entry: &[u8]) -> io::Result<()> {
        self.0.insert(*index, entry.to_vec());
        Ok(())
    }
}

/// What the host does to a message on its way: the request and the honest answer, if it asks for one.
type Carry = Arc<dyn Fn(&[u8], &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync>;

#[derive(Clone)]
struct Service {
    service: Arc<Mutex<AnchorService<InMemory>>>,
    key: [u8; 32],
    carry: Arc<Mutex<Carry>>,
}

impl Service {
    fn new() -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[3; 32]).expect("key");
        let service = AnchorService::new(key, InMemory::default());
        let key = service.public_key();
        Service {
            service: Arc::new(Mutex::new(service)),
            key,
            carry: Arc::new(Mutex::new(Arc::new(|message, ask| ask(message)))),
        }
    }

    fn host(
        &self,
        carry: impl Fn(&[u8], &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) {
        *self.carry.lock().expect("lock") = Arc::new(carry);
    }

    fn honest(&self) {
        self.host(|message, ask| ask(message));
    }

    fn environment(&self, seed: u64, index: [u8; 32]) -> Environment {
        let anchor = ServiceAnchor::new(Box::new(self.clone()), Box::new(Random(seed)), self.key, index);
        Environment { anchor: Some(Box::new(anchor)), ..environment(seed, &TestClock::default()) }
    }

    fn create(&self, store: &MemoryStore, seed: u64, index: [u8; 32]) -> Result<Volume> {
        Volume::create(Box::new(store.clone()), &master(), self.environment(seed, index), &tiny())
    }

    fn open(&self, store: &MemoryStore, seed: u64, index: [u8; 32]) -> Result<Volume> {
        Volume::open(Box::new(store.clone()), &master(), self.environment(seed, index), &tiny())
    }
}

impl Transport for Service {
    fn ask(&mut self, message: &[u8]) -> core::result::Result<Vec<u8>, AnchorError> {
        let carry = self.carry.lock().expect("lock").clone();
        let mut ask = |message: &[u8]| {
            self.service.lock().expect("lock").answer(message).expect("the ledger is in memory")
        };
        carry(message, &mut ask).ok_or_else(|| AnchorError::Failed("no answer".into()))
    }
}

fn commit(volume: &Volume, name: &str) -> Result<()> {
    volume.create(volume.root(), name).expect("create");
    volume.sync_all()
}

const INDEX: [u8; 32] = [5; 32];

#[test]
fn an_old_copy_is_refused_and_the_newest_state_opens() {
    let (service, store) = (Service::new(), MemoryStore::default());
    let volume = service.create(&store, 1, INDEX).expect("create");
    commit(&volume, "a").expect("sync");
    let old = store.image();
    commit(&volume, "b").expect("sync");
    drop(volume);
    assert_eq!(
        service.open(&MemoryStore::new(old), 2, INDEX).err(),
        Some(Error::Rollback { found: 2, anchored: 3 })
    );
    let volume = service.open(&store, 3, INDEX).expect("open");
    assert_eq!(volume.info().anchor, "service");
    commit(&volume, "c").expect("sync");
}

#[test]
fn of_two_writers_one_goes_on() {
    let (service, store) = (Service::new(), MemoryStore::default());
    let first = service.create(&store, 1, INDEX).expect("create");
    commit(&first, "a").expect("sync");
    let second = service.open(&MemoryStore::new(store.image()), 2, INDEX).expect("a clone opens");
    assert!(matches!(commit(&first, "b"), Err(Error::Forked { .. })));
    commit(&second, "c").expect("the one that came last");
}

#[test]
fn an_answer_serves_once() {
    let (service, store) = (Service::new(), MemoryStore::default());
    drop(service.create(&store, 1, INDEX).expect("create"));
    // The host keeps the first answer and gives it to every later question.
    let kept = Arc::new(Mutex::new(None));
    service.host(move |message, ask| {
        let mut kept = kept.lock().expect("lock");
        let fresh = ask(message);
        kept.get_or_insert(fresh.clone()).clone()
    });
    assert_eq!(service.open(&store, 2, INDEX).err(), Some(Error::AnchorForged));
    service.honest();
    service.open(&store, 3, INDEX).expect("an honest host");
}

#[test]
fn a_swap_that_the_host_swallows_or_answers_itself_fails_the_sync() {
    let (service, store) = (Service::new(), MemoryStore::default());
    let volume = service.create(&store, 1, INDEX).expect("create");
    commit(&volume, "a").expect("sync");
    service.host(|_, _| None);
    assert!(matches!(commit(&volume, "b"), Err(Error::Anchor(_))));
    assert_eq!(volume.create(volume.root(), "c"), Err(twine_vfs::Error::ReadOnly));
    drop(volume);
    service.honest();
    let volume = service.open(&store, 2, INDEX).expect("open");
    let other = Ed25519KeyPair::from_seed_unchecked(&[4; 32]).expect("key");
    let impostor = Mutex::new(AnchorService::new(other, InMemory::default()));
    service.host(move |message, _| impostor.lock().expect("lock").answer(message).expect("memory"));
    assert_eq!(commit(&volume, "d").err(), Some(Error::AnchorForged));
}

#[test]
fn any_changed_byte_of_question_or_answer_is_noticed() {
    let (service, store) = (Service::new(), MemoryStore::default());
    drop(service.create(&store, 1, INDEX).expect("create"));
    let sizes = Arc::new(Mutex::new((0, 0)));
    let seen = sizes.clone();
    service.host(move |message, ask| {
        let answer = ask(message);
        *seen.lock().expect("lock") = (message.len(), answer.as_ref().map_or(0, Vec::len));
        answer
    });
    drop(service.open(&store, 2, INDEX).expect("open"));
    let (question, answer) = *sizes.lock().expect("lock");
    assert_eq!((question, answer), (348, 162));
    for at in 0..question {
        service.host(move |message, ask| {
            let mut message = message.to_vec();
            message[at] ^= 1;
            ask(&message)
        });
        let error = service.open(&store, 3, INDEX).err();
        assert!(matches!(error, Some(Error::Anchor(_) | Error::AnchorForged)), "{at}: {error:?}");
    }
    for at in 0..answer {
        service.host(move |message, ask| {
            let mut answer = ask(message)?;
            answer[at] ^= 1;
            Some(answer)
        });
        assert_eq!(service.open(&store, 4, INDEX).err(), Some(Error::AnchorForged), "{at}");
    }
    for cut in [0, 1, 97, 161] {
        service.host(move |message, ask| Some(ask(message)?[..cut].to_vec()));
        assert_eq!(service.open(&store, 5, INDEX).err(), Some(Error::AnchorForged), "{cut}");
    }
}

#[test]
fn a_volume_that_was_deleted_is_missed() {
    let (service, store) = (Service::new(), MemoryStore::default());
    drop(service.create(&store, 1, INDEX).expect("create"));
    // The host shows an empty store: the service knows better.
    let again = service.create(&MemoryStore::default(), 2, INDEX);
    assert_eq!(again.err(), Some(Error::OtherAnchor));
    service.open(&store, 3, INDEX).expect("the one that is known");
}

#[test]
fn a_volume_that_the_service_does_not_know_is_refused() {
    let (service, store) = (Service::new(), MemoryStore::default());
    let plain = environment(1, &TestClock::default());
    drop(Volume::create(Box::new(store.clone()), &master(), plain, &tiny()).expect("create"));
    assert_eq!(service.open(&store, 2, INDEX).err(), Some(Error::Unanchored));
}

#[test]
fn two_volumes_cannot_stand_for_one_another() {
    let service = Service::new();
    let (one, two) = (MemoryStore::default(), MemoryStore::default());
    drop(service.create(&one, 1, [1; 32]).expect("create"));
    drop(service.create(&two, 2, [2; 32]).expect("create"));
    assert_eq!(service.open(&one, 3, [2; 32]).err(), Some(Error::OtherAnchor));
    assert_eq!(service.open(&two, 4, [1; 32]).err(), Some(Error::OtherAnchor));
}

/// A host that can talk to the service, but holds no volume key, moves nothing: what it records is refused as a whole.
#[test]
fn only_the_volume_moves_its_record() {
    let (service, store) = (Service::new(), MemoryStore::default());
    let volume = service.create(&store, 1, INDEX).expect("create");
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let seen = recorded.clone();
    service.host(move |message, ask| {
        seen.lock().expect("lock").push(message.to_vec());
        ask(message)
    });
    commit(&volume, "a").expect("sync");
    commit(&volume, "b").expect("sync");
    service.honest();
    // Old swaps, sent again, find another record than they expect.
    for message in recorded.lock().expect("lock").iter() {
        let answer = service.service.lock().expect("lock").answer(message).expect("memory").expect("signed");
        assert_eq!(answer[8], 4, "a conflict");
    }
    commit(&volume, "c").expect("nothing has moved");
    assert_eq!(service.service.lock().expect("lock").answer(b"nonsense").expect("memory"), None);
    let options = Options { read_only: true, ..tiny() };
    drop(volume);
    let environment = service.environment(7, INDEX);
    Volume::open(Box::new(store), &master(), environment, &options).expect("reading moves nothing");
}
