//! Executes a script, step by step; a step that fails is noted and the next one follows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use wasmtime::{
    Engine, Error, Instance, Linker, Module, Result, Store, ThrownException, Trap, Val, bail, format_err,
};

use crate::script::{Action, Execute, Failure, Report, Script, Step};
use crate::{spectest, value};

/// Messages of the specification, and how Wasmtime says the same.
const SAME: [(&str, &str); 4] = [
    ("uninitialized element", "uninitialized element"),
    ("null function", "uninitialized element"),
    ("null function", "null reference"),
    ("null", "null reference"),
];

/// Executes a script on `engine`.
pub fn execute(engine: &Engine, script: &Script) -> Report {
    let mut run = Run {
        engine,
        linked: script.linked.then(|| World::new(engine)),
        current: None,
        named: HashMap::new(),
        defined: HashMap::new(),
    };
    let mut report = Report { name: script.name.clone(), passed: 0, failures: Vec::new() };
    for Step { line, action } in &script.steps {
        match run.step(action) {
            Ok(()) => report.passed += 1,
            Err(error) => report.failures.push(Failure { line: *line, why: format!("{error:#}") }),
        }
    }
    report
}

/// A store and what can be imported in it.
struct World {
    store: Store<()>,
    linker: Linker<()>,
    has_spectest: bool,
}

type Place = Rc<RefCell<World>>;

impl World {
    fn new(engine: &Engine) -> Place {
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        Rc::new(RefCell::new(Self { store: Store::new(engine, ()), linker, has_spectest: false }))
    }

    fn instantiate(&mut self, module: &Module) -> Result<Instance> {
        if !self.has_spectest && spectest::is_wanted(module) {
            spectest::link(&mut self.linker, &mut self.store)?;
            self.has_spectest = true;
        }
        self.linker.instantiate(&mut self.store, module)
    }

    /// Executes in `instance`, which is there for all but an instantiation.
    fn execute(&mut self, engine: &Engine, instance: Option<Instance>, what: &Execute) -> Result<Vec<Val>> {
        let missing = || format_err!("nothing to execute {what:?} in");
        match what {
            Execute::Module(binary) => {
                self.instantiate(&Module::from_binary(engine, binary)?)?;
                Ok(Vec::new())
            }
            Execute::Get { export, .. } => {
                let global = instance.and_then(|instance| instance.get_global(&mut self.store, export));
                Ok(vec![global.ok_or_else(missing)?.get(&mut self.store)])
            }
            Execute::Invoke { export, arguments, .. } => {
                let function = instance.and_then(|instance| instance.get_func(&mut self.store, export));
                let function = function.ok_or_else(missing)?;
                let arguments: Vec<Val> = arguments
                    .iter()
                    .map(|argument| value::argument(&mut self.store, argument))
                    .collect::<Result<_>>()?;
                let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
                function.call(&mut self.store, &arguments, &mut results)?;
                Ok(results)
            }
        }
    }
}

struct Run<'a> {
    engine: &'a Engine,
    /// The one store of a script whose instances see each other.
    linked: Option<Place>,
    current: Option<(Place, Instance)>,
    named: HashMap<String, (Place, Instance)>,
    /// Definitions by name; the last one also without.
    defined: HashMap<Option<String>, Module>,
}

impl Run<'_> {
    fn step(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Define { name, binary } => {
                let module = Module::from_binary(self.engine, binary)?;
                self.defined.insert(name.clone(), module.clone());
                self.defined.insert(None, module);
                Ok(())
            }
            Action::Instantiate { instance, definition } => {
                let module = self.defined.get(definition).cloned();
                self.keep(instance, module.ok_or_else(|| format_err!("no definition {definition:?}")))
            }
            Action::Module { name, binary } => self.keep(name, Module::from_binary(self.engine, binary)),
            Action::Register { name, instance } => {
                let (place, instance) = self.instance(instance)?;
                let World { store, linker, .. } = &mut *place.borrow_mut();
                linker.instance(store, name, instance).map(|_| ())
            }
            Action::Perform(what) => self.perform(what, |_, outcome| outcome.map(|_| ())),
            Action::Return(what, expected) => self.perform(what, |store, outcome| {
                let actual = outcome?;
                if actual.len() != expected.len() {
                    bail!("expected {} results, got {}", expected.len(), actual.len());
                }
                actual
                    .iter()
                    .zip(expected)
                    .try_for_each(|(actual, expected)| value::check(store, actual, expected))
            }),
            Action::Trap(what, message) | Action::Exhaustion(what, message) => {
                self.perform(what, |_, outcome| check_trap(outcome, message))
            }
            Action::Exception(what) => self.perform(what, |store, outcome| match outcome {
                Err(error) if error.is::<ThrownException>() => match store.take_pending_exception() {
                    Some(_) => Ok(()),
                    None => bail!("an exception that is not there"),
                },
                other => bail!("expected an exception, got {other:?}"),
            }),
            Action::Refused(binary) => match Module::from_binary(self.engine, binary) {
                Ok(_) => bail!("the engine takes what it must refuse"),
                Err(_) => Ok(()),
            },
            Action::Unlinkable(binary) => {
                let module = Module::from_binary(self.engine, binary)?;
                let place = self.place();
                let outcome = place.borrow_mut().instantiate(&module);
                match outcome {
                    Ok(_) => bail!("it links"),
                    Err(error) if error.is::<Trap>() => bail!("it links, and traps: {error:#}"),
                    Err(_) => Ok(()),
                }
            }
        }
    }

    /// Where the next instance goes.
    fn place(&self) -> Place {
        self.linked.clone().unwrap_or_else(|| World::new(self.engine))
    }

    /// Instantiates, and makes the instance the current one.
    fn keep(&mut self, name: &Option<String>, module: Result<Module>) -> Result<()> {
        // What follows is meant for this instance and for no other.
        self.current = None;
        let place = self.place();
        let instance = place.borrow_mut().instantiate(&module?)?;
        if let Some(name) = name {
            self.named.insert(name.clone(), (place.clone(), instance));
        }
        self.current = Some((place, instance));
        Ok(())
    }

    fn instance(&self, name: &Option<String>) -> Result<(Place, Instance)> {
        match name {
            Some(name) => self.named.get(name),
            None => self.current.as_ref(),
        }
        .cloned()
        .ok_or_else(|| format_err!("no instance {name:?}"))
    }

    /// Executes, and judges the outcome while the references in it live.
    fn perform(
        &self,
        what: &Execute,
        judge: impl FnOnce(&mut Store<()>, Result<Vec<Val>>) -> Result<()>,
    ) -> Result<()> {
        let (place, instance) = match what {
            Execute::Module(_) => (self.place(), None),
            Execute::Get { instance, .. } | Execute::Invoke { instance, .. } => {
                let (place, instance) = self.instance(instance)?;
                (place, Some(instance))
            }
        };
        let world = &mut *place.borrow_mut();
        let outcome = world.execute(self.engine, instance, what);
        judge(&mut world.store, outcome)
    }
}

fn check_trap(outcome: Result<Vec<Val>>, expected: &str) -> Result<()> {
    let trap: Error = match outcome {
        Ok(values) => bail!("expected a trap, got {values:?}"),
        Err(error) => error,
    };
    let actual = match trap.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => format!("{trap:#}"),
    };
    let same = |(spec, ours): &(&str, &str)| expected.contains(spec) && actual.contains(ours);
    match actual.contains(expected) || SAME.iter().any(same) {
        true => Ok(()),
        false => bail!("expected the trap {expected:?}, got {actual:?}"),
    }
}
