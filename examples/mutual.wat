;; Two enclaves, each of which believes the other before it says anything: a nonce goes out, the peer's evidence for it comes
;; in and is judged here. Run one of each pair of workloads with its standard input and output connected to the other's.
;; The only argument is the policy (docs/attestation.md), which is measured: it names the other workload by its owner, because
;; two digests could not name each other. Exits with 0 and says the peer's data on standard error, or with an errno and why.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "twine_tee_v1" "evidence_collect" (func $collect
    (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "twine_tee_v1" "evidence_verify" (func $verify
    (param i32 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32 i32) (result i32)))
  (import "twine_tee_v1" "message" (func $message (param i32 i32 i32) (result i32)))
  ;; 0: an iovec and a count, 16: a length, 32: own nonce, 64: the peer's, 96: a record, 512: argument pointers, 1024: arguments,
  ;; 65536: evidence with its length before it, 131072: data and messages
  (memory (export "memory") 3)
  (data (i32.const 320) "I hold the other half")

  (func $fail (param $errno i32)
    (drop (call $message (i32.const 131072) (i32.const 65536) (i32.const 16)))
    (call $put (i32.const 2) (i32.const 131072) (i32.load (i32.const 16)))
    (call $exit (local.get $errno)))

  ;; Writes all of a range.
  (func $put (param $fd i32) (param $at i32) (param $len i32)
    (loop $more
      (if (local.get $len) (then
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $len))
        (if (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 29))))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
        (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
        (br $more)))))

  ;; Fills all of a range from standard input.
  (func $get (param $at i32) (param $len i32)
    (loop $more
      (if (local.get $len) (then
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $len))
        (if (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)) (then (call $exit (i32.const 29))))
        (if (i32.eqz (i32.load (i32.const 8))) (then (call $exit (i32.const 29))))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
        (local.set $len (i32.sub (local.get $len) (i32.load (i32.const 8))))
        (br $more)))))

  (func (export "_start")
    (local $errno i32) (local $policy i32)
    ;; The last of two arguments; the first is the program's name.
    (drop (call $args_sizes (i32.const 0) (i32.const 16)))
    (if (i32.or (i32.ne (i32.load (i32.const 0)) (i32.const 2)) (i32.gt_u (i32.load (i32.const 16)) (i32.const 60000)))
      (then (call $exit (i32.const 28))))
    (drop (call $args (i32.const 512) (i32.const 1024)))
    (local.set $policy (i32.load (i32.const 516)))

    (drop (call $random (i32.const 32) (i32.const 32)))
    (call $put (i32.const 1) (i32.const 32) (i32.const 32))
    (call $get (i32.const 64) (i32.const 32))
    (local.set $errno (call $collect (i32.const 320) (i32.const 21) (i32.const 64) (i32.const 32)
      (i32.const 65540) (i32.const 32768) (i32.const 65536)))
    (if (local.get $errno) (then (call $fail (local.get $errno))))
    (call $put (i32.const 1) (i32.const 65536) (i32.add (i32.load (i32.const 65536)) (i32.const 4)))

    (call $get (i32.const 65536) (i32.const 4))
    (if (i32.gt_u (i32.load (i32.const 65536)) (i32.const 32768)) (then (call $exit (i32.const 1))))
    (call $get (i32.const 65540) (i32.load (i32.const 65536)))
    (local.set $errno (call $verify
      (i32.const 65540) (i32.load (i32.const 65536))
      (i32.const 32) (i32.const 32)
      (local.get $policy)
      ;; Up to the NUL at the end of all arguments.
      (i32.sub (i32.sub (i32.add (i32.const 1024) (i32.load (i32.const 16))) (local.get $policy)) (i32.const 1))
      (i32.const 0) (i32.const 0) (i64.const 0)
      (i32.const 96) (i32.const 131072) (i32.const 65536) (i32.const 16)))
    (if (local.get $errno) (then (call $fail (local.get $errno))))
    (call $put (i32.const 2) (i32.const 131072) (i32.load (i32.const 16)))))
