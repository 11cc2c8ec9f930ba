//! What jq promises to authors.

use super::*;
use crate::secret::Origin;
use proptest::prelude::*;
use serde_json::json;
use std::time::Instant;

struct Vars(Json);

impl Names for Vars {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.0.get(name).map(|json| Value::plain(json.clone()))
    }
}

fn run(text: &str, input: Json) -> Result<Vec<Json>, String> {
    let query = Query::parse(text).map_err(|errors| format!("{errors:?}"))?;
    let vars = Vars(json!({"zone": "z1", "n": 5, "list": [1, 2]}));
    let results = query.run(&Value::plain(input), &vars).map_err(|error| error.0)?;
    Ok(results.iter().map(|value| value.expose().clone()).collect())
}

#[test]
fn the_language() {
    let input =
        json!({"a": {"b": [1, 2, 3]}, "success": true, "items": [{"id": 1, "on": true}, {"id": 2, "on": false}]});
    for (text, want) in [
        (".a.b[1]", vec![json!(2)]),
        (".a.b[]", vec![json!(1), json!(2), json!(3)]),
        (".nope", vec![json!(null)]),
        ("empty", vec![]),
        ("[.items[] | select(.on) | .id]", vec![json!([1])]),
        (".items | map(.id) | add / length", vec![json!(1.5)]),
        ("$zone + \"x\", $n, $missing", vec![json!("z1x"), json!(5), json!(null)]),
        (". as {a: {b: [$x]}} | $x + $n", vec![json!(6)]),
        ("reduce .a.b[] as $x (0; . + $x)", vec![json!(6)]),
        ("[foreach .a.b[] as $x (0; . + $x; [$x, .])]", vec![json!([[1, 1], [2, 3], [3, 6]])]),
        ("def f($x; g): $x + g; f(1; $n)", vec![json!(6)]),
        ("def f: def g: 1; g; def h: f; h", vec![json!(1)]),
        ("try error(\"x\") catch .", vec![json!("x")]),
        ("label $out | .a.b[] | if . == 2 then ., break $out else . end", vec![json!(1), json!(2)]),
        ("[limit(3; repeat(1))]", vec![json!([1, 1, 1])]),
        ("[.[] | type]", vec![json!(["object", "boolean", "array"])]),
        ("\"a,b\" | split(\",\"), test(\"^a\"), ascii_upcase", vec![json!(["a", "b"]), json!(true), json!("A,B")]),
        (
            "@base64 \"x\\(.success)\", (\"eA==\" | @base64d), ([1, \"b\"] | @csv, @json)",
            vec![json!("xdHJ1ZQ=="), json!("x"), json!("1,\"b\""), json!("[1,\"b\"]")],
        ),
        ("[1, [2]] | flatten, tojson, (tojson | fromjson)", vec![json!([1, 2]), json!("[1,[2]]"), json!([1, [2]])]),
        ("to_entries | map(.key)", vec![json!(["a", "success", "items"])]),
        ("\"2026-01-01T00:00:00Z\" | fromdate", vec![json!(1_767_225_600)]),
        ("debug, debug(\"x\"), stderr | .success", vec![json!(true); 3]),
        ("[paths] | length, ([.. | numbers] | add)", vec![json!(13), json!(6)]),
        ("IN(.a.b[]; 2), (3 | IN(1, 3)), (2 | toarray)", vec![json!(true), json!(true), json!([2])]),
        ("INDEX(.items[]; .id) | keys", vec![json!(["1", "2"])]),
        (".items[0].id |= . + 1 | .items[0].id, (del(.items) | keys)", vec![json!(2), json!(["a", "success"])]),
        ("[[1, \"a\\tb\\\"\", null, true] | @tsv, @csv]", vec![json!(["1\ta\\tb\"\t\ttrue", "1,\"a\tb\"\"\",,true"])]),
    ] {
        assert_eq!(run(text, input.clone()), Ok(want), "{text}");
    }
    assert_eq!(run("empty", json!(1)), Ok(vec![]));
}

