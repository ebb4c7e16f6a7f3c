//! The volume against plain files of the same disk, side by side in one run: A B A B, medians.
//!
//! `cargo run --release -p twine-volume --example bench -- [FOLDER] [--rounds N] [--files N]`
//!
//! Plain files are read and written through the operating system's page cache, as a native program would. `--files`
//! creates that many files in one directory, lists them and looks them up cold.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use twine_vfs::{FileSystem, Ino};
use twine_volume::store::FileStore;
use twine_volume::{Counters, Environment, MasterKey, Options, Volume};

const BLOCK: usize = 4096;
const WRITTEN: u64 = 64 << 20;
const COLD: u64 = 512 << 20;
const CACHED: u64 = 16 << 20;
const SYNCS: u64 = 300;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let (mut folder, mut rounds, mut files) = (std::env::temp_dir(), 5, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rounds" => rounds = arguments.next().ok_or("--rounds takes a number")?.parse()?,
            "--files" => files = arguments.next().ok_or("--files takes a number")?.parse()?,
            other => folder = PathBuf::from(other),
        }
    }
    let folder = folder.join(format!("twine-volume-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let outcome = if files > 0 { many_files(&folder, files) } else { compare(&folder, rounds) };
    fs::remove_dir_all(&folder)?;
    outcome
}

/// The share of the cipher, and proof that its fast path is taken: without it every ratio below would say nothing.
fn cipher() -> Outcome<()> {
    use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[3; 32]).map_err(|_| "key")?);
    let mut block = [7; BLOCK];
    let mut times = Vec::new();
    for n in 0..2000u64 {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&n.to_le_bytes());
        let start = Instant::now();
        let _tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from([0; 44]), &mut block)
            .map_err(|_| "seal")?;
        times.push(start.elapsed());
    }
    let median = median(times).as_secs_f64() * 1e6;
    println!("AES-256-GCM of 4 KiB: {median:.2} us");
    if median > 5.0 { Err("the cipher's vector instructions are not used".into()) } else { Ok(()) }
}

fn compare(folder: &Path, rounds: usize) -> Outcome<()> {
    cipher()?;
    println!("{:<34} {:>12} {:>12} {:>8} {:>16}", "", "plain", "volume", "ratio", "store calls/op");
    let volume = create(folder, "new", 32 << 20)?;
    let before = volume.info().counters;
    let (mut plain_names, mut names) = (1.., 1..);
    let times = both(
        rounds,
        || {
            write_plain(
                &plain_file(folder, &format!("plain-new-{:?}", plain_names.next()))?,
                sequence(WRITTEN, false),
            )
        },
        || {
            let ino = volume.create(volume.root(), &format!("{:?}", names.next()))?;
            write_volume(&volume, ino, sequence(WRITTEN, false))
        },
    )?;
    report("new file of 64 MiB, sync", times, WRITTEN / BLOCK as u64, calls(before, &volume) / rounds as f64);
    volume.unmount()?;

    let volume = create(folder, "write", 32 << 20)?;
    let ino = volume.create(volume.root(), "file")?;
    let plain = plain_file(folder, "plain-write")?;
    // What the first write to a new file costs is not what is asked here.
    write_plain(&plain, sequence(WRITTEN, false))?;
    write_volume(&volume, ino, sequence(WRITTEN, false))?;
    volume.unmount()?;
    drop(volume);
    for (name, random) in [("sequential write 64 MiB, sync", false), ("random write 64 MiB, sync", true)] {
        let mut made = 0.0;
        let times = both(
            rounds,
            || write_plain(&plain, sequence(WRITTEN, random)),
            // The first write of a run, since the last one gave back what it did not need.
            || {
                let volume = open(folder, "write", 32 << 20)?;
                let before = volume.info().counters;
                let time = write_volume(&volume, ino, sequence(WRITTEN, random))?;
                made += calls(before, &volume);
                volume.unmount()?;
                Ok(time)
            },
        )?;
        report(name, times, WRITTEN / BLOCK as u64, made / rounds as f64);
    }
    let volume = open(folder, "write", 32 << 20)?;
    overwrite_and_sync(&plain, &volume, ino)?;
    volume.unmount()?;
    drop(volume);

    let volume = create(folder, "read", 8 << 20)?;
    let ino = volume.create(volume.root(), "file")?;
    let plain = plain_file(folder, "plain-read")?;
    write_plain(&plain, sequence(COLD, false))?;
    write_volume(&volume, ino, sequence(COLD, false))?;
    for (name, random) in [("cold sequential read 512 MiB", false), ("cold random read 512 MiB", true)] {
        let before = volume.info().counters;
        let times = both(
            rounds.min(3),
            || read_plain(&plain, sequence(COLD, random)),
            || read_volume(&volume, ino, sequence(COLD, random)),
        )?;
        report(name, times, COLD / BLOCK as u64, calls(before, &volume) / rounds.min(3) as f64);
    }
    volume.unmount()?;

    let volume = open(folder, "write", 32 << 20)?;
    let (ino, _) = volume.lookup(volume.root(), "file")?;
    read_volume(&volume, ino, sequence(CACHED, false))?;
    let before = volume.info().counters;
    let times = both(
        rounds * 4,
        || read_plain(&plain, sequence(CACHED, true)),
        || read_volume(&volume, ino, sequence(CACHED, true)),
    )?;
    report("cached random read 16 MiB", times, CACHED / BLOCK as u64, calls(before, &volume));
    Ok(())
}

