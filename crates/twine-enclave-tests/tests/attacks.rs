//! What enclave runtimes fell to: the state of registers at entry and exit, re-entry at every instruction, made-up
//! exceptions, buffers that are none. `docs/enclave.md` has the table.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use twine_abi::entry::{Exit as Left, Notice};
use twine_abi::wire::BUFFER_SIZE;
use twine_enclave_tests::{Adversary, DEBUG, PRODUCTION, Plan, Reply, load, processor, run};
use twine_host::backend::{Enclave, Exit, Leaf, Regs};
use twine_host::sim::{Hostility, Registers};

/// Tests that take every way in and out: calls with and without bytes, exceptions, threads.
const BUSY: [&str; 6] =
    ["border/state", "border/calls", "cpuid/answers", "memory/protect", "threads/condvar", "heap/alignment"];

#[test]
fn the_hosts_register_state_does_not_get_in() {
    let sim = processor().hostile(Hostility { dirty_entry: true, ..Hostility::default() });
    for test in BUSY {
        run(&load(&sim, DEBUG), test.into(), Vec::new()).succeeds();
    }
}

/// Leaves nothing but what the protocol says: RAX is EEXIT's number, RBX where to, RDI and RSI the message.
fn is_scrubbed(exit: &Registers) -> Result<(), String> {
    const STATUS_DF_AC: u64 = 0x8D5 | 1 << 10 | 1 << 18;
    const ZF_PF: u64 = 0x44;
    let known = Left::from_register(exit.rdi).is_some() && exit.rsi <= BUFFER_SIZE as u64;
    if exit.rax != 4 || exit.rdx != 0 || exit.r8_to_r15 != [0; 8] || !known {
        return Err(format!("{exit:x?}"));
    }
    if exit.rflags & STATUS_DF_AC != ZF_PF {
        return Err(format!("flags {:#x}", exit.rflags));
    }
    let mut initial = vec![0; exit.extended.len()];
    initial[..2].copy_from_slice(&0x37F_u16.to_le_bytes());
    initial[24..28].copy_from_slice(&0x1F80_u32.to_le_bytes());
    // MXCSR_MASK and the header are the processor's.
    let state = |bytes: &[u8]| [&bytes[..28], &bytes[32..512], &bytes[576..]].concat();
    if state(&exit.extended) == state(&initial) { Ok(()) } else { Err(format!("{:x?}", exit.extended)) }
}

#[test]
fn registers_are_scrubbed_at_every_exit() {
    let watch = Arc::new(Mutex::new(Vec::new()));
    let sim = processor().hostile(Hostility {
        watch: Some(watch.clone()),
        dirty_entry: true,
        ..Hostility::default()
    });
    for test in BUSY.iter().chain(&["ends/panic", "ends/null", "heap/out-of-memory"]) {
        for sigstruct in [DEBUG, PRODUCTION] {
            run(&load(&sim, sigstruct), (*test).into(), Vec::new());
            let exits = std::mem::take(&mut *watch.lock().unwrap());
            assert!(!exits.is_empty(), "{test}");
            for (number, exit) in exits.iter().enumerate() {
                is_scrubbed(exit).unwrap_or_else(|what| panic!("{test}, exit {number}: {what}"));
            }
        }
    }
}

#[test]
fn the_check_of_registers_can_fail() {
    let clean = |extended: Vec<u8>| Registers {
        rax: 4,
        rbx: 0,
        rcx: 0,
        rdx: 0,
        rsi: 0,
        rdi: 1,
        rsp: 0,
        rbp: 0,
        r8_to_r15: [0; 8],
        rflags: 0x246,
        extended,
    };
    let mut extended = vec![0; 832];
    extended[..2].copy_from_slice(&0x37F_u16.to_le_bytes());
    extended[24..28].copy_from_slice(&0x1F80_u32.to_le_bytes());
    assert_eq!(is_scrubbed(&clean(extended.clone())), Ok(()));
    for byte in [2, 40, 200, 600, 831] {
        let mut dirty = extended.clone();
        dirty[byte] = 1;
        assert!(is_scrubbed(&clean(dirty)).is_err(), "byte {byte}");
    }
    assert!(
        is_scrubbed(&Registers { r8_to_r15: [0, 0, 0, 0, 0, 0, 0, 1], ..clean(extended.clone()) }).is_err()
    );
    assert!(is_scrubbed(&Registers { rflags: 0x247, ..clean(extended) }).is_err());
}