#[test]
fn numbers_go_through_as_they_are() {
    let input = json!([1.0, 1.5, 9007199254740993i64, 18446744073709551615u64, -1, 1e300, 0.1]);
    assert_eq!(run(".", input.clone()), Ok(vec![input.clone()]));
    assert_eq!(serde_json::to_string(&run(".[0]", input.clone()).unwrap()[0]).unwrap(), "1.0");
    assert_eq!(
        run("10 / 2, 7 / 2, 3.0 * 2, (.[0] == 1), .[2] + 1", input).unwrap(),
        vec![json!(5), json!(3.5), json!(6), json!(true), json!(9007199254740994i64),]
    );
    assert_eq!(run("nan, infinite, -infinite", json!(1)), Ok(vec![json!(null), json!(f64::MAX), json!(f64::MIN)]));
    assert_eq!(run("18446744073709551616", json!(1)), Ok(vec![json!(18446744073709551616.0)]));
}

fn errors(text: &str) -> Vec<String> {
    let errors = Query::parse(text).expect_err(text);
    errors.iter().map(|error| format!("{} @ {}", error.message, &text[error.span.clone()])).collect()
}

#[test]
fn mistakes_have_places() {
    for (text, want) in [
        (".a == nofun", "there is no filter `nofun` @ nofun"),
        (".a[", "expected `]` to close `[`, but the query ends @ "),
        ("\"abc", "expected `\"` to close `\"`, but the query ends @ "),
        (".a ==", "expected a term, but the query ends @ "),
        ("", "expected a term, but the query ends @ "),
        (".a b", "expected nothing more, but found `b` @ b"),
        ("ü", "expected a token, but found `ü` @ ü"),
        ("ltrimstr(1; 2)", "`ltrimstr` takes 1 argument(s), not 2 @ ltrimstr"),
        ("\"ü\" | env", "`env` is not available @ env"),
        ("$ENV.HOME", "`$ENV` is not available @ $ENV"),
        ("$__loc__", "`$__loc__` is not available @ $__loc__"),
        ("halt_error", "`halt_error` is not available @ halt_error"),
        ("[inputs]", "`inputs` is not available @ inputs"),
        ("import \"x\" as x; .", "`import` is not available @ import"),
        ("include \"x\"; .", "`include` is not available @ include"),
        ("break $x", "there is no `label $x` around it @ $x"),
        ("x::y", "there is no module `x` @ x"),
        ("def f: 1 + f; f", "`f` calls itself: recursive definitions are not available @ f"),
        ("def f(g): def h: f(g); h; f(.)", "`f` calls itself: recursive definitions are not available @ f"),
    ] {
        assert_eq!(errors(text).first().map(String::as_str), Some(want), "{text}");
    }
    assert_eq!(errors("nofun1 | nofun2").len(), 2);
    assert_eq!(Query::parse("selct(.a)").unwrap_err()[0].help.as_deref(), Some("did you mean `select`?"));
    assert!(Query::parse(&"1 + ".repeat(30_000)).is_err());
}

#[test]
fn free_variables_are_found_exactly() {
    let reads = |text: &str| -> Vec<String> {
        Query::parse(text)
            .unwrap()
            .reads()
            .iter()
            .map(|(name, span)| format!("{name}:{}", &text[span.clone()]))
            .collect()
    };
    assert_eq!(reads("$a + $b + $a"), ["a:$a", "b:$b"]);
    assert_eq!(reads(". as $a | $a + $b"), ["b:$b"]);
    assert_eq!(reads("def f($a): $a + $c; f($b)"), ["c:$c", "b:$b"]);
    assert_eq!(reads("{$a, b: \"\\($c)\"}"), ["a:$a", "c:$c"]);
    assert_eq!(reads("(. as $a | $a), $a"), ["a:$a"]);
    assert_eq!(Query::parse("(. as $a | $a), $a").unwrap().reads()[0].1, 16..18);
    assert_eq!(reads("reduce .[] as [$a] ($b; . + $a)"), ["b:$b"]);
}

#[test]
fn errors_tell_shapes_of_long_values() {
    let secret = "s3cr3t".repeat(30);
    let message = run(".a", json!([secret, 1])).unwrap_err();
    assert_eq!(message, "cannot index a list of 2, the first is a string of 180 characters with \"a\"");
    assert_eq!(run("error(\"bad \" + $zone)", json!(1)), Err("bad z1".into()));
    assert_eq!(run("error({a: 1})", json!(1)), Err("{\"a\":1}".into()));
}

