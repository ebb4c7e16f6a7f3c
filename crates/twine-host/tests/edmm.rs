//! Pages that come, change and go while the enclave runs: EACCEPT, EMODPE, EACCEPTCOPY and the host's side.
#![allow(unsafe_code, reason = "the test enclave is assembly")]

mod common;

use common::*;
use twine_host::backend::{Exception, Exit, PageError, Perms, Regs};
use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{ErrorCode, PageType, SecinfoFlags, Tcs, leaf};

const SECINFO: u64 = DATA + 0x100;
const PAGE: u64 = 0x1000;
const PENDING_RW: SecinfoFlags = RW.union(SecinfoFlags::PENDING);
const TRIM: SecinfoFlags = SecinfoFlags::PT_B2.union(SecinfoFlags::MODIFIED);

fn accept(f: &Fixture, flags: SecinfoFlags, page: u64) -> Result<(), Result<ErrorCode, Exit>> {
    f.poke(SECINFO, &secinfo(flags));
    let done = f.enclu(leaf::EACCEPT.into(), f.address(SECINFO), f.address(page), 0).map_err(Err)?;
    assert_eq!(done.zf, done.rax != 0, "ZF says what RAX says");
    match done.rax {
        0 => Ok(()),
        code => Err(Ok(ErrorCode::try_from(code as u32).unwrap())),
    }
}

fn extend(f: &Fixture, flags: SecinfoFlags, page: u64) -> Result<(), Exit> {
    f.poke(SECINFO, &secinfo(flags));
    f.enclu(leaf::EMODPE.into(), f.address(SECINFO), f.address(page), 0).map(|done| assert_eq!(done.rax, 6))
}

fn accept_copy(f: &Fixture, flags: SecinfoFlags, to: u64, from: u64) -> Result<u64, Exit> {
    f.poke(SECINFO, &secinfo(flags));
    f.enclu(leaf::EACCEPTCOPY.into(), f.address(SECINFO), f.address(to), f.address(from)).map(|done| done.rax)
}

fn touch(f: &Fixture, routine: u64, at: u64) -> Result<(), Exit> {
    match f.enter(TCS, routine, &mut [f.address(at)]).unwrap() {
        Exit::Exited => Ok(()),
        exit => {
            f.recover();
            Err(exit)
        }
    }
}

fn load(f: &Fixture, at: u64) -> Result<(), Exit> {
    touch(f, routine!(test_load), at)
}

fn store(f: &Fixture, at: u64) -> Result<(), Exit> {
    touch(f, routine!(test_store), at)
}

fn page_fault(f: &Fixture, page: u64, error_code: u32) -> Exit {
    Exit::Exception(Exception {
        vector: vector::PF,
        error_code: error_code | pfec::U,
        address: f.address(page),
    })
}

fn gp() -> Exit {
    Exit::Exception(Exception { vector: vector::GP, error_code: 0, address: 0 })
}

/// A fixture with `pages` of heap mapped readable and writable.
fn with_heap(pages: u64) -> Fixture {
    let f = Fixture::new();
    f.enclave.protect(HEAP..HEAP + pages * PAGE, Perms::RW).unwrap();
    f
}

#[test]
fn an_absent_page_of_a_mapped_range_comes_pending_and_works_when_accepted() {
    let f = with_heap(1);
    assert_eq!(store(&f, HEAP + 5), Err(page_fault(&f, HEAP, pfec::W | pfec::P | pfec::SGX)));
    assert_eq!(load(&f, HEAP + 5), Err(page_fault(&f, HEAP, pfec::P | pfec::SGX)), "still pending");
    assert_eq!(accept(&f, PENDING_RW, HEAP), Ok(()));
    assert_eq!(f.peek::<4096>(HEAP), [0; 4096]);
    assert_eq!(store(&f, HEAP + 5), Ok(()));
    assert_eq!(f.peek::<1>(HEAP + 5), [0x77]);
    // Not mapped by the host: an ordinary fault, and EACCEPT has no page either.
    assert_eq!(load(&f, HEAP + PAGE), Err(page_fault(&f, HEAP + PAGE, 0)));
    assert_eq!(accept(&f, PENDING_RW, HEAP + PAGE), Err(Err(page_fault(&f, HEAP + PAGE, 0))));
}

