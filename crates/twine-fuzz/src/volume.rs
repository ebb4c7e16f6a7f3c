//! A volume's store, which the host keeps and may change at will.

use std::sync::LazyLock;

use twine_vfs::{FileSystem, FileType, Ino};
use twine_volume::store::MemoryStore;
use twine_volume::{
    Clock, Entropy, EntropyFailed, Environment, MasterKey, Options, Volume, exercise_decoders,
};

pub fn parts(bytes: &[u8]) {
    exercise_decoders(bytes);
}

/// Pages and parts as they are stored, of a volume's own and made up.
pub fn parts_seeds() -> Vec<Vec<u8>> {
    let leaf = |items: &[(u128, &[u8])]| {
        let mut page = vec![0_u8; 4096];
        let mut at = 8;
        for (i, (key, value)) in items.iter().enumerate() {
            page[4096 - 2 * (i + 1)..4096 - 2 * i].copy_from_slice(&(at as u16).to_le_bytes());
            page[at..at + 16].copy_from_slice(&key.to_le_bytes());
            page[at + 16..at + 18].copy_from_slice(&(value.len() as u16).to_le_bytes());
            page[at + 18..at + 18 + value.len()].copy_from_slice(value);
            at += 18 + value.len();
        }
        page[2..4].copy_from_slice(&(items.len() as u16).to_le_bytes());
        page[4..6].copy_from_slice(&(at as u16).to_le_bytes());
        page
    };
    let store = &*STORE;
    let headers = store.chunks(4096).take(4).map(<[u8]>::to_vec);
    headers
        .chain([
            leaf(&[(1, b"one"), (2, b"two"), (9 << 64, &[7; 100])]),
            leaf(&[]),
            vec![0; 56],
            vec![1; 200],
        ])
        .collect()
}

/// Numbers that look random, the same each time: an input means the same in every process.
struct Counter(u64);

impl Entropy for Counter {
    fn fill(&mut self, buf: &mut [u8]) -> Result<(), EntropyFailed> {
        for byte in buf {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.0 >> 56) as u8;
        }
        Ok(())
    }
}

impl Clock for Counter {
    fn now(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

fn environment() -> Environment {
    Environment { entropy: Box::new(Counter(1)), clock: Box::new(Counter(1)), anchor: None }
}

fn key() -> MasterKey {
    MasterKey::new([0x42; 32])
}

const CONTENTS: &[u8] = b"what was written";

/// A store with files, a directory, a link and a few commits.
static STORE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let store = MemoryStore::default();
    let volume =
        Volume::create(Box::new(store.clone()), &key(), environment(), &Options::default()).expect("creates");
    let root = volume.root();
    let folder = volume.mkdir(root, "folder").expect("mkdir");
    for i in 0..40 {
        let file = volume.create(folder, &format!("file {i}")).expect("create");
        volume.write(file, 0, CONTENTS).expect("write");
        volume.close(file);
        if i % 8 == 0 {
            volume.sync_all().expect("sync");
        }
    }
    let large = volume.create(root, "large").expect("create");
    volume.write(large, 100_000, &[9; 70_000]).expect("write");
    volume.close(large);
    volume.symlink(root, "link", "folder/file 3").expect("symlink");
    volume.unmount().expect("unmount");
    store.image()
});

/// Changes a good store as the input says, opens it and reads all of it. What is read is what was written, or an error.
pub fn whole(bytes: &[u8]) {
    let mut store = STORE.clone();
    for change in bytes.chunks_exact(8) {
        let offset =
            u32::from_le_bytes([change[0], change[1], change[2], change[3]]) as usize % store.len().max(1);
        let (value, length) = (change[4], usize::from(change[5]) + 1);
        let end = (offset + length).min(store.len());
        let from = u16::from_le_bytes([change[6], change[7]]) as usize * 4096 % store.len().max(1);
        match value {
            // A slot out of another place, the end cut off, or bytes changed.
            0..8 => {
                let slot = offset / 4096 * 4096;
                let source = store[from..(from + 4096).min(store.len())].to_vec();
                let end = (slot + source.len()).min(store.len());
                let count = end - slot;
                store[slot..end].copy_from_slice(&source[..count]);
            }
            8 => store.truncate(offset),
            _ => store[offset..end].iter_mut().for_each(|byte| *byte ^= value),
        }
        if store.is_empty() {
            break;
        }
    }
    let unchanged = store == *STORE;
    let store = MemoryStore::new(store);
    match Volume::open(Box::new(store), &key(), environment(), &Options::default()) {
        Ok(volume) => walk(&volume, volume.root(), 0),
        Err(error) => assert!(!unchanged, "a good store is refused: {error}"),
    }
}

fn walk(volume: &Volume, folder: Ino, depth: u32) {
    assert!(depth < 4, "folders within folders that nobody made");
    let mut names = Vec::new();
    let _ = volume.readdir(folder, 0, &mut |entry| {
        names.push((entry.name.to_owned(), entry.file_type));
        names.len() < 1000
    });
    for (name, kind) in names.into_iter().filter(|(name, _)| name != "." && name != "..") {
        let Ok((ino, _)) = volume.lookup(folder, &name) else { continue };
        match kind {
            FileType::Directory => walk(volume, ino, depth + 1),
            FileType::Symlink => {
                if let Ok(target) = volume.readlink(ino) {
                    assert_eq!(target, "folder/file 3");
                }
            }
            _ => {
                let mut contents = vec![0; 200_000];
                if volume.open(ino).is_ok() {
                    if let Ok(count) = volume.read(ino, 0, &mut contents) {
                        let good = if name == "large" {
                            count == 170_000 && contents[100_000..count].iter().all(|&byte| byte == 9)
                        } else {
                            &contents[..count] == CONTENTS || count == 0
                        };
                        assert!(good, "{name} holds what nobody wrote");
                    }
                    volume.close(ino);
                }
            }
        }
    }
}

pub fn whole_seeds() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        vec![0, 0, 0, 0, 0xFF, 0, 0, 0],
        vec![0, 0x20, 0, 0, 1, 0, 3, 0, 0, 0, 4, 0, 0x80, 255, 0, 0],
        vec![0, 0, 8, 0, 8, 0, 0, 0],
        (0..64_u8).flat_map(|i| [i.wrapping_mul(7), 0, i, 0, 0x10 + i, i, 0, 0]).collect(),
    ]
}
