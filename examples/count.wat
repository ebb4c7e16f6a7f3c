;; Counts lines, words and bytes of standard input, as wc(1) does. WASI preview 1, no toolchain needed:
;;   echo "to be or not to be" | twine run --tee sim examples/count.wat
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))

  ;; 0: an iovec, 8: how many bytes came, 16 to 63: digits, 65536 to 131071: input.
  (memory (export "memory") 2)

  (func (export "_start")
    (local $got i32) (local $i i32) (local $byte i32) (local $in_word i32)
    (local $lines i64) (local $words i64) (local $bytes i64)
    (loop $more
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (i32.const 65536))
      (call $check (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $got (i32.load (i32.const 8)))
      (local.set $bytes (i64.add (local.get $bytes) (i64.extend_i32_u (local.get $got))))
      (local.set $i (i32.const 0))
      (block $end
        (loop $each
          (br_if $end (i32.ge_u (local.get $i) (local.get $got)))
          (local.set $byte (i32.load8_u offset=65536 (local.get $i)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (if (i32.eq (local.get $byte) (i32.const 10))
            (then (local.set $lines (i64.add (local.get $lines) (i64.const 1)))))
          (if (i32.le_u (local.get $byte) (i32.const 32))
            (then (local.set $in_word (i32.const 0)))
            (else
              (if (i32.eqz (local.get $in_word))
                (then (local.set $words (i64.add (local.get $words) (i64.const 1)))))
              (local.set $in_word (i32.const 1))))
          (br $each)))
      (br_if $more (local.get $got)))
    (call $print (local.get $lines) (i32.const 32))
    (call $print (local.get $words) (i32.const 32))
    (call $print (local.get $bytes) (i32.const 10)))

  ;; Ends with status 1 if a call failed.
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (i32.const 1)))))

  ;; Writes a number and one character after it.
  (func $print (param $number i64) (param $after i32)
    (local $at i32)
    (local.set $at (i32.const 63))
    (i32.store8 (local.get $at) (local.get $after))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 64) (local.get $at)))
    (call $check (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