#[test]
fn eaccept_brings_an_absent_page_itself() {
    let f = with_heap(1);
    assert_eq!(accept(&f, PENDING_RW, HEAP), Ok(()));
    assert_eq!(store(&f, HEAP), Ok(()));
}

#[test]
fn eaccept_refuses_what_does_not_match() {
    let f = with_heap(2);
    let mismatch = Err(Ok(ErrorCode::PageAttributesMismatch));
    for flags in [
        RW | SecinfoFlags::PENDING | SecinfoFlags::X,
        SecinfoFlags::R | SecinfoFlags::PENDING | PageType::Reg.into(),
        RW | SecinfoFlags::PR,
        TRIM,
        PT_TCS | SecinfoFlags::MODIFIED,
    ] {
        assert_eq!(accept(&f, flags, HEAP), mismatch, "{flags:?}");
    }
    assert_eq!(accept(&f, PENDING_RW, HEAP), Ok(()));
    assert_eq!(
        accept(&f, PENDING_RW, HEAP),
        mismatch,
        "accepted already: the host cannot have it zeroed again"
    );
    assert_eq!(accept(&f, PENDING_RW, DATA), mismatch, "a page of the image");
    // Combinations that are no request, and bad operands.
    for flags in [
        RW,
        RW | SecinfoFlags::PENDING | SecinfoFlags::MODIFIED,
        RW | SecinfoFlags::MODIFIED,
        SecinfoFlags::PT_B2,
        TRIM | SecinfoFlags::PENDING,
        TRIM | SecinfoFlags::PR,
        SecinfoFlags::PENDING,
        SecinfoFlags::PENDING | SecinfoFlags::PT_B0 | SecinfoFlags::PT_B1,
    ] {
        assert_eq!(accept(&f, flags, HEAP), Err(Err(gp())), "{flags:?}");
    }
    assert_eq!(accept(&f, PENDING_RW, HEAP + 8), Err(Err(gp())));
    assert_eq!(accept(&f, PENDING_RW, SIZE), Err(Err(gp())));
    f.poke(SECINFO, &secinfo(PENDING_RW));
    f.poke(SECINFO + 63, &[1]);
    let call = |at| f.enclu(leaf::EACCEPT.into(), f.address(at), f.address(HEAP + PAGE), 0);
    assert_eq!(call(SECINFO), Err(gp()), "a reserved byte of SECINFO");
    assert_eq!(call(SECINFO + 8), Err(gp()), "SECINFO is not aligned");
    assert_eq!(
        call(TCS),
        Err(page_fault(&f, TCS, pfec::P | pfec::SGX)),
        "SECINFO in a page that is not readable"
    );
}

/// Runs a loop of the image; answers RAX, the page RCX points at, and the exit.
fn run_loop(f: &Fixture, routine: u64, flags: SecinfoFlags, from: u64, to: u64) -> (u64, u64, Exit) {
    f.poke(SECINFO, &secinfo(flags));
    let mut block = [0, f.address(SECINFO), f.address(from), f.address(to), 0];
    let exit = f.enter(TCS, routine, &mut block).unwrap();
    (block[0], block[2].wrapping_sub(f.enclave.base()), exit)
}

