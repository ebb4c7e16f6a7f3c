//! The system's limit on mappings (vm.max_map_count). Alone in its process, because it uses them all up.
#![allow(unsafe_code, reason = "the test enclave is assembly")]

mod common;

use common::*;
use twine_host::backend::{Backend, Config, Exception, Exit, PageError, Perms};
use twine_sgx::ssa::{pfec, vector};
use twine_sgx::{PAGE_SIZE, SecinfoFlags, leaf};

#[test]
fn running_out_of_mappings_is_a_fault_and_no_damage() {
    let limit: u64 = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
    if limit > 1 << 18 {
        println!("vm.max_map_count is {limit}: it would take too long to reach");
        return;
    }
    let mut image = Image::test();
    image.bytes[12..20].copy_from_slice(&(1_u64 << 39).to_le_bytes());
    let sig = sign(sigstruct(image.mrenclave()));
    let f = Fixture { enclave: sim().load(&image.bytes, &sig, &Config::default()).unwrap() };
    let page = |i: u64| HEAP + 2 * i * PAGE_SIZE;
    f.enclave.protect(HEAP..page(limit), Perms::RW).unwrap();
    f.poke(DATA + 0x100, &secinfo(RW | SecinfoFlags::PENDING));
    // Every other page: no two accepted pages are neighbours, so each costs two mappings.
    let accept = |i| f.enclu(leaf::EACCEPT.into(), f.address(DATA + 0x100), f.address(page(i)), 0);
    let (full, exit) = (0..limit).find_map(|i| accept(i).err().map(|exit| (i, exit))).unwrap();
    println!("{full} separate pages under a limit of {limit}");
    assert!(full > limit / 4);
    let fault = Exception { vector: vector::PF, error_code: pfec::U, address: f.address(page(full)) };
    assert_eq!(exit, Exit::Exception(fault));
    let refused = f.enclave.protect(page(full / 2)..page(full / 2) + PAGE_SIZE, Perms::R);
    assert!(
        refused.is_ok() || matches!(refused, Err(PageError::System { call: "mprotect", .. })),
        "{refused:?}"
    );
    // Filling a gap gives mappings back; the page that failed is as it was and can be accepted then.
    for i in 0..8 {
        let gap = f.enclu(leaf::EACCEPT.into(), f.address(DATA + 0x100), f.address(page(i) + PAGE_SIZE), 0);
        assert_eq!(gap.unwrap().rax, 0);
    }
    assert_eq!(accept(full).unwrap().rax, 0);
    assert_eq!(f.enter(TCS, routine!(test_store), &mut [f.address(page(full))]), Ok(Exit::Exited));
}