#[test]
fn taint_follows() {
    let origin = Arc::new(Origin { name: "token".into(), to: None });
    let input = Value::marked(
        json!({"token": "s3cr3t-token", "id": "public"}),
        vec![("/token".into(), crate::secret::Taint::of(origin))],
    );
    let shown = |text: &str| -> Vec<Json> {
        Query::parse(text).unwrap().run(&input, &Vars(json!({}))).unwrap().iter().map(Value::shown).collect()
    };
    assert_eq!(shown(".token, .id"), [json!("***"), json!("public")]);
    assert_eq!(shown("{a: .token[2:], b: .id, c: (.token | length)}"), [json!({"a": "***", "b": "public", "c": 12})]);
    assert_eq!(shown(".token == \"x\", (.token | @base64)"), [json!(false), json!("***")]);
}

#[test]
fn what_does_not_end_is_given_up() {
    let start = Instant::now();
    assert!(run("[limit(1e9; repeat(1))] | length", json!(1)).unwrap_err().starts_with("it "));
    assert_eq!(
        run("repeat(1)", json!(1)).unwrap_err(),
        "it gives more than 10000 results: put them into a list, `[…]`"
    );
    assert_eq!(run("last(repeat(1))", json!(1)).unwrap_err(), "it did not end within 2 s");
    assert_eq!(run("\"x\" * 10000000000", json!(1)).unwrap_err(), "it ran over its memory budget of 256 MiB");
    assert_eq!(run("\"x\" * 70000000", json!(1)).unwrap_err(), "the result is larger than 64 MiB");
    assert_eq!(
        run("reduce range(1e5) as $i (null; [.])", json!(1)).unwrap_err(),
        "the result is nested deeper than 500 levels"
    );
    assert_eq!(run("first(repeat(1))", json!(1)), Ok(vec![json!(1)]));
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn deep_texts_are_read() {
    for text in [
        "(".repeat(60_000),
        "[".repeat(30_000) + &"]".repeat(30_000),
        format!("{}1", "-".repeat(60_000)),
        "1|".repeat(30_000) + "1",
        "try ".repeat(15_000) + "1",
        "if 1 then ".repeat(6_000),
        "1 as $x|".repeat(8_000) + "1",
        "def f:1;".repeat(8_000) + "1",
        format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000)),
        format!("{}1{}", "\"\\(".repeat(10_000), ")\"".repeat(10_000)),
    ] {
        let _ =
            Query::parse(&text).and_then(|query| query.run(&Value::null(), &Vars(json!({}))).map_err(|_| Vec::new()));
    }
}

#[test]
fn programs() {
    let definitions = "def ok($x): {status: 200, json: $x}; def no: ok(null) | .status = 404;";
    let program = |text: &str| Program::parse(definitions, text);
    assert_eq!(
        program("if .x then ok(.x) else no end").unwrap().run(json!({"x": 1})),
        Ok(json!({"status": 200, "json": 1}))
    );
    assert_eq!(program("1, 2").unwrap().run(json!(null)), Ok(json!(1)));
    assert_eq!(program("empty").unwrap().run(json!(null)), Err(RunError("it gives no result".into())));
    let error = |definitions: &str, text: &str| Program::parse(definitions, text).unwrap_err().remove(0);
    assert_eq!(
        error(definitions, ". | $x"),
        QueryError { span: 4..6, message: "`$x` is not defined".into(), help: None }
    );
    assert_eq!(error("def a: 1;\ndef b: nope;", "b").message, "in the definitions, line 2: there is no filter `nope`");
    assert_eq!(
        error("def a: a;", "a").message,
        "in the definitions, line 1: `a` calls itself: recursive definitions are not available"
    );
    assert!(error("def a 1;", "a").message.starts_with("in the definitions, line 1: expected"));
    // A world may have a filter of a refused name.
    assert_eq!(Program::parse("def env: 7;", "env").unwrap().run(json!(1)), Ok(json!(7)));
}

#[test]
fn a_sealed_box_is_opened() {
    use base64::Engine;
    let base64 = base64::engine::general_purpose::STANDARD;
    let secret = crypto_box::SecretKey::from([7; 32]);
    let sealed = secret.public_key().seal(&mut crypto_box::aead::OsRng, b"hello").unwrap();
    let input = json!({"key": base64.encode(secret.to_bytes()), "box": base64.encode(sealed)});
    let program = Program::parse("", ".key as $key | .box | sealed_open($key)").unwrap();
    assert_eq!(program.run(input.clone()), Ok(json!("hello")));
    let other = Program::parse("", "sealed_open(\"AAAA\")").unwrap();
    assert_eq!(other.run(input["box"].clone()), Ok(json!(null)));
    assert!(Query::parse("sealed_open(1)").is_err());
}