#[test]
fn the_accept_loop_does_what_its_iterations_would() {
    let f = with_heap(16);
    let accept_loop = routine!(test_accept_loop);
    assert_eq!(accept(&f, PENDING_RW, HEAP + 8 * PAGE), Ok(()));
    // Stops at the page that is accepted already, as a loop of single steps would.
    let stopped = run_loop(&f, accept_loop, PENDING_RW, HEAP, HEAP + 16 * PAGE);
    let mismatch = ErrorCode::PageAttributesMismatch as u64;
    assert_eq!(stopped, (mismatch, HEAP + 8 * PAGE, Exit::Exited));
    let finished = run_loop(&f, accept_loop, PENDING_RW, HEAP + 9 * PAGE, HEAP + 16 * PAGE);
    assert_eq!(finished, (5, HEAP + 16 * PAGE, Exit::Exited));
    for page in 0..16 {
        assert_eq!(store(&f, HEAP + page * PAGE), Ok(()), "page {page}");
    }
    // One page, and an end that is no page boundary.
    f.enclave.protect(HEAP + 16 * PAGE..HEAP + 19 * PAGE, Perms::RW).unwrap();
    let one = run_loop(&f, accept_loop, PENDING_RW, HEAP + 16 * PAGE, HEAP + 16 * PAGE + 1);
    assert_eq!(one, (5, HEAP + 17 * PAGE, Exit::Exited));
    // A fault in the middle comes from the iteration that has it.
    let (_, _, exit) = run_loop(&f, accept_loop, PENDING_RW, HEAP + 17 * PAGE, HEAP + 24 * PAGE);
    assert_eq!(exit, page_fault(&f, HEAP + 19 * PAGE, 0));
    let gprs = twine_sgx::ssa::Gprsgx::from_bytes(&f.peek(SSA + twine_sgx::ssa::gprsgx_offset(1))).unwrap();
    assert_eq!((gprs.rax, gprs.rcx), (5, f.address(HEAP + 19 * PAGE)));
    f.recover();
    assert_eq!(store(&f, HEAP + 18 * PAGE), Ok(()), "the pages before it are accepted");
}

#[test]
fn the_loop_counts_as_one_trap_per_run() {
    let f = Fixture::new();
    let pages = (SIZE - HEAP) / PAGE;
    f.enclave.protect(HEAP..SIZE, Perms::RW).unwrap();
    let start = std::time::Instant::now();
    let (rax, end, _) = run_loop(&f, routine!(test_accept_loop), PENDING_RW, HEAP, SIZE);
    assert_eq!((rax, end), (5, SIZE));
    println!("{pages} pages in {:?}", start.elapsed());
}

#[test]
fn permissions_are_restricted_by_the_host_and_accepted_inside() {
    let f = with_heap(3);
    run_loop(&f, routine!(test_accept_loop), PENDING_RW, HEAP, HEAP + 3 * PAGE);
    f.enclave.restrict(HEAP..HEAP + 2 * PAGE, Perms::R).unwrap();
    assert_eq!(store(&f, HEAP), Err(page_fault(&f, HEAP, pfec::W | pfec::P | pfec::SGX)));
    assert_eq!(store(&f, HEAP + 2 * PAGE), Ok(()));
    let read_only = SecinfoFlags::R | SecinfoFlags::PR | PageType::Reg.into();
    assert_eq!(accept(&f, read_only | SecinfoFlags::W, HEAP), Err(Ok(ErrorCode::PageAttributesMismatch)));
    assert_eq!(accept(&f, read_only, HEAP), Ok(()));
    assert_eq!(load(&f, HEAP), Ok(()));
    // Restriction never adds.
    f.enclave.restrict(HEAP..HEAP + PAGE, Perms::all()).unwrap();
    assert_eq!(store(&f, HEAP), Err(page_fault(&f, HEAP, pfec::W | pfec::P | pfec::SGX)));
}

#[test]
fn code_becomes_executable_without_ever_being_writable_then() {
    let f = with_heap(1);
    accept(&f, PENDING_RW, HEAP).unwrap();
    f.poke(HEAP, &[0xC3]);
    let call = |f: &Fixture| touch(f, routine!(test_call), HEAP);
    assert_eq!(call(&f), Err(page_fault(&f, HEAP, pfec::I | pfec::P)), "the mapping is not executable");
    f.enclave.restrict(HEAP..HEAP + PAGE, Perms::R).unwrap();
    accept(&f, SecinfoFlags::R | SecinfoFlags::PR | PageType::Reg.into(), HEAP).unwrap();
    f.enclave.protect(HEAP..HEAP + PAGE, Perms::RX).unwrap();
    assert_eq!(call(&f), Err(page_fault(&f, HEAP, pfec::I | pfec::P | pfec::SGX)), "the EPCM entry is not");
    assert_eq!(extend(&f, RX, HEAP), Ok(()));
    assert_eq!(call(&f), Ok(()));
    assert_eq!(store(&f, HEAP), Err(page_fault(&f, HEAP, pfec::W | pfec::P)));
}

