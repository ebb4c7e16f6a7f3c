//! Clocks, randomness, signals, sockets.

use crate::guest::*;

#[test]
fn clocks_come_from_the_embedder() {
    let mut guest = Guest::new();
    guest.host.with(|host| (host.realtime, host.monotonic) = (12, 34));
    for (id, time, resolution) in [(0, 12, 1000), (1, 34, 7)] {
        guest.call("clock_time_get", &[id, 0, 64]).unwrap();
        assert_eq!(guest.u64(64), time);
        guest.call("clock_res_get", &[id, 64]).unwrap();
        assert_eq!(guest.u64(64), resolution);
    }
    for (id, errno) in [(2, BADF), (3, BADF), (4, INVAL), (u32::MAX.into(), INVAL)] {
        assert_eq!(guest.call("clock_time_get", &[id, 0, 64]), Err(errno));
        assert_eq!(guest.call("clock_res_get", &[id, 64]), Err(errno));
    }
}

#[test]
fn clocks_can_be_denied() {
    let mut guest = Guest::with(|builder, _| builder.deny_clocks());
    for (id, errno) in [(0, NOTSUP), (1, NOTSUP), (2, BADF), (3, BADF), (4, INVAL)] {
        assert_eq!(guest.call("clock_time_get", &[id, 0, 64]), Err(errno));
        assert_eq!(guest.call("clock_res_get", &[id, 64]), Err(errno));
    }
}

#[test]
fn random_bytes_fill_exactly_what_was_asked_for() {
    let mut guest = Guest::new();
    guest.call("random_get", &[100, 5]).unwrap();
    assert_eq!(guest.bytes(99, 7), [0, 1, 2, 3, 4, 5, 0]);
    guest.call("random_get", &[100, 0]).unwrap();
    guest.call("random_get", &[0, 4 << 16]).unwrap();
}

#[test]
fn yielding_and_raising() {
    let mut guest = Guest::new();
    guest.call("sched_yield", &[]).unwrap();
    for signal in 0..=30 {
        assert_eq!(guest.call("proc_raise", &[signal]), Err(NOTSUP));
    }
    assert_eq!(guest.call("proc_raise", &[31]), Err(INVAL));
}

#[test]
fn nothing_is_a_socket() {
    let mut guest = Guest::new();
    let file = guest.create("f");
    for (fd, errno) in [(0, NOTSOCK), (ROOT, NOTSOCK), (file, NOTSOCK), (99, BADF)] {
        let fd = u64::from(fd);
        assert_eq!(guest.call("sock_accept", &[fd, 0, 64]), Err(errno));
        assert_eq!(guest.call("sock_recv", &[fd, 0x100, 1, 3, 64, 68]), Err(errno));
        assert_eq!(guest.call("sock_send", &[fd, 0x100, 1, 0, 64]), Err(errno));
        assert_eq!(guest.call("sock_shutdown", &[fd, 3]), Err(errno));
        assert_eq!(guest.call("sock_accept", &[fd, 32, 64]), Err(INVAL));
        assert_eq!(guest.call("sock_recv", &[fd, 0x100, 1, 4, 64, 68]), Err(INVAL));
        assert_eq!(guest.call("sock_shutdown", &[fd, 4]), Err(INVAL));
    }
}
