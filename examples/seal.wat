;; Seals standard input to this workload, or opens it if it is sealed:
;;   echo secret | twine run --tee sim examples/seal.wat > sealed; twine run --tee sim examples/seal.wat < sealed
;; It takes no argument for that: other arguments would make another workload, with another key (docs/guest-api.md).
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "twine_tee_v1" "seal" (func $seal (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "twine_tee_v1" "unseal" (func $unseal (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "twine_tee_v1" "message" (func $message (param i32 i32 i32) (result i32)))
  ;; 0: an iovec, 16: a length, 1024: input, 132096: output; 128 KiB each
  (memory (export "memory") 5)
  (global $in i32 (i32.const 1024))
  (global $out i32 (i32.const 132096))
  (global $room i32 (i32.const 131072))

  ;; Writes the output to a descriptor.
  (func $print (param $fd i32)
    (i32.store (i32.const 0) (global.get $out))
    (i32.store (i32.const 4) (i32.load (i32.const 16)))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func (export "_start")
    (local $length i32) (local $errno i32)
    (loop $more
      (i32.store (i32.const 0) (i32.add (global.get $in) (local.get $length)))
      (i32.store (i32.const 4) (i32.sub (global.get $room) (local.get $length)))
      (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 1))))
      (local.set $length (i32.add (local.get $length) (i32.load (i32.const 8))))
      (br_if $more (i32.load (i32.const 8))))
    ;; "TWSEAL", version 1.
    (if (i64.eq (i64.load (global.get $in)) (i64.const 0x01004c4145535754))
      (then
        (local.set $errno (call $unseal
          (i32.const 0) (i32.const 0) (global.get $in) (local.get $length)
          (global.get $out) (global.get $room) (i32.const 16))))
      (else
        (local.set $errno (call $seal
          (i32.const 1) (i32.const 0) (i32.const 0) (global.get $in) (local.get $length)
          (global.get $out) (global.get $room) (i32.const 16)))))
    (if (local.get $errno)
      (then
        (drop (call $message (global.get $out) (global.get $room) (i32.const 16)))
        (call $print (i32.const 2))
        (call $exit (local.get $errno))))
    (call $print (i32.const 1))))
