//! Owns JSONPath (RFC 9535). The only file that names `jsonpath-rust`.
//! Deliberately knows nothing of steps.
//!
//! Parsing backtracks and nested descents multiply, so both are done on a worker with a deadline, as for jq.

use super::worker::{Overrun, within};
use super::{QueryError, RunError};
use crate::value::{Value, derive};
use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value as Json;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(2);
/// Longer texts are refused.
const LONGEST: usize = 4 << 10;
/// More nodes are an error.
const MOST_NODES: usize = 10_000;

#[derive(Clone)]
pub struct JsonPath {
    text: Arc<str>,
    query: Arc<JpQuery>,
}

impl JsonPath {
    pub fn parse(text: &str) -> Result<JsonPath, QueryError> {
        let fault =
            |span, message: String, help: Option<&str>| Err(QueryError { span, message, help: help.map(String::from) });
        if text.len() > LONGEST {
            return fault(0..0, format!("the JSONPath is longer than {} KiB", LONGEST >> 10), None);
        }
        if !text.starts_with('$') {
            let first = text.chars().next().map_or(0, char::len_utf8);
            return fault(0..first, "a JSONPath starts with `$`".into(), Some("as in `$.result[0].id`"));
        }
        let own = text.to_string();
        match within(DEADLINE, move || parse_json_path(&own).map_err(|error| told(&own, &error))) {
            Ok(Ok(query)) => Ok(JsonPath { text: text.into(), query: Arc::new(query) }),
            Ok(Err((span, message))) => fault(span, message, None),
            Err(overrun) => fault(0..text.len(), overran(overrun).0, None),
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The nodes found, tainted.
    pub fn run(&self, input: &Value) -> Result<Vec<Value>, RunError> {
        if !input.is_secret() {
            return Ok(self.evaluate(input)?.into_iter().map(Value::plain).collect());
        }
        let all = derive(std::slice::from_ref(input), |inputs| {
            self.evaluate(inputs.first().unwrap_or(input)).map(Json::Array)
        })?;
        Ok(all.results())
    }

    fn evaluate(&self, input: &Value) -> Result<Vec<Json>, RunError> {
        let (query, input) = (self.query.clone(), input.clone());
        let job = move || {
            let nodes = js_path_process(&query, input.expose()).map_err(|error| told("", &error).1)?;
            if nodes.len() > MOST_NODES {
                return Err(format!("it finds more than {MOST_NODES} nodes"));
            }
            Ok(nodes.into_iter().map(|node| node.val().clone()).collect())
        };
        within(DEADLINE, job).map_err(overran)?.map_err(RunError)
    }
}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

fn told(text: &str, error: &JsonPathError) -> (Range<usize>, String) {
    match error {
        JsonPathError::PestError(error) => {
            // `Pos(5)` or `Span((1, 3))`: the parser library's type cannot be named without depending on it.
            let place = format!("{:?}", error.location);
            let digits: Vec<usize> =
                place.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
            let start = digits.first().copied().unwrap_or(0).min(text.len());
            let next = text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            let end = digits.get(1).copied().unwrap_or(start + next).clamp(start, text.len());
            (
                start..end,
                error.variant.message().replace('_', " ").replace("EOI", "the end").replace("ALPHA", "a letter"),
            )
        }
        other => (0..text.len(), other.to_string()),
    }
}

fn overran(overrun: Overrun) -> RunError {
    RunError(match overrun {
        Overrun::Time => format!("it did not end within {} s", DEADLINE.as_secs()),
        Overrun::Memory => "it ran over its memory budget".into(),
        Overrun::Fault => "the JSONPath library broke down over it (a fault in the program)".into(),
        Overrun::NoWorker => "too many queries before it ran over their budgets".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Origin;
    use proptest::prelude::*;
    use serde_json::json;

    fn run(text: &str) -> Vec<Json> {
        let input =
            Value::plain(json!({"result": [{"id": 1, "on": true, "ns": [1, 2]}, {"id": 2, "on": false, "ns": [1]}]}));
        JsonPath::parse(text).unwrap().run(&input).unwrap().iter().map(|value| value.expose().clone()).collect()
    }

    #[test]
    fn the_language() {
        for (text, want) in [
            ("$.result[0].id", vec![json!(1)]),
            ("$.result[?@.on == true].id", vec![json!(1)]),
            ("$.result[?length(@.ns) < 2].id", vec![json!(2)]),
            ("$..id", vec![json!(1), json!(2)]),
            ("$['result'][-1]['on']", vec![json!(false)]),
            ("$.nope", vec![]),
        ] {
            assert_eq!(run(text), want, "{text}");
        }
    }

    #[test]
    fn mistakes_have_places() {
        for (text, span) in
            [("", 0..0), ("x", 0..1), ("$.", 2..2), ("$.a[", 4..4), ("$[?@.a == ]", 10..11), ("$.ü[", 5..5)]
        {
            assert_eq!(JsonPath::parse(text).unwrap_err().span, span, "{text}: {:?}", JsonPath::parse(text));
        }
    }

    #[test]
    fn what_does_not_end_is_given_up() {
        let start = std::time::Instant::now();
        for call in ["length(", "(", "!(", "count(@[?"] {
            let close = if call.ends_with('?') { "])" } else { ")" };
            let _ = JsonPath::parse(&format!("$[?{}@{}]", call.repeat(60), close.repeat(60)));
        }
        let descents = JsonPath::parse("$..[?@..[?@..[?@..[?@..*]]]]").unwrap();
        let wide = Value::plain(json!(vec![json!(vec![json!([1, 2, 3]); 30]); 30]));
        let _ = descents.run(&wide);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn taint_follows() {
        let origin = Arc::new(Origin { name: "token".into(), to: None });
        let taint = crate::secret::Taint::of(origin);
        let input = Value::marked(json!({"a": "s3cr3t", "b": "public"}), vec![("/a".into(), taint)]);
        let shown: Vec<Json> = JsonPath::parse("$.*").unwrap().run(&input).unwrap().iter().map(Value::shown).collect();
        assert_eq!(shown, [json!("***"), json!("public")]);
    }

    fn nearly() -> impl Strategy<Value = String> {
        let words = [
            "$",
            ".",
            "..",
            "a",
            "['a']",
            "[",
            "]",
            "?",
            "@",
            "*",
            "0",
            "-1",
            ":",
            ",",
            "==",
            "<",
            "&&",
            "||",
            "!",
            "(",
            ")",
            "length(",
            "match(",
            "'(['",
            "count(",
            "1e999",
            "null",
            "ü",
            " ",
            "'\\u00e9'",
            "99999999999999999999",
            "search(@,'a')",
        ];
        proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..10)
            .prop_map(|words| format!("${}", words.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn nothing_panics_and_places_are_within_the_text(text in prop_oneof![any::<String>(), nearly()]) {
            match JsonPath::parse(&text) {
                Ok(path) => {
                    let result = path.run(&Value::plain(json!({"a": [1, "b", {"a": null}], "b": {"a": 2.5}})));
                    prop_assert!(!format!("{result:?}").contains("broke down"), "{:?}", text);
                }
                Err(error) => {
                    prop_assert!(text.get(error.span.clone()).is_some(), "{:?} {:?}", error, text);
                    prop_assert!(!error.message.contains("broke down"), "{:?}", text);
                }
            }
        }
    }
}