#[test]
fn queries_run_beside_each_other() {
    let threads: Vec<_> = (0..8)
        .map(|index| {
            std::thread::spawn(move || {
                for turn in 0..50 {
                    assert_eq!(run(&format!(".a + {index}"), json!({"a": turn})), Ok(vec![json!(turn + index)]));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn nearly() -> impl Strategy<Value = String> {
    let words = [
        ".",
        ".a",
        "..",
        "[]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "|",
        ",",
        ":",
        ";",
        "$x",
        "as",
        "def f:",
        "f",
        "if",
        "then",
        "else",
        "end",
        "reduce",
        "foreach",
        "try",
        "catch",
        "?",
        "//",
        "+",
        "-",
        "*",
        "/",
        "%",
        "==",
        "and",
        "or",
        "not",
        "\"a\\(.)\"",
        "\"\\u00",
        "1",
        "2.5",
        "1e400",
        "@base64",
        "@nope",
        "map(",
        "length",
        "keys",
        "test(\"(\")",
        "label $x |",
        "break $x",
        "limit(2; ",
        "range(3)",
        "=",
        "|=",
        "+=",
        "path(",
        "getpath(",
        "tojson",
        "fromjson",
        "splits(",
        "#",
        "\n",
        "ü",
        "error",
        "implode",
        "explode",
        "ltrimstr(1)",
        "@sh",
        "sort_by(",
        "strptime(\"%d\")",
        "todate",
        "fromdate",
        "mktime",
        "tojson",
        "env",
        "input",
        "infinite",
        "nan",
        "pick(",
        "del(",
        "to_entries",
        "combinations",
        "flatten(-1)",
        "ascii",
        "gsub(\"\";\"x\")",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..16).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_panics_and_places_are_within_the_text(text in prop_oneof![any::<String>(), nearly()]) {
        let input = Value::plain(json!({"a": [1, "b", null, {"c": 2.5}], "x": "y"}));
        match Query::parse(&text) {
            Ok(query) => {
                if let Err(error) = query.run(&input, &Vars(json!({"x": [1]}))) {
                    prop_assert!(!error.0.contains("broke down"), "{:?}", text);
                }
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(text.get(error.span.clone()).is_some(), "{:?} {:?}", error, text);
                    prop_assert!(!error.message.contains("broke down"), "{:?}", text);
                }
            }
        }
    }
}

#[test]
fn jqs_own_ways() {
    for (text, want) in [
        ("{} | .a.b |= 1", json!({"a": {"b": 1}})),
        ("{} | .a[\"x\"].b = 1 | .a.x.c += 2 | .l[1] = 3", json!({"a": {"x": {"b": 1, "c": 2}}, "l": [null, 3]})),
        ("null | .a //= 5", json!({"a": 5})),
        ("{a: [1, 2, 3, 4]} | del(.a[0, 1], .b, .c.d)", json!({"a": [3, 4]})),
        ("[1, 2, 3] | del(.[0, 2])", json!([2])),
        ("[1, 2, 3, 4] | del(.[1:3]), .[1:3] = [9]", json!([1, 4])),
        ("{a: 1, b: 2, c: 3} | del(.a) | keys_unsorted", json!(["b", "c"])),
        ("[10 / 2, 7 / 2, pow(2; 3), (3.0 | floor), -(-2)]", json!([5, 3.5, 8, 3, 2])),
        ("\"\\(10 / 2) \\(1.5 * 2) \\(1.5)\"", json!("5 3 1.5")),
        ("[null, 1, \"a\", true] | join(\"-\")", json!("-1-a-true")),
        ("[1 | ltrimstr(\"a\"), (\"abc\" | ltrimstr(\"a\"), rtrimstr(\"c\"))]", json!([1, "bc", "ab"])),
        (
            "[{name: \"a\", value: 1}, {k: \"b\", v: 2}, {key: 3, value: null}] | from_entries",
            json!({"a": 1, "b": 2, "3": null}),
        ),
        ("{a: 1} | with_entries(.value += 1)", json!({"a": 2})),
        ("[1, [2]] | walk(if type == \"array\" then length else . end)", json!(2)),
        ("[1, 2, 3] | [.[1.7], .[-1], .[9], .[:1.5]]", json!([2, 3, null, [1, 2]])),
        ("null | [.[1:2], .a, .[0]]", json!([null, null, null])),
        ("fromstream([1, [2, {a: 3}]] | tostream)", json!([1, [2, {"a": 3}]])),
        ("[1 | truncate_stream([[0], 1], [[1, 0], 2], [[1, 0]], [[1]])]", json!([[[0], 2], [[0]]])),
        ("\"aXbXc\" | [indices(\"X\")[]], index(\"X\"), rindex(\"X\")", json!([1, 3])),
        ("[[1, 2, 1, 2] | indices([1, 2])[]]", json!([0, 2])),
        ("[([1, 2] | has(0, 5)), ({a: 1} | has(\"a\"))]", json!([true, false, true])),
        ("[[1, 3] | bsearch(3, 2)]", json!([1, -2])),
        ("[(-5, null, \"ü\", [1]) | length]", json!([5, 0, 1, 1])),
        ("[(\"foobar\" | contains(\"bar\")), ({a: [1, {b: 2}]} | contains({a: [{b: 2}]}))]", json!([true, true])),
        ("try (\"{\" | fromjson) catch (. | startswith(\"cannot read it as JSON\"))", json!(true)),
        ("[paths] | length", json!(0)),
        ("[1, [2, 3]] | [paths], [leaf_paths]", json!([[0], [1], [1, 0], [1, 1]])),
        ("{a: [{b: 1}, {b: 2}]} | [.a[].b] , (.a[1].b |= . + 1 | .a[1].b)", json!([1, 2])),
        ("[3, 1, 2] | sort, min, max, (sort_by(-.) | first)", json!([1, 2, 3])),
        ("{a: {b: 1}} * {a: {c: 2}}", json!({"a": {"b": 1, "c": 2}})),
        ("[.[]?]", json!([])),
        ("\"a,b\" | sub(\",\"; \";\"), [splits(\",\")]", json!("a;b")),
        ("\"abc\" | capture(\"(?<x>b)\")", json!({"x": "b"})),
    ] {
        assert_eq!(run(text, json!(null)).map(|results| results[0].clone()), Ok(want), "{text}");
    }
    assert!(run("[1] | .[-3] = 1", json!(null)).unwrap_err().contains("before the start of the list"));
    assert!(run("1 | .a = 1", json!(null)).unwrap_err().contains("cannot index 1 with \"a\""));
}

#[test]
fn plain_queries_are_told_from_others() {
    let is_plain = |text: &str| Query::parse(text).unwrap().0.plain;
    for text in [
        ".success and (.errors | length == 0)",
        ".result | type == \"string\" and length >= 40",
        "[.result[] | select(.status == \"active\") | .id] | length",
        ".result.items[0].tags[].name",
        "any(.result[]; .id == $id)",
        "{id: .result.id, name: .result[\"the name\"]}",
        ".a.b.c.d.e.f.g.h.i.j.k.l.m",
        "if .ok then .x // \"none\" else error(\"not \\(.y)\") end",
        "map(select(.on)) | first | .id",
    ] {
        assert!(is_plain(text), "{text}");
    }
    for text in [
        "[.[] | .[] | .x]",
        ".[] as $a | .[] as $b | $a + $b",
        "map(map(.))",
        "[limit(1e9; repeat(1))]",
        "reduce .[] as $x (0; . + $x)",
        "\"x\" * 1e10",
        ". + . | ".repeat(20).trim_end_matches(" | "),
        "[., .] | ".repeat(20).trim_end_matches(" | "),
        "[tostring] | ".repeat(20).trim_end_matches(" | "),
        "\"\\(.)\\(.)\" | ".repeat(9).trim_end_matches(" | "),
        "fromjson",
        "..",
        "range(1e9)",
        "def f: .; f",
    ] {
        assert!(!is_plain(text), "{text}");
    }
}

#[test]
fn now_holds_still_within_a_query() {
    let origin = Arc::new(Origin { name: "token".into(), to: None });
    let input = Value::secret(json!("s3cr3t-token"), origin);
    let results = Query::parse("(now | tostring), .").unwrap().run(&input, &Vars(json!({}))).unwrap();
    assert_eq!(results.iter().map(Value::is_secret).collect::<Vec<_>>(), [false, true]);
}
