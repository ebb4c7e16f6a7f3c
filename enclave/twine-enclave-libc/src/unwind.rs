//! Unwinding: with `panic = "abort"` nothing unwinds, and backtraces of the trusted side are the debugger's business.

use core::ffi::{c_int, c_void};

use twine_enclave::fatal;

/// `_URC_END_OF_STACK`.
const END_OF_STACK: c_int = 5;

#[unsafe(no_mangle)]
pub unsafe extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Referenced by std, called by nobody.
macro_rules! unreachable_symbols {
    ($($name:ident)*) => {
        $(#[unsafe(no_mangle)]
        pub extern "C" fn $name() -> ! {
            fatal::die("unwinding in an image that aborts", format_args!(": {}", stringify!($name)))
        })*
    };
}

unreachable_symbols! {
    _Unwind_GetDataRelBase _Unwind_GetIP _Unwind_GetIPInfo _Unwind_GetLanguageSpecificData _Unwind_GetRegionStart
    _Unwind_GetTextRelBase _Unwind_Resume _Unwind_SetGR _Unwind_SetIP _Unwind_GetCFA _Unwind_DeleteException
    _Unwind_RaiseException _Unwind_FindEnclosingFunction
}

/// Wasmtime registers the frames of compiled code for debuggers; here nobody reads them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __register_frame(_: *const u8) {}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __deregister_frame(_: *const u8) {}

/// No libraries to list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dl_iterate_phdr(_: *const c_void, _: *mut c_void) -> c_int {
    0
}

/// LLVM's name for the same; Wasmtime looks whether it is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __unw_add_dynamic_fde(_: *const u8) {}
