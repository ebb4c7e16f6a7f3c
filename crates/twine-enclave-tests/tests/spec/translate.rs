//! From the text of a script to steps.

use twine_spectest::{Action, Argument, Execute, Expected, Float, Heap, Script, Step};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

/// A script, and what of it the text parser decides.
pub struct Translated {
    pub script: Script,
    /// Modules that are malformed or invalid as text already, and were refused.
    pub refused: u32,
}

/// Translates a script.
///
/// # Errors
/// What the parser, or this translation, does not know.
pub fn translate(name: &str, text: &str) -> Result<Translated, String> {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let said = |error: wast::Error| error.message();
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(said)?;
    let directives = parser::parse::<Wast<'_>>(&buffer).map_err(said)?.directives;
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut script = Script { name: name.to_owned(), linked: false, steps: Vec::new() };
    let mut refused = 0;
    for directive in directives {
        script.linked |= matches!(directive, WastDirective::Register { .. });
        let offset = directive.span().offset();
        let line = starts.partition_point(|start| *start <= offset) as u32;
        match step(directive).map_err(|why| format!("line {line}: {why}"))? {
            Some(action) => script.steps.push(Step { line, action }),
            None => refused += 1,
        }
    }
    Ok(Translated { script, refused })
}

/// The action of a directive; none if the text parser has refused the module, as it should.
fn step(directive: WastDirective<'_>) -> Result<Option<Action>, String> {
    Ok(Some(match directive {
        WastDirective::Module(module) => {
            Action::Module { name: name(module.name()), binary: binary(module)? }
        }
        WastDirective::ModuleDefinition(module) => {
            Action::Define { name: name(module.name()), binary: binary(module)? }
        }
        WastDirective::ModuleInstance { instance, module, .. } => {
            Action::Instantiate { instance: name(instance), definition: name(module) }
        }
        WastDirective::AssertMalformed { module, .. }
        | WastDirective::AssertInvalid { module, .. }
        | WastDirective::AssertMalformedCustom { module, .. }
        | WastDirective::AssertInvalidCustom { module, .. } => match binary(module) {
            Ok(binary) => Action::Refused(binary),
            Err(_) => return Ok(None),
        },
        WastDirective::Register { name: as_name, module, .. } => {
            Action::Register { name: as_name.to_owned(), instance: name(module) }
        }
        WastDirective::Invoke(what) => Action::Perform(invoke(what)?),
        WastDirective::AssertReturn { exec, results, .. } => {
            let expected = results.iter().map(result).collect::<Result<_, _>>()?;
            Action::Return(execute(exec)?, expected)
        }
        WastDirective::AssertTrap { exec, message, .. } => Action::Trap(execute(exec)?, message.to_owned()),
        WastDirective::AssertExhaustion { call, message, .. } => {
            Action::Exhaustion(invoke(call)?, message.to_owned())
        }
        WastDirective::AssertException { exec, .. } => Action::Exception(execute(exec)?),
        WastDirective::AssertUnlinkable { module, .. } => Action::Unlinkable(encode(module)?),
        WastDirective::AssertSuspension { .. } | WastDirective::Thread(_) | WastDirective::Wait { .. } => {
            return Err("suspensions and threads of scripts are not executed".to_owned());
        }
    }))
}

fn name(id: Option<Id<'_>>) -> Option<String> {
    id.map(|id| id.name().to_owned())
}

fn binary(mut module: QuoteWat<'_>) -> Result<Vec<u8>, String> {
    module.encode().map_err(|error| error.message())
}

fn encode(mut module: Wat<'_>) -> Result<Vec<u8>, String> {
    module.encode().map_err(|error| error.message())
}

fn execute(what: WastExecute<'_>) -> Result<Execute, String> {
    Ok(match what {
        WastExecute::Invoke(what) => invoke(what)?,
        WastExecute::Wat(module) => Execute::Module(encode(module)?),
        WastExecute::Get { module, global, .. } => {
            Execute::Get { instance: name(module), export: global.to_owned() }
        }
    })
}

fn invoke(what: WastInvoke<'_>) -> Result<Execute, String> {
    Ok(Execute::Invoke {
        instance: name(what.module),
        export: what.name.to_owned(),
        arguments: what.args.iter().map(argument).collect::<Result<_, _>>()?,
    })
}