#[test]
fn emodpe_extends_and_never_takes_away() {
    let f = with_heap(4);
    assert_eq!(extend(&f, RW, HEAP), Err(page_fault(&f, HEAP, pfec::P | pfec::SGX)), "no page");
    store(&f, HEAP).unwrap_err();
    assert_eq!(extend(&f, RW, HEAP), Err(page_fault(&f, HEAP, pfec::P | pfec::SGX)), "a pending page");
    accept(&f, PENDING_RW, HEAP).unwrap();
    assert_eq!(extend(&f, PageType::Reg.into(), HEAP), Ok(()));
    assert_eq!(store(&f, HEAP), Ok(()), "a downgrade does nothing");
    assert_eq!(extend(&f, RW, TCS), Err(page_fault(&f, TCS, pfec::P | pfec::SGX)));
    assert_eq!(extend(&f, RW, HEAP + 8), Err(gp()));
    f.enclave.restrict(HEAP..HEAP + PAGE, Perms::empty()).unwrap();
    assert_eq!(
        extend(&f, SecinfoFlags::W | PageType::Reg.into(), HEAP),
        Err(gp()),
        "writable and not readable"
    );
    // The loop.
    run_loop(&f, routine!(test_accept_loop), PENDING_RW, HEAP + PAGE, HEAP + 4 * PAGE);
    f.enclave.restrict(HEAP + PAGE..HEAP + 4 * PAGE, Perms::R).unwrap();
    let (_, end, exit) = run_loop(&f, routine!(test_extend_loop), RW, HEAP + PAGE, HEAP + 4 * PAGE);
    assert_eq!((end, exit), (HEAP + 4 * PAGE, Exit::Exited));
    for page in 1..4 {
        assert_eq!(store(&f, HEAP + page * PAGE), Ok(()));
    }
}

#[test]
fn eacceptcopy_fills_a_fresh_page_with_its_final_permissions() {
    let f = with_heap(3);
    f.poke(DATA + 0xFFF, &[0xAB]);
    f.poke(DATA, &[0xC3]);
    f.enclave.protect(HEAP..HEAP + PAGE, Perms::RX).unwrap();
    assert_eq!(accept_copy(&f, RX, HEAP, DATA), Ok(0));
    assert_eq!((f.peek::<1>(HEAP), f.peek::<1>(HEAP + 0xFFF)), ([0xC3], [0xAB]));
    assert_eq!(touch(&f, routine!(test_call), HEAP), Ok(()));
    assert_eq!(store(&f, HEAP), Err(page_fault(&f, HEAP, pfec::W | pfec::P)));
    let mismatch = ErrorCode::PageAttributesMismatch as u64;
    assert_eq!(accept_copy(&f, RX, HEAP, DATA), Ok(mismatch), "not pending any more");
    assert_eq!(accept_copy(&f, RW, DATA, DATA), Ok(mismatch), "a page of the image");
    assert_eq!(accept_copy(&f, SecinfoFlags::W | PageType::Reg.into(), HEAP + PAGE, DATA), Err(gp()));
    assert_eq!(accept_copy(&f, PT_TCS, HEAP + PAGE, DATA), Err(gp()));
    assert_eq!(accept_copy(&f, RW, HEAP + PAGE + 8, DATA), Err(gp()));
    assert_eq!(accept_copy(&f, RW, HEAP + PAGE, DATA + 8), Err(gp()));
    let source = page_fault(&f, HEAP + 2 * PAGE, pfec::P | pfec::SGX);
    assert_eq!(accept_copy(&f, RW, HEAP + PAGE, HEAP + 2 * PAGE), Err(source), "a source that is pending");
    assert_eq!(accept_copy(&f, RW, HEAP + 3 * PAGE, DATA), Err(page_fault(&f, HEAP + 3 * PAGE, pfec::W)));
}

fn state(result: Result<(), PageError>) -> &'static str {
    match result {
        Err(PageError::State { reason, .. }) => reason,
        other => panic!("not refused for a page's state: {other:?}"),
    }
}

