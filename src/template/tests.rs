//! What templates promise to authors.

use super::*;
use crate::secret::Origin;
use proptest::prelude::*;
use serde_json::json;

struct Vars(Json);

impl Names for Vars {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.0.get(name).map(|json| Value::plain(json.clone()))
    }
}

fn vars() -> Vars {
    Vars(json!({
        "name": "Ada", "n": 3, "big": 18446744073709551615u64, "half": 0.5, "yes": true, "none": null, "xs": [1, 2, 3],
        "customer": {"id": 7, "name": "Bo", "tags": ["a", "b"]},
        "steps": {"roll": {"output": {"json": {"result": "r"}}}},
    }))
}

fn render(text: &str) -> Result<Json, TemplateError> {
    let template = Template::parse(&json!(text)).map_err(|mut errors| errors.remove(0))?;
    template.render(&vars()).map(|value| value.expose().clone())
}

fn fault(text: &str) -> String {
    let error = render(text).expect_err(text);
    format!("{} @ {:?}", error.message, text.get(error.span.clone()).unwrap_or("?"))
}

#[test]
fn a_single_expression_keeps_its_type() {
    for (text, want) in [
        ("{{ n }}", json!(3)),
        (" {{- n -}}\n", json!(3)),
        ("{{ big }}", json!(18446744073709551615u64)),
        ("{{ n + 1 }}", json!(4)),
        ("{{ -n }}", json!(-3)),
        ("{{ half }}", json!(0.5)),
        ("{{ yes }}", json!(true)),
        ("{{ none }}", json!(null)),
        ("{{ xs }}", json!([1, 2, 3])),
        ("{{ customer }}", json!({"id": 7, "name": "Bo", "tags": ["a", "b"]})),
        ("{{ '}}' ~ name }}", json!("}}Ada")),
        ("{{ {'a': n, 'b': [name]} }}", json!({"a": 3, "b": ["Ada"]})),
        ("{{ [x * 2 for x in xs if x > 1] }}", json!([4, 6])),
        ("{{ n if yes else nope }}", json!(3)),
        ("{{ steps['roll'].output.json.result }}", json!("r")),
        ("{{ customer.tags[-1] }}", json!("b")),
    ] {
        assert_eq!(render(text), Ok(want), "{text}");
    }
    let Json::Object(map) = render("{{ customer }}").unwrap() else { panic!() };
    assert_eq!(map.keys().collect::<Vec<_>>(), ["id", "name", "tags"]);
}