fn argument(argument: &WastArg<'_>) -> Result<Argument, String> {
    let WastArg::Core(argument) = argument else { return Err("an argument of a component".to_owned()) };
    Ok(match argument {
        WastArgCore::I32(value) => Argument::I32(*value),
        WastArgCore::I64(value) => Argument::I64(*value),
        WastArgCore::F32(value) => Argument::F32(value.bits),
        WastArgCore::F64(value) => Argument::F64(value.bits),
        WastArgCore::V128(value) => Argument::V128(value.to_le_bytes()),
        WastArgCore::RefNull(kind) => Argument::Null(heap(kind)?),
        WastArgCore::RefExtern(value) => Argument::Extern(*value),
        WastArgCore::RefHost(value) => Argument::Host(*value),
    })
}

fn heap(kind: &HeapType<'_>) -> Result<Heap, String> {
    use AbstractHeapType as Kind;
    Ok(match kind {
        HeapType::Abstract { ty: Kind::Func | Kind::NoFunc, .. } => Heap::Func,
        HeapType::Abstract { ty: Kind::Extern | Kind::NoExtern, .. } => Heap::Extern,
        HeapType::Abstract { ty: Kind::Exn | Kind::NoExn, .. } => Heap::Exn,
        HeapType::Abstract { ty: Kind::Cont | Kind::NoCont, .. } => return Err("a continuation".to_owned()),
        HeapType::Abstract { .. } => Heap::Any,
        HeapType::Concrete(_) | HeapType::Exact(_) => Heap::Func,
    })
}

fn result(result: &WastRet<'_>) -> Result<Expected, String> {
    let WastRet::Core(result) = result else { return Err("a result of a component".to_owned()) };
    core_result(result)
}

fn core_result(result: &WastRetCore<'_>) -> Result<Expected, String> {
    let bytes = |lanes: &mut dyn Iterator<Item = u8>| {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(lanes).for_each(|(to, from)| *to = from);
        Expected::V128(bytes)
    };
    Ok(match result {
        WastRetCore::I32(value) => Expected::I32(*value),
        WastRetCore::I64(value) => Expected::I64(*value),
        WastRetCore::F32(pattern) => Expected::F32(float(pattern, |value| value.bits)),
        WastRetCore::F64(pattern) => Expected::F64(float(pattern, |value| value.bits)),
        WastRetCore::V128(V128Pattern::I8x16(lanes)) => {
            bytes(&mut lanes.iter().flat_map(|lane| lane.to_le_bytes()))
        }
        WastRetCore::V128(V128Pattern::I16x8(lanes)) => {
            bytes(&mut lanes.iter().flat_map(|lane| lane.to_le_bytes()))
        }
        WastRetCore::V128(V128Pattern::I32x4(lanes)) => {
            bytes(&mut lanes.iter().flat_map(|lane| lane.to_le_bytes()))
        }
        WastRetCore::V128(V128Pattern::I64x2(lanes)) => {
            bytes(&mut lanes.iter().flat_map(|lane| lane.to_le_bytes()))
        }
        WastRetCore::V128(V128Pattern::F32x4(lanes)) => {
            Expected::F32x4(std::array::from_fn(|lane| float(&lanes[lane], |value| value.bits)))
        }
        WastRetCore::V128(V128Pattern::F64x2(lanes)) => {
            Expected::F64x2(std::array::from_fn(|lane| float(&lanes[lane], |value| value.bits)))
        }
        WastRetCore::RefNull(kind) => Expected::Null(kind.as_ref().map(heap).transpose()?),
        WastRetCore::RefExtern(value) => Expected::Extern(*value),
        WastRetCore::RefHost(value) => Expected::Host(*value),
        WastRetCore::RefFunc(_) => Expected::Func,
        WastRetCore::RefAny => Expected::Any,
        WastRetCore::RefEq => Expected::Eq,
        WastRetCore::RefArray => Expected::Array,
        WastRetCore::RefStruct => Expected::Struct,
        WastRetCore::RefI31 => Expected::I31,
        WastRetCore::RefI31Shared => return Err("a shared reference".to_owned()),
        WastRetCore::Either(several) => {
            Expected::Either(several.iter().map(core_result).collect::<Result<_, _>>()?)
        }
    })
}

fn float<T, B>(pattern: &NanPattern<T>, bits: impl Fn(&T) -> B) -> Float<B> {
    match pattern {
        NanPattern::CanonicalNan => Float::Canonical,
        NanPattern::ArithmeticNan => Float::Arithmetic,
        NanPattern::Value(value) => Float::Bits(bits(value)),
    }
}