#[test]
fn pages_go_when_trimmed_accepted_and_removed() {
    let f = with_heap(4);
    let all = HEAP..HEAP + 4 * PAGE;
    run_loop(&f, routine!(test_accept_loop), PENDING_RW, all.start, all.end);
    f.poke(HEAP, &[0xEE; 64]);
    assert_eq!(state(f.enclave.remove(all.clone())), "only trimmed pages can be removed");
    f.enclave.trim(all.clone()).unwrap();
    assert_eq!(load(&f, HEAP), Err(page_fault(&f, HEAP, pfec::P | pfec::SGX)));
    assert_eq!(state(f.enclave.remove(all.clone())), "the enclave has not accepted the trimming yet");
    assert_eq!(state(f.enclave.trim(all.clone())), "an earlier change is not accepted yet");
    assert_eq!(accept(&f, PENDING_RW, HEAP), Err(Ok(ErrorCode::PageAttributesMismatch)));
    let (rax, end, _) = run_loop(&f, routine!(test_accept_loop), TRIM, all.start, all.end);
    assert_eq!((rax, end), (5, all.end));
    assert_eq!(load(&f, HEAP), Err(page_fault(&f, HEAP, pfec::P | pfec::SGX)), "trimmed is gone");
    f.enclave.remove(all.clone()).unwrap();
    assert_eq!(state(f.enclave.remove(all.clone())), "there is no page");
    // The addresses serve again, with fresh pages.
    assert_eq!(accept(&f, PENDING_RW, HEAP), Ok(()));
    assert_eq!(f.peek::<64>(HEAP), [0; 64]);
}

/// How many of the pages at `range` have memory: of this mapping only, as other tests of this process move its own
/// figures.
fn resident(f: &Fixture, range: &std::ops::Range<u64>) -> u64 {
    let mut pages = vec![0; ((range.end - range.start) / PAGE) as usize];
    let (at, len) = (f.address(range.start) as *mut _, (range.end - range.start) as usize);
    // SAFETY: the range lies in the enclave's mapping; `pages` has a byte for each of its pages.
    assert_eq!(unsafe { libc::mincore(at, len, pages.as_mut_ptr()) }, 0);
    pages.iter().map(|page| u64::from(page & 1)).sum()
}

#[test]
fn removed_pages_give_their_memory_back() {
    let f = Fixture::new();
    let all = HEAP..SIZE;
    f.enclave.protect(all.clone(), Perms::RW).unwrap();
    assert_eq!(resident(&f, &all), 0);
    // What is EAUGed is memory at once.
    run_loop(&f, routine!(test_accept_loop), PENDING_RW, all.start, all.end);
    assert_eq!(resident(&f, &all), (SIZE - HEAP) / PAGE);
    f.enclave.trim(all.clone()).unwrap();
    run_loop(&f, routine!(test_accept_loop), TRIM, all.start, all.end);
    f.enclave.remove(all.clone()).unwrap();
    assert_eq!(resident(&f, &all), 0);
}

#[test]
fn a_page_becomes_a_tcs_and_goes_again() {
    let f = with_heap(4);
    run_loop(&f, routine!(test_accept_loop), PENDING_RW, HEAP, HEAP + 4 * PAGE);
    let tcs = HEAP;
    let contents = Tcs { ossa: HEAP + PAGE, nssa: 2, ogsbasgx: HEAP + PAGE, ..Default::default() };
    f.poke(tcs, &contents.to_bytes());
    f.enclave.make_tcs(tcs..tcs + PAGE).unwrap();
    let fault = f.enter(tcs, routine!(test_exit), &mut []).unwrap_err();
    assert_eq!(fault.reason, "RBX is not the address of a TCS of this enclave", "not accepted yet");
    assert_eq!(accept(&f, PT_TCS | SecinfoFlags::MODIFIED, tcs), Ok(()));
    assert_eq!(load(&f, tcs), Err(page_fault(&f, tcs, pfec::P | pfec::SGX)), "nobody reads a TCS");
    let mut regs = Regs { rsi: routine!(test_exit), ..Default::default() };
    let exit = f.enclave.enter(twine_host::backend::Leaf::Eenter, f.address(tcs), &mut regs);
    assert_eq!((exit, regs.rsi), (Ok(Exit::Exited), 0x5151));
    assert_eq!(state(f.enclave.make_tcs(tcs..tcs + PAGE)), "the page is a TCS already");
    f.enclave.trim(tcs..tcs + PAGE).unwrap();
    assert!(f.enter(tcs, routine!(test_exit), &mut []).is_err());
    accept(&f, TRIM, tcs).unwrap();
    f.enclave.remove(tcs..tcs + PAGE).unwrap();
    // A TCS whose contents the processor would not take.
    let bad = HEAP + 3 * PAGE;
    f.poke(bad, &Tcs { nssa: 1, cssa: 1, ..contents }.to_bytes());
    f.enclave.make_tcs(bad..bad + PAGE).unwrap();
    assert_eq!(accept(&f, PT_TCS | SecinfoFlags::MODIFIED, bad), Err(Err(gp())));
}

