(module
  (memory (export "memory") 1)
  (func $main (export "_start") (call $fall))
  (func $fall unreachable))
