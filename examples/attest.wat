;; Evidence of what comes in: the first line of standard input is the verifier's nonce, the rest is the data; evidence goes out.
;;   printf '6e31\nresult: 42' | twine run --tee sim examples/attest.wat > evidence
;;   twine verify evidence --policy policy.toml --nonce 36653331 --allow-simulation
;; The nonce is these bytes, at most 64 of them, and `twine verify` takes it in hex (docs/guest-api.md).
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "twine_tee_v1" "evidence_collect" (func $collect (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "twine_tee_v1" "message" (func $message (param i32 i32 i32) (result i32)))
  ;; 0: an iovec, 16: a length, 1024: input, 32768: output
  (memory (export "memory") 2)
  (global $in i32 (i32.const 1024))
  (global $room i32 (i32.const 8192))
  (global $out i32 (i32.const 32768))

  ;; Writes the output to a descriptor.
  (func $print (param $fd i32)
    (i32.store (i32.const 0) (global.get $out))
    (i32.store (i32.const 4) (i32.load (i32.const 16)))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func (export "_start")
    (local $length i32) (local $nonce i32) (local $data i32) (local $errno i32)
    (loop $more
      (i32.store (i32.const 0) (i32.add (global.get $in) (local.get $length)))
      (i32.store (i32.const 4) (i32.sub (global.get $room) (local.get $length)))
      (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 1))))
      (local.set $length (i32.add (local.get $length) (i32.load (i32.const 8))))
      (br_if $more (i32.load (i32.const 8))))
    ;; To the end of the line, or of the input.
    (block $found
      (loop $next
        (br_if $found (i32.ge_u (local.get $nonce) (local.get $length)))
        (br_if $found (i32.eq (i32.load8_u (i32.add (global.get $in) (local.get $nonce))) (i32.const 10)))
        (local.set $nonce (i32.add (local.get $nonce) (i32.const 1)))
        (br $next)))
    (local.set $data (i32.add (local.get $nonce) (i32.lt_u (local.get $nonce) (local.get $length))))
    (local.set $errno (call $collect
      (i32.add (global.get $in) (local.get $data)) (i32.sub (local.get $length) (local.get $data))
      (global.get $in) (local.get $nonce)
      (global.get $out) (i32.const 32768) (i32.const 16)))
    (if (local.get $errno)
      (then
        (drop (call $message (global.get $out) (i32.const 32768) (i32.const 16)))
        (call $print (i32.const 2))
        (call $exit (local.get $errno))))
    (call $print (i32.const 1))))