/// Offsets of 4 KiB pieces, in order or shuffled, each once.
fn sequence(bytes: u64, random: bool) -> Vec<u64> {
    let n = bytes / BLOCK as u64;
    let mut offsets: Vec<u64> = (0..n).map(|i| i * BLOCK as u64).collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    if random {
        for i in (1..offsets.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            offsets.swap(i, (state % (i as u64 + 1)) as usize);
        }
    }
    offsets
}

fn write_plain(file: &File, offsets: Vec<u64>) -> Outcome<Duration> {
    let block = [0x5a; BLOCK];
    let start = Instant::now();
    for offset in offsets {
        file.write_all_at(&block, offset)?;
    }
    file.sync_data()?;
    Ok(start.elapsed())
}

fn write_volume(volume: &Volume, ino: Ino, offsets: Vec<u64>) -> Outcome<Duration> {
    let block = [0x5a; BLOCK];
    let start = Instant::now();
    for offset in offsets {
        volume.write(ino, offset, &block)?;
    }
    volume.sync(ino, true)?;
    Ok(start.elapsed())
}

fn read_plain(file: &File, offsets: Vec<u64>) -> Outcome<Duration> {
    let mut block = [0; BLOCK];
    let start = Instant::now();
    for offset in offsets {
        file.read_exact_at(&mut block, offset)?;
    }
    Ok(start.elapsed())
}

fn read_volume(volume: &Volume, ino: Ino, offsets: Vec<u64>) -> Outcome<Duration> {
    let mut block = [0; BLOCK];
    let start = Instant::now();
    for offset in offsets {
        volume.read(ino, offset, &mut block)?;
    }
    Ok(start.elapsed())
}

fn overwrite_and_sync(plain: &File, volume: &Volume, ino: Ino) -> Outcome<()> {
    let block = [0xa5; BLOCK];
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let offsets: Vec<u64> = sequence(WRITTEN, true).into_iter().take(SYNCS as usize).collect();
    let before = volume.info().counters;
    for offset in offsets {
        let start = Instant::now();
        plain.write_all_at(&block, offset)?;
        plain.sync_data()?;
        a.push(start.elapsed());
        let start = Instant::now();
        volume.write(ino, offset, &block)?;
        volume.sync(ino, true)?;
        b.push(start.elapsed());
    }
    let (plain, sealed) = (median(a), median(b));
    let per_op = calls(before, volume) / SYNCS as f64;
    println!(
        "{:<34} {:>9.1} us {:>9.1} us {:>7.2}x {:>16.3}   (time, not throughput)",
        "4 KiB overwrite and durable sync",
        plain.as_secs_f64() * 1e6,
        sealed.as_secs_f64() * 1e6,
        sealed.as_secs_f64() / plain.as_secs_f64(),
        per_op
    );
    Ok(())
}

