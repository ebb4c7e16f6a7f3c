//! Threads and what std builds on futexes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use twine_abi::layout::THREADS;
use twine_enclave::{futex, memory};

use crate::{Test, Verdict, ensure};

pub const TESTS: &[Test] = &[
    ("threads/join", join),
    ("threads/slots", slots),
    ("threads/locks", locks),
    ("threads/condvar", condvar),
    ("threads/park", park),
    ("threads/timeouts", timeouts),
    ("threads/locals", locals),
    ("threads/faults", faults),
];

fn join() -> Verdict {
    let handles: Vec<_> = (0..4_u64).map(|i| thread::spawn(move || i * i)).collect();
    for (i, handle) in (0..).zip(handles) {
        ensure!(handle.join().ok() == Some(i * i), "thread {i}");
    }
    let mut squares = [0; 4];
    thread::scope(|scope| {
        for (i, square) in squares.iter_mut().enumerate() {
            scope.spawn(move || *square = i * i);
        }
    });
    ensure!(squares == [0, 1, 4, 9]);
    Ok(())
}

/// As many as there are TCSs, then an error, and again when they have ended.
fn slots() -> Verdict {
    for round in 0..20 {
        let gate = Arc::new(Barrier::new(THREADS));
        let handles: Vec<_> = (1..THREADS)
            .map(|_| {
                let gate = gate.clone();
                thread::Builder::new().spawn(move || gate.wait())
            })
            .collect();
        ensure!(handles.iter().all(Result::is_ok), "round {round}: fewer threads than slots");
        ensure!(thread::Builder::new().spawn(|| ()).is_err(), "round {round}: more threads than slots");
        gate.wait();
        for handle in handles.into_iter().flatten() {
            ensure!(handle.join().is_ok());
        }
    }
    Ok(())
}

fn locks() -> Verdict {
    const ROUNDS: usize = 5_000;
    let (plain, shared, atomic) = (Mutex::new(0), RwLock::new(0), AtomicUsize::new(0));
    let (once, first) = (Once::new(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                once.call_once(|| {
                    first.fetch_add(1, Ordering::Relaxed);
                });
                for round in 0..ROUNDS {
                    if let Ok(mut value) = plain.lock() {
                        *value += 1;
                    }
                    if round % 8 == 0 {
                        if let Ok(mut value) = shared.write() {
                            *value += 8;
                        }
                    } else if let Ok(value) = shared.read() {
                        atomic.fetch_max(*value, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (plain, shared) = (plain.into_inner().unwrap_or(0), shared.into_inner().unwrap_or(0));
    ensure!(plain == 4 * ROUNDS && shared == 4 * ROUNDS, "{plain} and {shared}");
    ensure!(first.into_inner() == 1 && atomic.into_inner() <= 4 * ROUNDS);
    Ok(())
}

fn condvar() -> Verdict {
    let turn = (Mutex::new(0_u32), Condvar::new());
    let play = |mine: u32| {
        for round in 0..200 {
            let lock = turn.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let mut now = turn
                .1
                .wait_while(lock, |now| *now != 2 * round + mine)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            *now += 1;
            turn.1.notify_all();
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| play(0));
        play(1);
    });
    ensure!(turn.0.into_inner().ok() == Some(400));
    let (send, receive) = mpsc::sync_channel(1);
    let sender = thread::spawn(move || (0..1000).try_for_each(|i| send.send(i)).is_ok());
    ensure!(receive.iter().eq(0..1000) && sender.join().ok() == Some(true));
    Ok(())
}

fn park() -> Verdict {
    // A token that comes first is kept.
    thread::current().unpark();
    thread::park();
    let main = thread::current();
    let ready = Arc::new(AtomicU32::new(0));
    let other = thread::spawn({
        let ready = ready.clone();
        move || {
            ready.store(1, Ordering::Release);
            main.unpark();
            while ready.load(Ordering::Acquire) != 2 {
                thread::park();
            }
        }
    });
    while ready.load(Ordering::Acquire) != 1 {
        thread::park();
    }
    ready.store(2, Ordering::Release);
    other.thread().unpark();
    ensure!(other.join().is_ok());
    Ok(())
}

/// A wait ends after its time and not before, by the enclave's clock.
fn timeouts() -> Verdict {
    let wait = Duration::from_millis(20);
    let timed = |what: &str, act: &mut dyn FnMut()| {
        let start = Instant::now();
        act();
        let took = start.elapsed();
        ensure!(took >= wait && took < 100 * wait, "{what} took {took:?}");
        Ok(())
    };
    timed("futex", &mut || {
        futex::wait(&AtomicU32::new(1), 1, Some(wait));
    })?;
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    timed("condvar", &mut || {
        let guard = mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = condvar.wait_timeout_while(guard, wait, |()| true);
    })?;
    let (_send, receive) = mpsc::channel::<()>();
    timed("channel", &mut || {
        assert_eq!(receive.recv_timeout(wait), Err(RecvTimeoutError::Timeout));
    })?;
    // Nothing to wait for.
    let start = Instant::now();
    ensure!(futex::wait(&AtomicU32::new(1), 2, Some(Duration::from_secs(3600))), "another value");
    ensure!(!futex::wait(&AtomicU32::new(1), 1, Some(Duration::ZERO)), "no time");
    ensure!(start.elapsed() < Duration::from_secs(60));
    ensure!(futex::wake(&AtomicU32::new(1), usize::MAX) == 0, "woke somebody");
    Ok(())
}

/// Values of a thread are its own, fresh in each, and dropped at its end.
fn locals() -> Verdict {
    static DROPPED: AtomicU32 = AtomicU32::new(0);
    struct Counted(u32);
    impl Drop for Counted {
        fn drop(&mut self) {
            DROPPED.fetch_add(self.0, Ordering::SeqCst);
        }
    }
    thread_local! {
        static PLAIN: Cell<u32> = const { Cell::new(7) };
        static COUNTED: Counted = const { Counted(1) };
    }
    PLAIN.set(1);
    for round in 1..=16 {
        let fresh = thread::spawn(|| (PLAIN.replace(9), COUNTED.with(|counted| counted.0))).join();
        ensure!(fresh.is_ok_and(|fresh| fresh == (7, 1)), "round {round}");
        ensure!(DROPPED.load(Ordering::SeqCst) == round, "round {round}");
    }
    ensure!(PLAIN.get() == 1);
    Ok(())
}

/// Several threads that fault and allocate at the same time.
fn faults() -> Verdict {
    let before = memory::committed_pages().0;
    let sums: Vec<u64> = thread::scope(|scope| {
        let handles: Vec<_> = (0..4_u64)
            .map(|i| {
                scope.spawn(move || {
                    let mut sum = 0;
                    for round in 0..16 {
                        let mut block = vec![0_u64; 1 << 18];
                        block.iter_mut().for_each(|word| *word = i + round);
                        sum += block.iter().sum::<u64>() >> 18;
                    }
                    sum
                })
            })
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap_or(0)).collect()
    });
    let expected: Vec<u64> = (0..4).map(|i| (0..16).map(|round| i + round).sum()).collect();
    ensure!(sums == expected, "{sums:?}");
    ensure!(memory::committed_pages().0 >= before);
    Ok(())
}
