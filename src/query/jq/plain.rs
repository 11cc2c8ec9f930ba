//! Owns telling queries that surely end soon, such as `.result | type == "string" and length >= 40`, from others.
//! Deliberately errs on the side of doubt: what is not plain is run on a worker, which costs two changes of thread.
//!
//! A plain query goes over its input at most once, and what it makes of it is larger at most by a small factor. That
//! is why what may double a value is counted: it may stand in a chain, and a chain of doublings has no end.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::Part;

/// What may make a value larger: sums, lists of several, objects, texts with holes.
const MOST_GROWTH: usize = 8;
const LONGEST: usize = 1000;

/// Filters that look at their input once and make nothing larger of it. Their arguments are looked at too.
const PLAIN: [&str; 49] = [
    "add",
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "contains",
    "empty",
    "endswith",
    "error",
    "false",
    "first",
    "fromdate",
    "has",
    "isarray",
    "isboolean",
    "isnumber",
    "isobject",
    "isstring",
    "keys",
    "keys_unsorted",
    "last",
    "length",
    "ltrimstr",
    "max",
    "min",
    "not",
    "now",
    "null",
    "nulls",
    "numbers",
    "objects",
    "reverse",
    "rtrimstr",
    "scalars",
    "select",
    "sort",
    "split",
    "startswith",
    "strings",
    "test",
    "to_entries",
    "tonumber",
    "tostring",
    "trim",
    "true",
    "type",
    "values",
];
/// Filters that run their argument for each item.
const EACH: [&str; 7] = ["all", "any", "group_by", "map", "max_by", "min_by", "sort_by"];

pub fn is_plain(text: &str, term: &Term<&str>) -> bool {
    let mut count = Count::default();
    text.len() <= LONGEST && count.term(term) && count.rounds <= 1 && count.growth <= MOST_GROWTH
}

#[derive(Default)]
struct Count {
    /// Iterations, of which one within another multiplies.
    rounds: usize,
    growth: usize,
}

impl Count {
    fn all<'t, 's: 't>(&mut self, terms: impl IntoIterator<Item = &'t Term<&'s str>>) -> bool {
        terms.into_iter().all(|term| self.term(term))
    }

    fn term(&mut self, term: &Term<&str>) -> bool {
        match term {
            Term::Id | Term::Num(_) | Term::Var(_) | Term::Arr(None) => true,
            Term::Str(format, parts) => {
                let holes = parts.iter().filter_map(|part| match part {
                    StrPart::Term(term) => Some(term),
                    _ => None,
                });
                self.growth += 1;
                format.is_none()
                    && holes.into_iter().all(|hole| {
                        self.growth += 1;
                        self.term(hole)
                    })
            }
            Term::Arr(Some(inner)) | Term::Neg(inner) => self.term(inner),
            Term::Obj(entries) => {
                self.growth += entries.len();
                entries.iter().all(|(key, value)| self.term(key) && value.as_ref().is_none_or(|value| self.term(value)))
            }
            Term::BinOp(left, operator, right) => {
                let fine = match operator {
                    BinaryOp::Pipe(None | Some(Pattern::Var(_)))
                    | BinaryOp::Alt
                    | BinaryOp::Or
                    | BinaryOp::And
                    | BinaryOp::Cmp(_)
                    | BinaryOp::Math(Math::Sub | Math::Div | Math::Rem) => true,
                    BinaryOp::Comma | BinaryOp::Math(Math::Add) => {
                        self.growth += 1;
                        true
                    }
                    // A text times a number is as large as the number.
                    _ => false,
                };
                fine && self.term(left) && self.term(right)
            }
            Term::TryCatch(body, catch) => self.term(body) && catch.as_ref().is_none_or(|catch| self.term(catch)),
            Term::IfThenElse(branches, otherwise) => {
                branches.iter().all(|(condition, then)| self.term(condition) && self.term(then))
                    && otherwise.as_ref().is_none_or(|otherwise| self.term(otherwise))
            }
            Term::Call(name, args) => {
                // With two arguments, the first of them iterates.
                let each = !args.is_empty() && EACH.contains(name);
                self.rounds += usize::from(each && args.len() == 1);
                // As JSON a text is longer than itself.
                self.growth += usize::from(*name == "tostring");
                (each || PLAIN.contains(name)) && (args.len() < 2 || *name == "test" || each) && self.all(args)
            }
            Term::Path(head, path) => {
                // However often one path iterates, it sees each part of a value once.
                let iterates = path.0.iter().any(|(part, _)| matches!(part, Part::Range(None, None)));
                self.rounds += usize::from(iterates);
                self.term(head)
                    && path.0.iter().all(|(part, _)| match part {
                        Part::Index(index) => self.index(index),
                        Part::Range(from, to) => from.iter().chain(to).all(|bound| self.term(bound)),
                    })
            }
            Term::Recurse | Term::Label(..) | Term::Break(_) | Term::Fold(..) | Term::Def(..) => false,
        }
    }

    /// A field's name is a text too, but nothing grows by it.
    fn index(&mut self, index: &Term<&str>) -> bool {
        let growth = self.growth;
        let fine = self.term(index);
        if matches!(index, Term::Str(None, parts) if !parts.iter().any(|part| matches!(part, StrPart::Term(_)))) {
            self.growth = growth;
        }
        fine
    }
}