/// Enters again after every interrupt, with everything that a host may say, and sometimes while the handler runs.
struct Reentrant {
    steps: Arc<AtomicU64>,
    /// Steps from the first reply on.
    later: u64,
    notices: [u64; 5],
    count: usize,
    handled: u64,
    refused: u64,
    nested: u64,
}

impl Reentrant {
    fn new(steps: &Arc<AtomicU64>, later: u64) -> Self {
        let exception = Notice::Exception as u64;
        let notices = [exception, 2, exception, u64::MAX, 0x5EC2E7];
        Self { steps: steps.clone(), later, notices, count: 0, handled: 0, refused: 0, nested: 0 }
    }
}

impl Plan for Reentrant {
    fn reply(&mut self, reply: &mut Reply<'_>) {
        // Most steps at the start are those of relocation.
        if reply.before == 0 {
            self.steps.store(self.later, Ordering::Relaxed);
        }
    }

    fn left(&mut self, enclave: &dyn Enclave, tcs: u64, exit: Exit, _: &Regs) {
        if exit != Exit::Interrupted {
            return;
        }
        let notice = self.notices[self.count % self.notices.len()];
        self.count += 1;
        // Interrupting the handler as well, at every instruction, is worth it now and then.
        let left =
            if self.count.is_multiple_of(97) { None } else { Some(self.steps.swap(0, Ordering::Relaxed)) };
        let mut regs = Regs { rdi: notice, rsi: 0xBAD, ..Regs::default() };
        let mut exit = enclave.enter(Leaf::Eenter, tcs, &mut regs);
        if exit.is_err() {
            // The handler of an exception of the program's own was interrupted.
            self.nested += 1;
            return;
        }
        while exit == Ok(Exit::Interrupted) {
            self.nested += 1;
            // CSSA is NSSA: the processor lets nobody in.
            let mut again = Regs { rdi: notice, ..Regs::default() };
            enclave.enter(Leaf::Eenter, tcs, &mut again).expect_err("an entry without an SSA frame");
            exit = enclave.enter(Leaf::Eresume, tcs, &mut regs);
        }
        assert_eq!(exit, Ok(Exit::Exited), "re-entry {}", self.count);
        match Left::from_register(regs.rdi) {
            Some(Left::Handled) => self.handled += 1,
            Some(Left::Refused) => self.refused += 1,
            other => panic!("re-entry {}: {other:?}", self.count),
        }
        if let Some(left) = left {
            self.steps.store(left, Ordering::Relaxed);
        }
    }
}

/// SmashEx: an interrupt and an entry after every single instruction, through the start, host calls, replies and the end.
/// Whatever the host says then, the run goes on as if nothing had happened.
#[test]
fn an_entry_after_any_instruction_changes_nothing() {
    for (test, later) in [("border/idle", 20_000), ("border/calls", 60_000), ("cpuid/answers", 40_000)] {
        let steps = Arc::new(AtomicU64::new(20_000));
        let sim = processor().hostile(Hostility { single_steps: steps.clone(), ..Hostility::default() });
        let adversary = Arc::new(Adversary::new(load(&sim, DEBUG), Reentrant::new(&steps, later)));
        let enclave: Arc<dyn Enclave> = adversary.clone();
        run(&enclave, test.into(), Vec::new()).succeeds();
        let (handled, refused, nested) = adversary.with(|plan| (plan.handled, plan.refused, plan.nested));
        println!("{test}: {handled} handled, {refused} refused, {nested} while handling");
        // On the way in and out nothing can be taken, elsewhere it can.
        assert!(handled > 500 && refused > 10_000 && nested > 100, "{test}: {handled}, {refused}, {nested}");
    }
}

/// Steps through entries late in a run, when memory comes and goes. One thread: the steps are counted for all of them.
#[test]
fn an_entry_after_any_instruction_of_a_later_call_changes_nothing() {
    struct Late(Reentrant, usize);
    impl Plan for Late {
        fn enter(&mut self, leaf: Leaf, _: u64, _: &mut Regs) {
            if leaf == Leaf::Eenter {
                self.1 += 1;
                if self.1.is_multiple_of(61) {
                    self.0.steps.store(400, Ordering::Relaxed);
                }
            }
        }
        fn left(&mut self, enclave: &dyn Enclave, tcs: u64, exit: Exit, regs: &Regs) {
            self.0.left(enclave, tcs, exit, regs);
        }
    }
    let steps = Arc::new(AtomicU64::new(0));
    let sim = processor().hostile(Hostility { single_steps: steps.clone(), ..Hostility::default() });
    let adversary = Arc::new(Adversary::new(load(&sim, DEBUG), Late(Reentrant::new(&steps, 0), 0)));
    let enclave: Arc<dyn Enclave> = adversary.clone();
    run(&enclave, "memory/fragments".into(), Vec::new()).succeeds();
    assert!(adversary.with(|plan| plan.0.handled + plan.0.refused) > 300);
}

