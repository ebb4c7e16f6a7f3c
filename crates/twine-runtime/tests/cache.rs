//! The sealed cache: what is corrupt, foreign or stale is never run.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use twine_runtime::cache::{Sealer, Store};
use twine_runtime::module::{Cache, cached, compile};
use twine_runtime::{Options, engine};
use wasmtime::Engine;

const MODULE: &str = r#"(module (func (export "_start")))"#;
const KEY: [u8; 16] = [7; 16];

#[derive(Default)]
struct Memory {
    files: RefCell<HashMap<[u8; 32], Vec<u8>>>,
    puts: Cell<usize>,
}

impl Store for Memory {
    fn get(&self, name: &[u8; 32]) -> Option<Vec<u8>> {
        self.files.borrow().get(name).cloned()
    }

    fn put(&self, name: &[u8; 32], bytes: &[u8]) {
        self.puts.set(self.puts.get() + 1);
        self.files.borrow_mut().insert(*name, bytes.to_vec());
    }
}

fn cache<'a>(store: &'a Memory, key: &[u8], module: [u8; 32], engine: &Engine) -> Cache<'a> {
    Cache { store, sealer: Sealer::new(key, &module, engine), nonce: || [1; 12] }
}

fn default_engine() -> Engine {
    engine(Options::default()).unwrap()
}

#[test]
fn what_was_compiled_comes_back() {
    let (store, engine) = (Memory::default(), default_engine());
    let cache = cache(&store, &KEY, [1; 32], &engine);
    assert!(cached(&engine, &cache).is_none());
    compile(&engine, &wat(MODULE), Some(&cache)).unwrap();
    assert_eq!(store.puts.get(), 1);
    assert!(cached(&engine, &cache).is_some());
}

#[test]
fn every_changed_byte_is_noticed() {
    let (store, engine) = (Memory::default(), default_engine());
    let cache = cache(&store, &KEY, [1; 32], &engine);
    compile(&engine, &wat(MODULE), Some(&cache)).unwrap();
    let name = cache.sealer.name();
    let sealed = store.get(&name).unwrap();
    let step = sealed.len() / 97 + 1;
    for at in (0..sealed.len()).step_by(step).chain(0..28).chain(sealed.len() - 17..sealed.len()) {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        store.files.borrow_mut().insert(name, changed);
        assert!(cached(&engine, &cache).is_none(), "byte {at} of {}", sealed.len());
    }
    for length in [0, 1, 11, 12, 27, 28, sealed.len() - 1] {
        store.files.borrow_mut().insert(name, sealed[..length].to_vec());
        assert!(cached(&engine, &cache).is_none(), "cut to {length}");
    }
    store.files.borrow_mut().insert(name, sealed);
    assert!(cached(&engine, &cache).is_some());
}

#[test]
fn another_enclave_module_or_setting_cannot_open_it() {
    let (store, engine) = (Memory::default(), default_engine());
    let own = cache(&store, &KEY, [1; 32], &engine);
    compile(&engine, &wat(MODULE), Some(&own)).unwrap();
    let sealed = store.get(&own.sealer.name()).unwrap();
    let fuel = twine_runtime::engine(Options { fuel: true, ..Options::default() }).unwrap();
    for (what, other, engine) in [
        ("another MRENCLAVE", cache(&store, &[8; 16], [1; 32], &engine), &engine),
        ("another module", cache(&store, &KEY, [2; 32], &engine), &engine),
        ("other settings", cache(&store, &KEY, [1; 32], &fuel), &fuel),
    ] {
        // The host serves the artefact under whatever name is asked for.
        store.files.borrow_mut().insert(other.sealer.name(), sealed.clone());
        assert!(cached(engine, &other).is_none(), "{what}");
    }
}

#[test]
fn names_differ_and_do_not_show_the_module() {
    let engine = default_engine();
    let name = |module| Sealer::new(&KEY, &module, &engine).name();
    assert_ne!(name([1; 32]), name([2; 32]));
    assert_ne!(name([1; 32]), [1; 32]);
}

fn wat(text: &str) -> Vec<u8> {
    ::wat::parse_str(text).unwrap()
}