#[test]
fn a_text_takes_everything_as_text() {
    for (text, want) in [
        ("no tags { } %", "no tags { } %"),
        ("Hi {{ name }}, {{ n }}", "Hi Ada, 3"),
        ("{{ name }}{{ n }}", "Ada3"),
        ("{{ customer }}!", r#"{"id":7,"name":"Bo","tags":["a","b"]}!"#),
        ("{{ yes }} {{ half }} {{ 4 / 2 }}", "true 0.5 2.0"),
        ("{% if n > 2 %}many{% else %}few{% endif %}", "many"),
        ("{% for x in xs %}{{ loop.index }}{{ x }}{% if not loop.last %},{% endif %}{% endfor %}", "11,22,33"),
        ("{% set a = n * 2 %}{{ a }}", "6"),
        ("{% raw %}{{ n }}{% endraw %}", "{{ n }}"),
        ("{# {{ nope }} #}x", "x"),
        ("<{{ '<&>' }}>", "<<&>>"),
    ] {
        assert_eq!(render(text), Ok(json!(want)), "{text}");
    }
}

#[test]
fn undefined_has_its_ways_out_and_no_other() {
    for (text, want) in [
        ("{{ nope or n }}", json!(3)),
        ("{{ nope or missing or xs }}", json!([1, 2, 3])),
        ("{{ nope | default(value=n) }}", json!(3)),
        ("{{ customer.nope or 'x' }}", json!("x")),
        ("{{ customer.nope | default(value='x') }}", json!("x")),
        ("{{ nope is defined }}", json!(false)),
        ("{{ customer.nope is not defined }}", json!(true)),
        ("{{ nope?.a or 'x' }}", json!("x")),
        ("{{ nope?.a?.b == 1 }}", json!(false)),
        ("{{ nope is defined and nope.x == 1 }}", json!(false)),
    ] {
        assert_eq!(render(text), Ok(want), "{text}");
    }
    for (text, want) in [
        ("{{ nope }}", "`nope` is not defined @ \"nope\""),
        ("a {{ nope }}", "`nope` is not defined @ \"nope\""),
        ("{{ nope.a.b }}", "`nope` is not defined @ \"nope\""),
        ("{{ customer.idd }}", "`customer.idd` is not defined; it has: id, name, tags @ \"customer.idd\""),
        ("ü {{ customer.idd.x }}", "`customer.idd` is not defined; it has: id, name, tags @ \"customer.idd\""),
        ("{{ customer.idd == 1 }}", "`customer.idd` is not defined; it has: id, name, tags @ \"customer.idd\""),
        ("{{ not customer.idd }}", "`customer.idd` is not defined; it has: id, name, tags @ \"customer.idd\""),
        (
            "{{ 1 in customer['idd'] }}",
            "`customer['idd']` is not defined; it has: id, name, tags @ \"customer['idd']\"",
        ),
        ("{{ name.first }}", "`name.first` is not defined; `name` is a string of 3 characters @ \"name.first\""),
        ("{{ xs[9] }}", "`xs[9]` is not defined; `xs` is a list of 3 @ \"xs[9]\""),
        ("{% if nope %}x{% endif %}", "`nope` is not defined @ \"nope\""),
        ("{% for x in nope %}x{% endfor %}", "`nope` is not defined @ \"nope\""),
        ("{% for x in xs %}{{ x.y }}{% endfor %}", "`x.y` is not defined @ \"x.y\""),
        ("{{ [nope] }}", "`nope` is not defined @ \"nope\""),
        ("{{ name | replace(from=nope, to='') }}", "`nope` is not defined @ \"nope\""),
        ("{{ nope or missing }}", "`missing` is not defined @ \"missing\""),
    ] {
        assert_eq!(fault(text), want, "{text}");
    }
}

#[test]
fn null_is_no_text() {
    assert_eq!(fault("a{{ none }}"), "`none` is null, which has no text @ \"none\"");
    assert_eq!(render("a{{ none or '-' }}"), Ok(json!("a-")));
    let template = Template::parse(&json!("{{ none }}")).unwrap();
    assert!(template.render_text(&vars()).is_err());
    let template = Template::parse(&json!("{{ xs }}")).unwrap();
    assert_eq!(template.render_text(&vars()).unwrap().expose(), &json!("[1,2,3]"));
}

#[test]
fn mistakes_are_found_when_parsed_with_their_place() {
    for (text, want) in [
        ("a {{ n ", "unexpected end of input @ \"\""),
        ("{{ n | upprer }}", "there is no filter `upprer` @ \"upprer\""),
        ("{{ now() }}", "there is no function `now` @ \"now\""),
        ("{{ get_env(name='HOME') }}", "there is no function `get_env` @ \"get_env\""),
        ("{{ super() }}", "there is no function `super` @ \"super\""),
        ("{{ n is evn }}", "there is no test `evn` @ \"evn\""),
        ("{% include 'x' %}", "`{% include %}` is not available here @ \"include\""),
        ("{% extends 'x' %}", "`{% extends %}` is not available here @ \"extends\""),
        ("{% block b %}{% endblock %}", "`{% block %}` is not available here @ \"block\""),
        ("{% component c() %}{% endcomponent %}", "a component is not available here @ \"component\""),
        ("{{ <c /> }}", "a component is not available here @ \"<\""),
        ("{% set a %}x{% endset %}", "a `set` block is not available here @ \"set\""),
        ("{% filter upper %}x{% endfilter %}", "a `filter` section is not available here @ \"filter\""),
        (
            "{{ __tera_context }}",
            "`__tera_context`: names with two underscores at the start are not available @ \"__tera_context\"",
        ),
        ("{{ n | __take }}", "there is no filter `__take` @ \"__take\""),
        ("{{ a b }}", "found identifier but expected }} @ \"b\""),
        ("{{ else }}", "`else` is a word of the language, not a name @ \"else\""),
    ] {
        assert_eq!(fault(text), want, "{text}");
    }
    let errors = Template::parse(&json!({"a/b": ["x", "{{ }"], "c": "{{ n | nope }}"})).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), ["/a~1b/1", "/c"]);
    assert_eq!(render("{{ n | defualt(value=1) }}").unwrap_err().help.as_deref(), Some("did you mean `default`?"));
}

