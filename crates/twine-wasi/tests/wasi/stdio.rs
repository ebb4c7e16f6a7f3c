//! The three streams: what is buffered, when it goes out, what the program is told about them.

use twine_wasi::StreamError;

use crate::guest::*;

fn writes(guest: &Guest) -> Vec<(u8, Vec<u8>)> {
    guest.host.with(|host| host.written.clone())
}

#[test]
fn output_waits_for_a_full_buffer() {
    let mut guest = Guest::with(|builder, _| builder.stdout_buffer(8));
    assert_eq!(guest.write(1, b"hello\n"), Ok(6));
    assert_eq!(writes(&guest), []);
    assert_eq!(guest.write(1, b"ab"), Ok(2));
    assert_eq!(writes(&guest), [], "exactly full");
    assert_eq!(guest.write(1, b"c"), Ok(1));
    assert_eq!(writes(&guest), [(1, b"hello\nab".to_vec())]);
    assert_eq!(guest.write(1, b"more than eight"), Ok(15));
    assert_eq!(writes(&guest)[1..], [(1, b"c".to_vec()), (1, b"more than eight".to_vec())]);
    guest.store.data_mut().flush().unwrap();
    assert_eq!(writes(&guest).len(), 3, "nothing was left");
}

#[test]
fn no_buffer_writes_through() {
    let mut guest = Guest::with(|builder, _| builder.stdout_buffer(0));
    guest.writev(1, b"hello", &[2, 3]).unwrap();
    assert_eq!(writes(&guest), [(1, b"he".to_vec()), (1, b"llo".to_vec())]);
}

#[test]
fn a_terminal_gets_every_line() {
    let mut guest = Guest::with(|builder, _| builder.terminals(false, true, false));
    guest.write(1, b"progress").unwrap();
    assert_eq!(writes(&guest), []);
    guest.write(1, b" done\n").unwrap();
    assert_eq!(writes(&guest), [(1, b"progress done\n".to_vec())]);
}

#[test]
fn error_output_is_unbuffered_and_keeps_the_order() {
    let mut guest = Guest::new();
    guest.write(1, b"one").unwrap();
    guest.write(2, b"two").unwrap();
    guest.write(1, b"three").unwrap();
    guest.store.data_mut().flush().unwrap();
    assert_eq!(writes(&guest), [(1, b"one".to_vec()), (2, b"two".to_vec()), (1, b"three".to_vec())]);
}

#[test]
fn output_goes_out_on_sync_close_read_and_exit() {
    let reasons: [fn(&mut Guest); 5] = [
        |guest| guest.call("fd_sync", &[1]).unwrap(),
        |guest| guest.call("fd_datasync", &[1]).unwrap(),
        |guest| guest.close(1).unwrap(),
        |guest| drop(guest.read(0, 1).unwrap()),
        |guest| drop(guest.raw("proc_exit", &[0]).unwrap_err()),
    ];
    for reason in reasons {
        let mut guest = Guest::new();
        guest.write(1, b"out").unwrap();
        assert_eq!(writes(&guest), []);
        reason(&mut guest);
        assert_eq!(writes(&guest), [(1, b"out".to_vec())]);
    }
}

#[test]
fn input_is_read_once_per_call() {
    let mut guest = Guest::new();
    guest.host.with(|host| host.stdin.extend(b"hello"));
    assert_eq!(
        guest.readv(0, &[0, 2, 100]).unwrap(),
        b"he",
        "what is there, without a second read that could block"
    );
    assert_eq!(guest.read(0, 100).unwrap(), b"llo");
    assert_eq!(guest.read(0, 100).unwrap(), b"", "the end");
}

#[test]
fn failures_are_told() {
    for (error, errno) in [(StreamError::Closed, PIPE), (StreamError::Full, NOSPC), (StreamError::Failed, IO)]
    {
        let mut guest = Guest::new();
        guest.host.with(|host| host.output_fails = Some(error));
        assert_eq!(guest.write(2, b"x"), Err(errno));
        assert_eq!(guest.write(1, b"x"), Ok(1), "not yet known");
        assert_eq!(guest.call("fd_sync", &[1]), Err(errno));
        assert_eq!(guest.call("fd_sync", &[1]), Ok(()), "the same bytes are not tried again");
        guest.write(1, b"x").unwrap();
        assert_eq!(guest.store.data_mut().flush(), Err(error));
    }
}

#[test]
fn a_lost_reader_of_output_is_told_where_output_is_written() {
    let mut guest = Guest::new();
    guest.write(1, b"lost").unwrap();
    guest.host.with(|host| {
        host.output_fails = Some(StreamError::Closed);
        host.stdin.extend(b"in");
    });
    assert_eq!(guest.read(0, 9).unwrap(), b"in", "not an error of the input");
    guest.host.with(|host| host.output_fails = None);
    assert_eq!(guest.write(2, b"message"), Ok(7));
    assert_eq!(guest.write(1, b"x"), Err(PIPE));
    assert_eq!(guest.write(1, b"x"), Ok(1));
}

#[test]
fn only_a_terminal_is_a_terminal() {
    for bits in 0..8_u32 {
        let is = |stream: u32| bits & (1 << stream) != 0;
        let mut guest = Guest::with(|builder, _| builder.terminals(is(0), is(1), is(2)));
        for stream in 0..3 {
            let stat = guest.fdstat(stream).unwrap();
            // isatty(3) of wasi-libc: a character device without the rights to seek and tell.
            assert_eq!(stat.filetype == 2, is(stream));
            assert_eq!(stat.base & (1 << 2 | 1 << 5), 0);
            assert_eq!(stat.base, if stream == 0 { READ } else { WRITE });
            assert_eq!(guest.filestat(stream).unwrap().filetype, stat.filetype);
        }
    }
}