#[test]
fn a_mapping_cannot_exceed_what_a_page_was_added_with() {
    let f = Fixture::new();
    let refused = "mapping it with more than its SECINFO had is not allowed";
    assert_eq!(state(f.enclave.protect(CODE..CODE + PAGE, Perms::RW)), refused);
    assert_eq!(state(f.enclave.protect(DATA..DATA + PAGE, Perms::RX)), refused);
    assert_eq!(state(f.enclave.protect(TCS..DATA, Perms::all())), refused);
    assert_eq!(store(&f, CODE), Err(page_fault(&f, CODE, pfec::W | pfec::P)));
    assert_eq!(load(&f, TCS), Err(page_fault(&f, TCS, pfec::P | pfec::SGX)));
    // Taking away and giving back is the host's right.
    f.enclave.protect(DATA + PAGE..DATA + 2 * PAGE, Perms::empty()).unwrap();
    assert_eq!(load(&f, DATA + PAGE), Err(page_fault(&f, DATA + PAGE, pfec::P)));
    f.enclave.protect(DATA + PAGE..DATA + 2 * PAGE, Perms::RW).unwrap();
    assert_eq!(store(&f, DATA + PAGE), Ok(()));
}

#[test]
fn ranges_are_checked() {
    let f = Fixture::new();
    #[expect(clippy::reversed_empty_ranges, reason = "that is the point")]
    let bad = [0..0, 0x2000..0x1000, 8..0x1000, 0..8, SIZE - PAGE..SIZE + PAGE, u64::MAX - 0xFFF..u64::MAX];
    for range in bad {
        for result in [
            f.enclave.protect(range.clone(), Perms::R),
            f.enclave.restrict(range.clone(), Perms::R),
            f.enclave.trim(range.clone()),
            f.enclave.make_tcs(range.clone()),
            f.enclave.remove(range.clone()),
        ] {
            assert!(matches!(result, Err(PageError::Range { .. })), "{range:x?}: {result:?}");
        }
    }
    assert_eq!(state(f.enclave.restrict(HEAP..HEAP + PAGE, Perms::R)), "there is no page");
    assert_eq!(state(f.enclave.restrict(TCS..TCS + PAGE, Perms::R)), "only regular pages have permissions");
    let write_only = "a page cannot be writable and not readable";
    assert_eq!(state(f.enclave.restrict(DATA..DATA + PAGE, Perms::W)), write_only);
    assert_eq!(state(f.enclave.trim(HEAP..HEAP + PAGE)), "there is no page");
}

#[test]
fn two_threads_commit_at_once() {
    let f = Fixture::new();
    f.enclave.protect(HEAP..SIZE, Perms::RW).unwrap();
    f.poke(SECINFO, &secinfo(PENDING_RW));
    let half = (HEAP + (SIZE - HEAP) / 2) & !(PAGE - 1);
    let commit = |tcs, from, to| {
        for page in (from..to).step_by(PAGE as usize) {
            let mut block = [leaf::EACCEPT.into(), f.address(SECINFO), f.address(page), 0, 0];
            assert_eq!(f.enter(tcs, routine!(test_enclu), &mut block), Ok(Exit::Exited));
            assert_eq!(block[0], 0, "page {page:#x}");
            assert_eq!(f.enter(tcs, routine!(test_store), &mut [f.address(page)]), Ok(Exit::Exited));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| commit(TCS, HEAP, half));
        scope.spawn(|| commit(TCS2, half, SIZE));
    });
}
