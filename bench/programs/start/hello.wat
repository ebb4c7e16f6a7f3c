;; Says hello and waits for the end of its input: the least that a WASI program can be.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "hello, world\n")
  ;; Two vectors: the greeting, and room for what is read.
  (data (i32.const 16) "\00\00\00\00\0d\00\00\00\20\00\00\00\10\00\00\00")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 48)))
    (drop (call $read (i32.const 0) (i32.const 24) (i32.const 1) (i32.const 48)))))
