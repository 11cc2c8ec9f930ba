//! Owns what is read from a parsed query: which filters it calls, which definitions call themselves.
//! Deliberately compiles nothing.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;

/// A call of a filter that the text itself does not define, or one that it must not make.
pub enum Found<'s> {
    Call {
        name: &'s str,
        arity: usize,
    },
    /// A definition that calls itself, directly or through others.
    Recursion {
        name: &'s str,
    },
}

/// Calls `found` for each call in `term` that leaves it, and for each recursion.
pub fn walk<'s>(term: &Term<&'s str>, found: &mut dyn FnMut(Found<'s>)) {
    Walk { scope: Vec::new(), found }.term(term);
}

/// The same for definitions, of which each knows itself and those before it.
pub fn walk_defs<'s>(defs: &[Def<&'s str>], found: &mut dyn FnMut(Found<'s>)) {
    let mut walk = Walk { scope: Vec::new(), found };
    for def in defs {
        walk.def(def);
    }
}

struct Walk<'f, 's> {
    /// Definitions and filter arguments, from the outside in.
    scope: Vec<Local<'s>>,
    found: &'f mut dyn FnMut(Found<'s>),
}

struct Local<'s> {
    name: &'s str,
    arity: usize,
    /// Its body is being read.
    open: bool,
}

impl<'s> Walk<'_, 's> {
    /// Leaves the definition in scope.
    fn def(&mut self, def: &Def<&'s str>) {
        let outer = self.scope.len();
        let local = |open| Local { name: def.name, arity: def.args.len(), open };
        // Its arguments come before itself, as in jaq: `def f(f): f;` calls itself.
        for arg in def.args.iter().filter(|arg| !arg.starts_with('$')) {
            self.scope.push(Local { name: arg, arity: 0, open: false });
        }
        self.scope.push(local(true));
        self.term(&def.body);
        self.scope.truncate(outer);
        self.scope.push(local(false));
    }

    fn call(&mut self, name: &'s str, arity: usize) {
        match self.scope.iter().rev().find(|local| local.name == name && local.arity == arity) {
            Some(local) if local.open => (self.found)(Found::Recursion { name }),
            Some(_) => {}
            None => (self.found)(Found::Call { name, arity }),
        }
    }

    fn parts(&mut self, parts: &[StrPart<&'s str, Term<&'s str>>]) {
        for part in parts {
            if let StrPart::Term(term) = part {
                self.term(term);
            }
        }
    }

    fn pattern(&mut self, pattern: &Pattern<&'s str>) {
        match pattern {
            Pattern::Var(_) => {}
            Pattern::Arr(items) => items.iter().for_each(|item| self.pattern(item)),
            Pattern::Obj(entries) => {
                for (key, value) in entries {
                    self.term(key);
                    self.pattern(value);
                }
            }
        }
    }

    fn term(&mut self, term: &Term<&'s str>) {
        match term {
            Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => {}
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.call(format, 0);
                }
                self.parts(parts);
            }
            Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::Obj(entries) => {
                for (key, value) in entries {
                    self.term(key);
                    if let Some(value) = value {
                        self.term(value);
                    }
                }
            }
            Term::BinOp(left, operator, right) => {
                self.term(left);
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.pattern(pattern);
                }
                self.term(right);
            }
            Term::Fold(_, source, pattern, args) => {
                self.term(source);
                self.pattern(pattern);
                args.iter().for_each(|arg| self.term(arg));
            }
            Term::TryCatch(body, catch) => {
                self.term(body);
                if let Some(catch) = catch {
                    self.term(catch);
                }
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.term(condition);
                    self.term(then);
                }
                if let Some(otherwise) = otherwise {
                    self.term(otherwise);
                }
            }
            Term::Def(defs, body) => {
                let outer = self.scope.len();
                for def in defs {
                    self.def(def);
                }
                self.term(body);
                self.scope.truncate(outer);
            }
            Term::Call(name, args) => {
                self.call(name, args.len());
                args.iter().for_each(|arg| self.term(arg));
            }
            Term::Path(head, path) => {
                self.term(head);
                for (part, _) in &path.0 {
                    match part {
                        Part::Index(index) => self.term(index),
                        Part::Range(from, to) => {
                            from.iter().chain(to).for_each(|bound| self.term(bound));
                        }
                    }
                }
            }
        }
    }
}
