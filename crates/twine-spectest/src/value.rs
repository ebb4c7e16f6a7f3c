//! Arguments and results.

use wasmtime::{AnyRef, ExternRef, Result, Store, Val, bail};

use crate::script::{Argument, Expected, Float, Heap};

/// The value of an argument.
pub fn argument(store: &mut Store<()>, argument: &Argument) -> Result<Val> {
    Ok(match *argument {
        Argument::I32(value) => Val::I32(value),
        Argument::I64(value) => Val::I64(value),
        Argument::F32(bits) => Val::F32(bits),
        Argument::F64(bits) => Val::F64(bits),
        Argument::V128(bytes) => Val::V128(u128::from_le_bytes(bytes).into()),
        Argument::Null(Heap::Func) => Val::FuncRef(None),
        Argument::Null(Heap::Extern) => Val::ExternRef(None),
        Argument::Null(Heap::Any) => Val::AnyRef(None),
        Argument::Null(Heap::Exn) => Val::ExnRef(None),
        Argument::Extern(value) => Val::ExternRef(Some(ExternRef::new(store, value)?)),
        Argument::Host(value) => {
            let value = ExternRef::new(&mut *store, value)?;
            Val::AnyRef(Some(AnyRef::convert_extern(store, value)?))
        }
    })
}

/// Checks a result.
pub fn check(store: &mut Store<()>, actual: &Val, expected: &Expected) -> Result<()> {
    if matches(store, actual, expected)? { Ok(()) } else { bail!("expected {expected:?}, got {actual:?}") }
}

fn matches(store: &mut Store<()>, actual: &Val, expected: &Expected) -> Result<bool> {
    Ok(match (expected, actual) {
        (Expected::Either(several), _) => {
            for one in several {
                if matches(store, actual, one)? {
                    return Ok(true);
                }
            }
            false
        }
        (Expected::I32(expected), Val::I32(actual)) => expected == actual,
        (Expected::I64(expected), Val::I64(actual)) => expected == actual,
        (Expected::F32(expected), Val::F32(actual)) => is_f32(*expected, *actual),
        (Expected::F64(expected), Val::F64(actual)) => is_f64(*expected, *actual),
        (Expected::V128(expected), Val::V128(actual)) => actual.as_u128() == u128::from_le_bytes(*expected),
        (Expected::F32x4(lanes), Val::V128(actual)) => (0..)
            .zip(lanes)
            .all(|(lane, expected)| is_f32(*expected, (actual.as_u128() >> (32 * lane)) as u32)),
        (Expected::F64x2(lanes), Val::V128(actual)) => (0..)
            .zip(lanes)
            .all(|(lane, expected)| is_f64(*expected, (actual.as_u128() >> (64 * lane)) as u64)),
        (Expected::Null(kind), actual) => match actual {
            Val::FuncRef(None) => kind.is_none_or(|kind| kind == Heap::Func),
            Val::ExternRef(None) => kind.is_none_or(|kind| kind == Heap::Extern),
            Val::AnyRef(None) => kind.is_none_or(|kind| kind == Heap::Any),
            Val::ExnRef(None) => kind.is_none_or(|kind| kind == Heap::Exn),
            _ => false,
        },
        (Expected::Extern(None), Val::ExternRef(Some(_))) => true,
        (Expected::Extern(Some(expected)), Val::ExternRef(Some(actual))) => {
            is_host(actual.data(store)?, *expected)
        }
        (Expected::Host(expected), Val::AnyRef(Some(actual))) => {
            let actual = ExternRef::convert_any(&mut *store, *actual)?;
            is_host(actual.data(store)?, *expected)
        }
        (Expected::Func, Val::FuncRef(Some(_))) | (Expected::Any, Val::AnyRef(Some(_))) => true,
        (Expected::Eq, Val::AnyRef(Some(actual))) => actual.is_eqref(store)?,
        (Expected::Array, Val::AnyRef(Some(actual))) => actual.is_array(store)?,
        (Expected::Struct, Val::AnyRef(Some(actual))) => actual.is_struct(store)?,
        (Expected::I31, Val::AnyRef(Some(actual))) => actual.is_i31(store)?,
        _ => false,
    })
}

fn is_host(data: Option<&(dyn std::any::Any + Send + Sync)>, expected: u32) -> bool {
    data.and_then(|data| data.downcast_ref::<u32>()) == Some(&expected)
}

fn is_f32(expected: Float<u32>, bits: u32) -> bool {
    match expected {
        Float::Bits(expected) => expected == bits,
        Float::Canonical => bits & 0x7FFF_FFFF == 0x7FC0_0000,
        Float::Arithmetic => bits & 0x7FC0_0000 == 0x7FC0_0000,
    }
}

fn is_f64(expected: Float<u64>, bits: u64) -> bool {
    match expected {
        Float::Bits(expected) => expected == bits,
        Float::Canonical => bits & 0x7FFF_FFFF_FFFF_FFFF == 0x7FF8_0000_0000_0000,
        Float::Arithmetic => bits & 0x7FF8_0000_0000_0000 == 0x7FF8_0000_0000_0000,
    }
}