fn both(
    rounds: usize,
    mut plain: impl FnMut() -> Outcome<Duration>,
    mut volume: impl FnMut() -> Outcome<Duration>,
) -> Outcome<(Duration, Duration)> {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        a.push(plain()?);
        b.push(volume()?);
    }
    Ok((median(a), median(b)))
}

fn report(name: &str, (plain, volume): (Duration, Duration), operations: u64, calls: f64) {
    let per = |time: Duration| time.as_secs_f64() * 1e6 / operations as f64;
    println!(
        "{name:<34} {:>9.2} us {:>9.2} us {:>7.2}x {:>16.3}",
        per(plain),
        per(volume),
        plain.as_secs_f64() / volume.as_secs_f64(),
        calls / operations as f64
    );
}

fn calls(before: Counters, volume: &Volume) -> f64 {
    let now = volume.info().counters;
    let total = |c: Counters| c.reads + c.writes + c.syncs + c.resizes;
    (total(now) - total(before)) as f64
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn plain_file(folder: &Path, name: &str) -> Outcome<File> {
    Ok(File::options().read(true).write(true).create_new(true).open(folder.join(name))?)
}

fn key() -> MasterKey {
    MasterKey::new([1; 32])
}

fn create(folder: &Path, name: &str, cache_bytes: usize) -> Outcome<Volume> {
    let store = FileStore::create(&folder.join(name))?;
    let options = Options { cache_bytes, ..Options::default() };
    Ok(Volume::create(Box::new(store), &key(), Environment::system(), &options)?)
}

fn open(folder: &Path, name: &str, cache_bytes: usize) -> Outcome<Volume> {
    let store = FileStore::open(&folder.join(name), true)?;
    let options = Options { cache_bytes, ..Options::default() };
    Ok(Volume::open(Box::new(store), &key(), Environment::system(), &options)?)
}

fn many_files(folder: &Path, files: u64) -> Outcome<()> {
    let volume = create(folder, "many", 64 << 20)?;
    let root = volume.root();
    let start = Instant::now();
    for i in 0..files {
        volume.create(root, &format!("file-{i:07}"))?;
    }
    volume.sync_all()?;
    let created = start.elapsed();
    let info = volume.info();
    println!("created {files} files in {created:.2?}, {} bytes of store each", info.used_bytes / files);
    let start = Instant::now();
    let (mut cookie, mut seen) = (0, 0);
    loop {
        let (mut last, mut n) = (cookie, 0);
        volume.readdir(root, cookie, &mut |entry| {
            last = entry.cookie;
            n += 1;
            n < 1000
        })?;
        if n == 0 {
            break;
        }
        (cookie, seen) = (last, seen + n);
    }
    println!("listed {seen} in {:.2?}", start.elapsed());
    // A kill: nothing is closed.
    volume.create(root, "unsynced")?;
    drop(volume);
    let start = Instant::now();
    let volume = open(folder, "many", 64 << 20)?;
    println!("opened after a kill in {:.2?}", start.elapsed());
    let mut times = Vec::new();
    for offset in sequence(files * BLOCK as u64, true).into_iter().take(20_000) {
        let name = format!("file-{:07}", offset / BLOCK as u64);
        let start = Instant::now();
        let (ino, _) = volume.lookup(root, &name)?;
        volume.stat(ino)?;
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "lookup and stat: median {:.1?}, p99 {:.1?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
    Ok(())
}
