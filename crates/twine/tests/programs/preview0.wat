(module
  (import "wasi_unstable" "proc_exit" (func (param i32)))
  (import "wasi" "thread-spawn" (func (param i32) (result i32)))
  (import "env" "emscripten_resize_heap" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")))