#[test]
fn errors_of_a_run_have_pointer_and_place() {
    let template = Template::parse(&json!({"a": ["x", "ab {{ name + 1 }}"]})).unwrap();
    let error = template.render(&vars()).unwrap_err();
    assert_eq!((error.pointer.as_str(), error.span), ("/a/1", 6..14));
    assert!(error.message.contains("requires both operands to be numbers"), "{}", error.message);
    assert_eq!(fault("{{ 'ü' | b64decode }}"), "it is no base64 @ \"b64decode\"");
    assert_eq!(fault("{{ throw(message='no') }}"), "no @ \"throw(message='no')\"");
    assert_eq!(fault("{{ n / 0 }}").split(" @ ").nth(1), Some("\"0\""));
}

#[test]
fn filters_beyond_teras() {
    for (text, want) in [
        ("{{ 'a b/ü' | urlencode }}", json!("a%20b%2F%C3%BC")),
        ("{{ 'hi?>' | b64encode }}", json!("aGk/Pg==")),
        ("{{ 'hi?>' | b64encode(url=true) }}", json!("aGk_Pg==")),
        ("{{ 'aGk_Pg' | b64decode }}", json!("hi?>")),
        ("{{ 'abc' | sha256 }}", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
        ("{{ customer | json }}", json!(r#"{"id":7,"name":"Bo","tags":["a","b"]}"#)),
        ("{{ name | json }}", json!("\"Ada\"")),
        ("{{ n | str ~ 'x' }}", json!("3x")),
        ("{{ '12' | int + 1 }}", json!(13)),
    ] {
        assert_eq!(render(text), Ok(want), "{text}");
    }
    let mut tera = tera::Tera::new();
    super::filters::register(&mut tera);
    for filter in super::filters::FILTERS {
        tera.add_raw_template("t", &format!("{{{{ x | {filter} }}}}")).expect(filter);
    }
    for test in super::filters::TESTS {
        tera.add_raw_template("t", &format!("{{{{ x is {test} }}}}")).expect(test);
    }
    for function in super::filters::FUNCTIONS {
        tera.add_raw_template("t", &format!("{{{{ {function}() }}}}")).expect(function);
    }
}

fn reads(text: &str) -> Vec<(String, String, bool)> {
    let template = Template::parse(&json!(text)).unwrap();
    template.reads().into_iter().map(|read| (read.name, text[read.span].to_string(), read.guarded)).collect()
}

#[test]
fn reads_are_free_names_with_their_guards() {
    let named = |text: &str| reads(text).into_iter().map(|(name, _, guarded)| (name, guarded)).collect::<Vec<_>>();
    let is = |name: &str, guarded: bool| vec![(name.to_string(), guarded)];
    for (text, guarded) in [
        ("{{ a }}", false),
        ("{{ a.b }}", false),
        ("{{ a | default(value=1) }}", true),
        ("{{ a or 1 }}", true),
        ("{{ a.b or 1 }}", false),
        ("{{ a is defined }}", true),
        ("{{ a?.b }}", true),
        ("{{ a?['b'] }}", true),
        ("{{ a.c?.b }}", false),
        ("{{ 1 or a }}", true),
        ("{{ not a or 1 }}", false),
        ("{{ a == 1 or 2 }}", false),
        ("{{ 'a | default' ~ a }}", false),
        ("{% if a is defined %}{{ a.b }}{% endif %}", true),
        ("{{ a.b if a is defined else 1 }}", true),
        ("{{ a or a }}", true),
        ("{{ (a | default(value={'b': 1}))['b'] }}", true),
    ] {
        assert_eq!(named(text), is("a", guarded), "{text}");
    }
    assert_eq!(named("{% for a in b %}{{ a.x }}{{ loop.index }}{% endfor %}"), is("b", false));
    assert_eq!(named("{% set a = b %}{{ a }}"), is("b", false));
    assert_eq!(named("{{ [a.x for a in b if a.y] }}"), is("b", false));
    assert_eq!(named("{{ range(end=b) }}"), is("b", false));
    assert_eq!(named("{% raw %}{{ a }}{% endraw %}{# {{ a }} #}{{ 'a' }}"), []);
    assert_eq!(reads("ü{{ x }} {{ yy.z }}{{ x }}").iter().map(|read| &*read.1).collect::<Vec<_>>(), ["x", "yy"]);
    let outputs = |text: &str| Template::parse(&json!(text)).unwrap().reads_outputs();
    assert_eq!(outputs("{{ steps['a-b'].output }}{{ steps.c }}"), Some(vec!["a-b".into(), "c".into()]));
    assert_eq!(outputs("{{ steps[n] }}"), None);
    assert_eq!(outputs("{{ steps }}"), None);
    assert_eq!(outputs("{{ n }}"), Some(vec![]));
}

#[test]
fn expressions() {
    let holds = |text: &str| Expression::parse(text).unwrap().holds(&vars()).unwrap();
    assert!(holds("n == 3"));
    assert!(holds("-n < 0 and name == \"Ada\""));
    assert!(!holds("none"));
    assert!(holds("nope or xs"));
    let expression = Expression::parse(" customer.id + nope").unwrap();
    assert_eq!(expression.reads().iter().map(|read| read.span.clone()).collect::<Vec<_>>(), [1..9, 15..19]);
    let error = expression.evaluate(&vars()).unwrap_err();
    assert_eq!((error.message.as_str(), error.span), ("`nope` is not defined", 15..19));
    for (text, message) in [
        ("", "the expression is empty"),
        ("{{ n }}", "an expression is meant here, not a template"),
        ("n }} {{ n", "`}}` closes nothing here"),
        ("n ==", "it ends where a value should stand"),
        ("'a", "string opened with"),
    ] {
        let error = Expression::parse(text).unwrap_err();
        assert!(error.message.starts_with(message), "{text}: {}", error.message);
        assert!(error.span.end <= text.len(), "{text}: {:?}", error.span);
    }
}

#[test]
fn literals_and_prefixes() {
    let template = |json: Json| Template::parse(&json).unwrap();
    assert_eq!(template(json!(["a", 1])).as_literal(), Some(&json!(["a", 1])));
    assert_eq!(template(json!("https://h/{{ n }}/x")).literal_prefix(), Some("https://h/"));
    assert_eq!(template(json!("abc")).literal_prefix(), Some("abc"));
    assert_eq!(template(json!(["{{ n }}"])).literal_prefix(), None);
    assert_eq!(Template::literal(json!("{{ n }}")).render(&vars()).unwrap().expose(), &json!("{{ n }}"));
    let rendered = template(json!({"a": ["{{ n }}", 2], "b": "x{{ n }}"})).render(&vars()).unwrap();
    assert_eq!(rendered.expose(), &json!({"a": [3, 2], "b": "x3"}));
}

#[test]
fn only_what_is_wanted_of_a_value_is_there_but_nothing_less() {
    for (text, want) in [
        ("{{ customer.name }}{{ customer.tags[1] }}", json!("Bob")),
        ("{{ customer.name }}{{ customer }}", json!(r#"Bo{"id":7,"name":"Bo","tags":["a","b"]}"#)),
        ("{{ customer.tags | length + customer.id }}", json!(9)),
        ("{% set c = customer %}{{ c.id }}{{ customer.name }}", json!("7Bo")),
        ("{{ customer[name | lower] or customer.name }}", json!("Bo")),
        ("{{ customer['i' ~ 'd'] }}", json!(7)),
    ] {
        assert_eq!(render(text), Ok(want), "{text}");
    }
}

struct Secret;

impl Names for Secret {
    fn lookup(&self, name: &str) -> Option<Value> {
        match name {
            "token" => Some(Value::secret(json!("s3cr3t-token"), Arc::new(Origin { name: "token".into(), to: None }))),
            "public" => Some(Value::plain(json!("public"))),
            _ => None,
        }
    }
}

#[test]
fn taint_goes_where_the_secret_goes() {
    let shown = |text: &str| Template::parse(&json!(text)).unwrap().render(&Secret).unwrap().shown();
    assert_eq!(shown("Bearer {{ token }}"), json!("***"));
    assert_eq!(shown("{{ token | b64encode }}"), json!("***"));
    assert_eq!(shown("{{ {'a': token, 'b': public} }}"), json!({"a": "***", "b": "public"}));
    assert_eq!(shown("{{ token | length }}"), json!(12));
    assert_eq!(shown("{{ public if token else '' }}"), json!("public"));
}

#[test]
fn what_would_not_end_is_stopped() {
    for (text, want) in [
        ("{% for a in range(end=2000) %}{% for b in range(end=2000) %}{% endfor %}{% endfor %}", "the loops take"),
        ("{{ [[b for b in range(end=2000)] for a in range(end=2000)] | length }}", "the loops take"),
        (
            "{% set a = 'xxxxxxxx' %}{% for i in range(end=60) %}{% set_global a = a ~ a %}{% endfor %}",
            "the values that",
        ),
        ("{% set a = [1] %}{% for i in range(end=999) %}{% set_global a = [a] %}{% endfor %}", "the values that"),
        ("{% set a = [1, 1] %}{% for i in range(end=60) %}{% set_global a = [a, a] %}{% endfor %}", "the values that"),
        (
            "{% for i in range(end=99999) %}{% for j in range(end=9) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
            "the result is",
        ),
    ] {
        let message = render(text).unwrap_err().message;
        assert!(message.starts_with(want), "{text}: {message}");
    }
    let elifs = format!("{{% if n %}}{}{{% endif %}}", "{% elif n %}".repeat(5000));
    assert_eq!(render(&elifs).unwrap_err().message, "more than 100 `elif`");
    assert!(render(&format!("{{{{ n }}}}{}", "x".repeat(70_000))).is_err());
    let parens = format!("{{{{ {}n{} }}}}", "(".repeat(5000), ")".repeat(5000));
    assert!(render(&parens).is_err());
}

#[test]
fn what_would_fill_the_memory_is_stopped() {
    let names = Vars(json!({"b": "x\n".repeat(5 << 20)}));
    let many = |part: &str, between: &str| vec![part; 100].join(between);
    let nested = |head: &str| head.repeat(12) + &"{% endfor %}".repeat(12);
    for (text, want) in [
        (format!("{{{{ {} }}}}", many("b", " ~ ")), "what it puts together grows larger than 64 MiB"),
        (format!("{{{{ {} }}}}", ["(b or '')"; 30].join(" ~ ")), "what it puts together"),
        (format!("{{{{ [{}] ~ '' }}}}", many("b", ", ")), "what it puts together"),
        (format!("{{{{ '' ~ {{'a': [{}]}} }}}}", many("b", ", ")), "what it puts together"),
        (format!("{{{{ [{}] | length }}}}", vec!["b?[1:] or 1"; 30].join(", ")), "what it puts together"),
        (format!("{{{{ [{}] | length }}}}", many("range(end=99999)", ", ")), "what it puts together"),
        (format!("{{% if [{}] %}}{{% endif %}}", vec!["b | trim"; 30].join(", ")), "what it puts together"),
        (format!("a{{{{ [{}] }}}}", many("b", ", ")), "the value grows larger than 64 MiB"),
        (format!("{{{{ [{}] }}}}", many("b", ", ")), "the result grows larger than 74 MiB"),
        (format!("{{{{ [[{}]] | join(sep='') }}}}", many("b", ", ")), "the value grows"),
        (nested("{% for x in [b | trim] %}"), "the values that"),
    ] {
        let head = &text[..text.len().min(80)];
        let template = Template::parse(&json!(text)).unwrap_or_else(|errors| panic!("{head}: {errors:?}"));
        let message = template.render(&names).unwrap_err().message;
        assert!(message.starts_with(want), "{head}: {message}");
    }
    let nested = (0..28).fold("1".to_string(), |nested, _| format!("{{'a': {nested}}}|json"));
    assert!(render(&format!("{{{{ {nested} | length }}}}")).unwrap_err().message.contains("grows larger than"));
}

#[test]
fn what_is_given_back_does_not_count() {
    let make = "{% set b = range(end=1000) | join(sep='\n') | indent(width=1000, first=true) %}";
    for text in [
        "{% for i in range(end=200) %}{% if b ~ 'x' == i ~ 'y' %}no{% elif b ~ 'x' == '' %}no{% endif %}{% endfor %}x",
        "{% for i in range(end=200) %}{% set c = (b ~ i) | length %}{% endfor %}x",
        "{% for i in range(end=200) %}{{ (b ~ i) | length }}{% endfor %}x",
        "{% for i in range(end=200) %}{% for j in [(b ~ i) | length] %}{% endfor %}{% endfor %}x",
    ] {
        let text = format!("{make}{text}");
        assert!(render(&text).is_ok_and(|json| json.as_str().is_some_and(|text| text.ends_with('x'))), "{text}");
    }
}

#[test]
fn our_joins_and_indents_are_as_teras() {
    for (text, want) in [
        ("{{ xs | join }}", json!("123")),
        ("{{ [1, 2.0, true, none, 'a', ['b']] | join(sep='-') }}", json!("1-2.0-true--a-[\"b\"]")),
        ("{{ 'a\n\nb\n' | indent }}", json!("a\n\n    b\n")),
        ("{{ 'a\n\nb' | indent(width=1, first=true, blank=true, indentation='é') }}", json!("éa\né\néb")),
        ("{{ 'a,b,,c' | split(pat=',') }}", json!(["a", "b", "", "c"])),
        ("{{ 'abc' | upper | lower | upper | lower | upper | reverse }}", json!("CBA")),
        ("{{ 'a' ~ 1 ~ -1 ~ [1] ~ ('b' or 'c') ~ none ~ 'abc'[1:] ~ 1 + 1 }}", json!(null)),
    ] {
        match want.is_null() {
            true => assert!(render(text).is_err(), "{text}"),
            false => assert_eq!(render(text), Ok(want), "{text}"),
        }
    }
    assert_eq!(render("{{ 'a' ~ 1 ~ -1 ~ [1] ~ ('b' or 'c') ~ none ~ 'abc'[1:] }}"), Ok(json!("a1-1[1]bbc")));
}

/// Texts that are likely to be valid, or nearly so.
fn nearly() -> impl Strategy<Value = String> {
    let words = [
        "{{",
        "}}",
        "{{-",
        "-}}",
        "{%",
        "%}",
        "{#",
        "#}",
        " ",
        "\n",
        "a",
        "b.c",
        "b?.c",
        "xs",
        "[0]",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        ":",
        ",",
        "'x'",
        "\"y}}\"",
        "1",
        "2.5",
        "-",
        "+",
        "~",
        "==",
        "<",
        "|",
        "upper",
        "default(value=a)",
        "is",
        "defined",
        "not",
        "and",
        "or",
        "in",
        "if",
        "else",
        "endif",
        "for x in xs",
        "endfor",
        "set a = ",
        "x",
        "loop",
        ".index",
        "raw",
        "endraw",
        "range(end=3)",
        "...",
        "=",
        "elif",
        "text",
        "ü",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..24).prop_map(|words| words.join(" "))
}

/// Expressions that are valid.
fn expression() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "n",
        "name",
        "xs",
        "customer.id",
        "customer.tags[0]",
        "xs[-1]",
        "1",
        "'t'",
        "true",
        "nope",
        "customer.nope",
        "none",
        "customer?.nope",
        "nope?.x",
        "xs[n - 1]",
        "2.5",
        "[]",
    ])
    .prop_map(String::from);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (
                inner.clone(),
                proptest::sample::select(vec!["+", "*", "~", "==", "!=", "<", "and", "or", "in", "not in"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("{a} {op} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("not ({a})")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.clone().prop_map(|a| format!("{a} | default(value='d')")),
            inner.clone().prop_map(|a| format!("{a} | str")),
            inner.clone().prop_map(|a| format!("{a} is defined")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} if {b} else {c}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'k': {a}, 'l': {b}}}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[i ~ {a} for i in {b} if i]")),
        ]
    })
}

/// Tera as it is, without our rewriting.
fn by_tera(text: &str) -> Option<(Vec<String>, Option<String>)> {
    let mut tera = tera::Tera::new();
    tera.autoescape_on([""; 0]);
    super::filters::register(&mut tera);
    tera.add_raw_template("t", text).ok()?;
    let mut names: Vec<String> = tera.get_template_variables("t").ok()?.into_iter().map(String::from).collect();
    names.sort();
    let context = tera::Context::from_serialize(&vars().0).ok()?;
    Some((names, tera.render("t", &context).ok()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_panics_and_places_are_within_the_text(text in prop_oneof![any::<String>(), nearly()]) {
        if let Err(error) = render(&text) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
            prop_assert!(text.get(error.span.clone()).is_some(), "{:?} {:?}", error, text);
            prop_assert!(!error.message.contains("is not understood"), "{:?} {:?}", error, text);
        }
        if let Err(error) = Expression::parse(&text).and_then(|expression| expression.evaluate(&vars())) {
            prop_assert!(text.get(error.span.clone()).is_some(), "{:?} {:?}", error, text);
            prop_assert!(!error.message.contains("is not understood"), "{:?} {:?}", error, text);
        }
    }

    #[test]
    fn the_names_are_those_that_tera_finds(text in prop_oneof![nearly(), expression().prop_map(|text| format!("{{{{ {text} }}}}"))]) {
        if let (Ok(template), Some((want, _))) = (Template::parse(&json!(text)), by_tera(&text)) {
            let mut names: Vec<String> = template.reads().into_iter().map(|read| read.name).collect();
            names.sort();
            prop_assert_eq!(names, want);
        }
    }

    #[test]
    fn the_result_is_teras_where_nothing_is_undefined(expression in expression()) {
        let text = format!("{{{{ ({expression}) | str }}}}");
        let by_tera = by_tera(&text).and_then(|(_, result)| result);
        match (render(&text), by_tera) {
            (Ok(ours), teras) => prop_assert_eq!(ours.as_str(), teras.as_deref()),
            (Err(error), Some(_)) => prop_assert!(error.message.contains("not defined"), "{:?} {}", error, text),
            (Err(_), None) => {}
        }
    }
}

#[test]
fn what_stands_around_a_secret_is_shown() {
    let mut names = std::collections::BTreeMap::new();
    let origin = |name: &str| std::sync::Arc::new(crate::secret::Origin { name: name.into(), to: None });
    names.insert("token".to_string(), Value::secret(json!("s3cr3t and more"), origin("token")));
    names.insert("other".to_string(), Value::secret(json!("an-other-one"), origin("other")));
    names.insert("host".to_string(), Value::plain(json!("api.example.com")));
    for (template, shown) in [
        ("to {{ host }} with {{ token }}?", "to api.example.com with ***?"),
        ("{{ token }}", "***"),
        ("a {{ token }} b {{ other }}, c", "a *** b ***, c"),
        ("x-{{ token | sha256 }}.", "***."),
        ("{{ token | b64encode }} of {{ token | length }}", "*** of 15"),
        ("key {{ token | replace(from='3cr', to='') }} {{ host }}", "key *** api.example.com"),
        ("{% if token == other %}same{% else %}different{% endif %}", "different"),
        ("{% if token is starting_with(pat='s3') %}{{ host }}{% endif %} is it", "*** is it"),
        ("{{ [token, host] }}", "[\"***\",\"api.example.com\"]"),
    ] {
        let template = Template::parse(&json!(template)).unwrap();
        assert_eq!(template.render_shown(&names).unwrap(), shown, "{template:?}");
    }
}
