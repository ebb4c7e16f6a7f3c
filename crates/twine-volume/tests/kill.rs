//! A real process killed by a real SIGKILL while it writes: what it was told to be synced is there.

#![cfg(feature = "file")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use twine_vfs::FileSystem;
use twine_volume::store::FileStore;
use twine_volume::{Environment, Error, MasterKey, Options, Volume};

const STORE: &str = "TWINE_VOLUME_KILL_TEST_STORE";
const ROUNDS: u64 = 8;

fn open(path: &Path, write: bool) -> Result<Volume, Error> {
    let store = FileStore::open(path, write)?;
    let options = Options { read_only: !write, ..Options::default() };
    Volume::open(Box::new(store), &MasterKey::new([1; 32]), Environment::system(), &options)
}

/// The child: writes counters until it is killed, and says each one after its sync.
#[test]
#[ignore = "run by survives_sigkill, as a process of its own"]
fn writer() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let volume = open(Path::new(&path), true).expect("open");
    let root = volume.root();
    let counter = match volume.lookup(root, "counter") {
        Ok((ino, _)) => ino,
        Err(_) => volume.create(root, "counter").expect("create"),
    };
    let mut buf = [0; 8];
    let _ = volume.read(counter, 0, &mut buf).expect("read");
    for n in u64::from_le_bytes(buf) + 1.. {
        let name = format!("file {}", n % 50);
        let ino = match volume.lookup(root, &name) {
            Ok((ino, _)) => ino,
            Err(_) => volume.create(root, &name).expect("create"),
        };
        volume.write(ino, n % 7 * 10_000, &n.to_le_bytes().repeat(2000)).expect("write");
        volume.write(counter, 0, &n.to_le_bytes()).expect("write");
        volume.sync(counter, false).expect("sync");
        println!("synced {n}");
    }
}

#[test]
fn survives_sigkill() {
    let path = std::env::temp_dir().join(format!("twine-volume-kill-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let store = FileStore::create(&path).expect("create");
    let key = MasterKey::new([1; 32]);
    Volume::create(Box::new(store), &key, Environment::system(), &Options::default())
        .and_then(|volume| volume.unmount())
        .expect("create");
    let mut last = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this test's program"))
            .args(["writer", "--exact", "--ignored", "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn");
        // The output is the clock: killed after so many syncs, in the middle of whatever comes next.
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let said =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("synced ")?.parse::<u64>().ok());
        let mut said = said.peekable();
        for n in said.by_ref().take(3 + round as usize * 5) {
            last = n;
        }
        child.kill().expect("kill");
        // What it still said before it died counts as well.
        last = said.last().unwrap_or(last);
        child.wait().expect("wait");
        let volume = open(&path, false).expect("a killed volume opens");
        let (ino, _) = volume.lookup(volume.root(), "counter").expect("lookup");
        let mut buf = [0; 8];
        assert_eq!(volume.read(ino, 0, &mut buf), Ok(8));
        let found = u64::from_le_bytes(buf);
        assert!(found == last || found == last + 1, "round {round}: {found} after {last} was synced");
        assert_eq!(volume.check(), Ok(vec![]));
    }
    assert!(last > ROUNDS);
    std::fs::remove_file(&path).expect("remove");
}
