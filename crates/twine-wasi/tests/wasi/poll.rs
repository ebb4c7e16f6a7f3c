//! `poll_oneoff`: clocks, streams, files, and all of them at once.

use crate::guest::*;

const SUBSCRIPTIONS: u32 = 0x8000;
const EVENTS: u32 = 0xc000;
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

#[derive(Clone, Copy)]
enum On {
    Clock { id: u32, timeout: u64, flags: u16 },
    Read(u32),
    Write(u32),
    Tag(u8),
}

/// Userdata, type, bytes, flags; the error of an event is always success.
type Event = (u64, u8, u64, u16);

fn after(timeout: u64) -> On {
    On::Clock { id: MONOTONIC, timeout, flags: 0 }
}

fn poll(guest: &mut Guest, subscriptions: &[On]) -> Result<Vec<Event>> {
    for (index, on) in subscriptions.iter().enumerate() {
        let mut record = [0; 48];
        record[..8].copy_from_slice(&(index as u64 + 100).to_le_bytes());
        match *on {
            On::Clock { id, timeout, flags } => {
                record[16..20].copy_from_slice(&id.to_le_bytes());
                record[24..32].copy_from_slice(&timeout.to_le_bytes());
                record[40..42].copy_from_slice(&flags.to_le_bytes());
            }
            On::Read(fd) | On::Write(fd) => {
                record[8] = if let On::Read(_) = on { 1 } else { 2 };
                record[16..20].copy_from_slice(&fd.to_le_bytes());
            }
            On::Tag(tag) => record[8] = tag,
        }
        guest.put(SUBSCRIPTIONS + index as u32 * 48, &record);
    }
    guest.call("poll_oneoff", &[SUBSCRIPTIONS.into(), EVENTS.into(), subscriptions.len() as u64, 64])?;
    let events = (0..guest.u32(64)).map(|index| {
        let at = EVENTS + index * 32;
        assert_eq!(guest.u16(at + 8), 0);
        (guest.u64(at), guest.bytes(at + 10, 1)[0], guest.u64(at + 16), guest.u16(at + 24))
    });
    Ok(events.collect())
}

#[test]
fn clocks_relative_and_absolute() {
    let mut guest = Guest::new();
    let (start, wall) = guest.host.with(|host| (host.monotonic, host.realtime));
    assert_eq!(poll(&mut guest, &[after(500)]), Ok(vec![(100, 0, 0, 0)]));
    assert_eq!(guest.host.with(|host| host.waits.pop()), Some((Some(start + 500), false)));
    let absolute = On::Clock { id: MONOTONIC, timeout: start + 2000, flags: 1 };
    assert_eq!(poll(&mut guest, &[absolute]), Ok(vec![(100, 0, 0, 0)]));
    assert_eq!(guest.host.with(|host| host.waits.pop()), Some((Some(start + 2000), false)));
    // The wall clock is turned into a distance once.
    let wall_clock = On::Clock { id: REALTIME, timeout: wall + 300, flags: 1 };
    assert_eq!(poll(&mut guest, &[wall_clock]), Ok(vec![(100, 0, 0, 0)]));
    assert_eq!(guest.host.with(|host| host.waits.pop()), Some((Some(start + 2300), false)));
    let relative = On::Clock { id: REALTIME, timeout: 50, flags: 0 };
    assert_eq!(poll(&mut guest, &[relative]), Ok(vec![(100, 0, 0, 0)]));
    assert_eq!(guest.host.with(|host| host.waits.pop()), Some((Some(start + 2350), false)));
}

#[test]
fn what_is_past_does_not_wait() {
    let mut guest = Guest::new();
    for on in [
        after(0),
        On::Clock { id: MONOTONIC, timeout: 3, flags: 1 },
        On::Clock { id: REALTIME, timeout: 3, flags: 1 },
    ] {
        assert_eq!(poll(&mut guest, &[on]), Ok(vec![(100, 0, 0, 0)]));
    }
    assert_eq!(guest.host.with(|host| host.waits.len()), 0);
}

#[test]
fn the_earliest_clock_wins_and_later_ones_are_not_reported() {
    let mut guest = Guest::new();
    assert_eq!(
        poll(&mut guest, &[after(900), after(200), after(u64::MAX), after(200)]),
        Ok(vec![(101, 0, 0, 0), (103, 0, 0, 0)])
    );
    assert_eq!(guest.host.with(|host| host.monotonic), 1_000_200);
}