/// Says each exception again and again before it resumes.
struct Echo(u64);

impl Plan for Echo {
    fn left(&mut self, enclave: &dyn Enclave, tcs: u64, exit: Exit, _: &Regs) {
        if let Exit::Exception(_) = exit {
            for notice in [Notice::Exception as u64, 7, Notice::Exception as u64] {
                let mut regs = Regs { rdi: notice, ..Regs::default() };
                assert_eq!(enclave.enter(Leaf::Eenter, tcs, &mut regs), Ok(Exit::Exited));
                assert_eq!(Left::from_register(regs.rdi), Some(Left::Handled));
                self.0 += 1;
            }
        }
    }
}

/// Sigy, replayed: an exception is handled once, however often the host tells of it.
#[test]
fn an_exception_that_is_told_again_changes_nothing() {
    for test in ["cpuid/answers", "memory/protect", "memory/touch", "memory/release"] {
        let adversary = Arc::new(Adversary::new(load(&processor(), DEBUG), Echo(0)));
        let enclave: Arc<dyn Enclave> = adversary.clone();
        run(&enclave, test.into(), Vec::new()).succeeds();
        assert!(adversary.with(|plan| plan.0) > 0, "{test}");
    }
}

/// Enters and says how the enclave left.
fn enter(enclave: &dyn Enclave, slot: usize, buffer: u64, size: u64) -> Option<Left> {
    let mut regs = Regs { rdi: buffer, rsi: size, ..Regs::default() };
    assert_eq!(enclave.enter(Leaf::Eenter, enclave.tcs()[slot], &mut regs), Ok(Exit::Exited));
    Left::from_register(regs.rdi)
}

/// What a host says at an entry, made of four words.
type Case = fn(u64, u64, u64, u64) -> (u64, u64);

#[test]
fn a_bad_buffer_is_the_end_of_the_enclave() {
    let size = BUFFER_SIZE as u64;
    let memory = vec![0_u8; 3 * BUFFER_SIZE];
    let good = (memory.as_ptr() as u64).next_multiple_of(4096);
    let cases: [Case; 12] = [
        |_, _, _, size| (0, size),
        |good, _, _, size| (good + 8, size),
        |good, _, _, size| (good + 1, size),
        |good, _, _, size| (good, size - 8),
        |good, _, _, size| (good, size + 8),
        |good, _, _, _| (good, 0),
        |good, _, _, _| (good, u64::MAX),
        |_, base, _, size| (base, size),
        |_, base, _, size| (base - size + 4096, size),
        |_, _, end, size| (end - size, size),
        |_, _, end, size| (end - 4096, size),
        |_, _, _, size| (u64::MAX - 4095, size),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let enclave = load(&processor(), PRODUCTION);
        let (buffer, claimed) = case(good, enclave.base(), enclave.base() + enclave.size(), size);
        assert_eq!(enter(&*enclave, 0, buffer, claimed), Some(Left::Dead), "case {number}");
        for slot in 0..enclave.tcs().len() {
            assert_eq!(enter(&*enclave, slot, good, size), Some(Left::Dead), "case {number}, slot {slot}");
        }
    }
    assert!(memory.iter().all(|&byte| byte == 0), "the enclave wrote where it was told not to");
}

#[test]
fn entries_before_the_start_and_after_the_end_do_nothing() {
    let memory = vec![0_u8; 2 * BUFFER_SIZE];
    let (buffer, size) = ((memory.as_ptr() as u64).next_multiple_of(4096), BUFFER_SIZE as u64);
    let enclave = load(&processor(), DEBUG);
    for slot in 1..enclave.tcs().len() {
        assert_eq!(enter(&*enclave, slot, buffer, size), Some(Left::Idle), "slot {slot} before the start");
    }
    run(&enclave, b"border/calls".to_vec(), Vec::new()).succeeds();
    for slot in 0..enclave.tcs().len() {
        assert_eq!(enter(&*enclave, slot, buffer, size), Some(Left::Idle), "slot {slot} after the end");
    }
    let enclave = load(&processor(), DEBUG);
    run(&enclave, b"ends/panic".to_vec(), Vec::new());
    for slot in 0..enclave.tcs().len() {
        assert_eq!(enter(&*enclave, slot, buffer, size), Some(Left::Dead), "slot {slot} after a panic");
    }
}