#[test]
fn nothing_to_wait_for_is_invalid() {
    let mut guest = Guest::new();
    assert_eq!(poll(&mut guest, &[]), Err(INVAL));
    assert_eq!(poll(&mut guest, &[On::Tag(3)]), Err(INVAL));
    assert_eq!(poll(&mut guest, &[after(1), On::Tag(255)]), Err(INVAL));
    for id in [2, 3, 4, u32::MAX] {
        assert_eq!(poll(&mut guest, &[On::Clock { id, timeout: 0, flags: 0 }]), Err(INVAL));
    }
    assert_eq!(poll(&mut guest, &[On::Clock { id: MONOTONIC, timeout: 0, flags: 2 }]), Err(INVAL));
}

#[test]
fn descriptors_of_the_wrong_kind_fail_the_call() {
    let mut guest = Guest::new();
    for on in
        [On::Read(99), On::Write(99), On::Read(ROOT), On::Write(ROOT), On::Write(0), On::Read(1), On::Read(2)]
    {
        assert_eq!(poll(&mut guest, &[after(0), on]), Err(BADF));
    }
}

#[test]
fn files_and_output_are_always_ready() {
    let mut guest = Guest::new();
    let fd = guest.create("f");
    guest.write(fd, b"hello").unwrap();
    guest.seek(fd, 2, SET).unwrap();
    let all = [On::Read(fd), On::Write(fd), On::Write(1), On::Write(2), after(100)];
    let expected = vec![(100, 1, 3, 0), (101, 2, 1, 0), (102, 2, 1, 0), (103, 2, 1, 0)];
    assert_eq!(poll(&mut guest, &all), Ok(expected));
    guest.seek(fd, 0, END).unwrap();
    assert_eq!(poll(&mut guest, &[On::Read(fd)]), Ok(vec![(100, 1, 0, 1)]), "at the end: hang-up");
    assert_eq!(guest.host.with(|host| host.waits.len()), 0);
}

#[test]
fn input_that_is_there_or_comes() {
    let mut guest = Guest::new();
    guest.host.with(|host| host.stdin.extend(b"x"));
    assert_eq!(poll(&mut guest, &[after(1000), On::Read(0)]), Ok(vec![(101, 1, 1, 0)]));
    guest.read(0, 9).unwrap();
    guest.host.with(|host| host.arrives = Some(b"later".to_vec()));
    assert_eq!(poll(&mut guest, &[On::Read(0)]), Ok(vec![(100, 1, 1, 0)]));
    assert_eq!(guest.host.with(|host| host.waits.pop()), Some((None, true)));
}

#[test]
fn input_that_does_not_come() {
    let mut guest = Guest::new();
    assert_eq!(poll(&mut guest, &[On::Read(0), after(1000)]), Ok(vec![(101, 0, 0, 0)]));
    // Beside what is ready, input is only looked at.
    assert_eq!(poll(&mut guest, &[On::Read(0), On::Write(1)]), Ok(vec![(101, 2, 1, 0)]));
    assert_eq!(guest.host.with(|host| host.waits.pop()), Some((Some(1_001_000), true)));
    guest.host.with(|host| host.stdin.extend(b"x"));
    assert_eq!(poll(&mut guest, &[On::Read(0), On::Write(1)]), Ok(vec![(100, 1, 1, 0), (101, 2, 1, 0)]));
}

#[test]
fn a_prompt_is_written_before_a_wait() {
    let mut guest = Guest::new();
    guest.write(1, b"? ").unwrap();
    poll(&mut guest, &[after(0)]).unwrap();
    assert_eq!(guest.host.written(1), b"", "no wait, no reason");
    poll(&mut guest, &[after(1)]).unwrap();
    assert_eq!(guest.host.written(1), b"? ");
}

#[test]
fn many_subscriptions() {
    let mut guest = Guest::new();
    let subscriptions: Vec<On> =
        (0..300).map(|index| if index % 2 == 0 { On::Write(1) } else { after(1 << 40) }).collect();
    let events = poll(&mut guest, &subscriptions).unwrap();
    assert_eq!(events.len(), 150);
    assert!(events.iter().enumerate().all(|(index, event)| event.0 == 100 + 2 * index as u64));
}

#[test]
fn without_clocks_only_descriptors_can_be_waited_for() {
    let mut guest = Guest::with(|builder, _| builder.deny_clocks());
    guest.host.with(|host| host.arrives = Some(b"x".to_vec()));
    assert_eq!(poll(&mut guest, &[after(0)]), Err(NOTSUP));
    assert_eq!(poll(&mut guest, &[On::Read(0), after(1)]), Err(NOTSUP));
    assert_eq!(poll(&mut guest, &[On::Read(0)]), Ok(vec![(100, 1, 1, 0)]));
    assert_eq!(poll(&mut guest, &[On::Read(0), On::Write(1)]), Ok(vec![(100, 1, 1, 0), (101, 2, 1, 0)]));
}
