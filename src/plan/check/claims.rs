//! Owns judging assertions and captures.

use super::Judge;
use super::names::Kind;
use crate::diagnostic::{Diagnostic, nearest};
use crate::plan::{
    Assertion, Capture, CaptureFrom, Claim, Field, MatchPattern, Operator, Predicate, SchemaText, SecretMark, Stream,
    Subject,
};
use crate::playbook::document;
use crate::playbook::part;
use crate::query::JsonPath;
use crate::source::{Part, Place};
use serde_json::Value as Json;

impl Judge<'_> {
    /// `expressions`: in `assert` a text is a Tera expression, in `expect` a comparison.
    pub fn assertions(&mut self, written: Option<&[Json]>, place: &Place, expressions: bool) -> Vec<Assertion> {
        let mut assertions = Vec::new();
        for (index, json) in written.into_iter().flatten().enumerate() {
            let at = place.index(index);
            let assertion = match json {
                Json::String(text) if expressions => self.expression(text, &at).map(|expression| Assertion {
                    place: at.clone(),
                    text: text.clone(),
                    claim: Claim::Expression(expression),
                    message: None,
                }),
                Json::String(text) => self.comparison(text, &at),
                Json::Object(_) => self.assertion(json, &at, expressions),
                other => {
                    self.tell(
                        Diagnostic::error(
                            "wrong-type",
                            format!("an assertion is a text or a map, not {}", crate::value::shape_of(other)),
                            &at,
                        )
                        .help("`status == 200`, or `{jq: .success}`"),
                    );
                    None
                }
            };
            assertions.extend(assertion);
        }
        assertions
    }

    fn comparison(&mut self, text: &str, place: &Place) -> Option<Assertion> {
        match parse_comparison(text) {
            Ok((field, operator, operand)) => Some(Assertion {
                place: place.clone(),
                text: text.into(),
                claim: Claim::Compare { field, operator, operand },
                message: None,
            }),
            Err((message, help)) => {
                self.tell(Diagnostic::error("bad-assertion", message, place).help(help));
                None
            }
        }
    }

    fn assertion(&mut self, json: &Json, place: &Place, over_variables: bool) -> Option<Assertion> {
        let written: document::Assertion = match part(json, place) {
            Ok(written) => written,
            Err(found) => {
                self.found.extend(found);
                return None;
            }
        };
        let message = written.message.as_ref().map(|text| self.text(text, &place.key("message")));
        let text = shown(json);
        let subjects: Vec<&str> = [
            ("jq", written.jq.is_some()),
            ("jsonpath", written.jsonpath.is_some()),
            ("header", written.header.is_some()),
            ("body", written.body.is_some()),
            ("stdout", written.stdout.is_some()),
            ("stderr", written.stderr.is_some()),
            ("status", written.status.is_some()),
            ("exit_code", written.exit_code.is_some()),
            ("schema", written.schema.is_some()),
        ]
        .into_iter()
        .filter_map(|(word, there)| there.then_some(word))
        .collect();
        match subjects.as_slice() {
            [_] => {}
            [] => {
                self.tell(
                    Diagnostic::error("bad-assertion", "this assertion asks for nothing", place)
                        .help("give it one of: jq, jsonpath, header, body, stdout, stderr, status, exit_code, schema"),
                );
                return None;
            }
            [first, second, ..] => {
                let diagnostic = Diagnostic::error(
                    "bad-assertion",
                    format!("this assertion asks for {}; it asks for one", subjects.join(", ")),
                    &place.key(second),
                )
                .at(Part::Key)
                .label(&place.key(first), Part::Key, "the first")
                .help("make an assertion of each");
                self.tell(diagnostic);
                return None;
            }
        }
        if over_variables && !matches!(subjects[0], "jq" | "jsonpath" | "schema") {
            self.tell(
                Diagnostic::error(
                    "bad-assertion",
                    format!("`assert` has no {}: it is over the variables", subjects[0]),
                    place,
                )
                .help("an expression such as `mode == \"a\"`, or `{jq: …}` over the variables"),
            );
            return None;
        }
        if matches!(subjects[0], "schema" | "status" | "exit_code") {
            let beside = json.as_object().into_iter().flatten();
            let beside = beside.map(|(key, _)| key).find(|key| *key != subjects[0] && *key != "message");
            if let Some(key) = beside {
                let message = format!("`{key}` goes with a query, and `{}` is judged as it stands", subjects[0]);
                let help = match subjects[0] {
                    "schema" => "make an assertion of each",
                    _ => "write a comparison, such as `status not in [404, 410]`, or `{jq: $out.status, …}`",
                };
                self.tell(Diagnostic::error("bad-assertion", message, &place.key(key)).at(Part::Key).help(help));
                return None;
            }
        }
        if let Some(file) = &written.schema {
            let claim = self.schema(file, &place.key("schema"))?;
            return Some(Assertion { place: place.clone(), text, claim, message });
        }
        for (field, key, json) in
            [(Field::Status, "status", &written.status), (Field::ExitCode, "exit_code", &written.exit_code)]
        {
            let Some(json) = json else { continue };
            let whole = |json: &Json| json.as_i64().is_some();
            let operator = match json {
                Json::Array(list) if !list.is_empty() && list.iter().all(whole) => Operator::In,
                json if whole(json) => Operator::Equal,
                _ => {
                    self.tell(Diagnostic::error(
                        "bad-assertion",
                        format!("`{key}` is a number, or a list of numbers"),
                        &place.key(key),
                    ));
                    return None;
                }
            };
            let claim = Claim::Compare { field, operator, operand: json.clone() };
            return Some(Assertion { place: place.clone(), text, claim, message });
        }
        let mut predicates = self.predicates(&written, place);
        let mut plain_text = |own: &Option<Json>, key: &str| match own {
            Some(Json::Bool(true)) | Some(Json::Null) | None => {}
            Some(json) => {
                let template = self.template(json, &place.key(key));
                predicates.push(Predicate::Equals(template));
            }
        };
        plain_text(&written.body, "body");
        plain_text(&written.stdout, "stdout");
        plain_text(&written.stderr, "stderr");
        let subject = if let Some(text) = &written.jq {
            Subject::Jq(self.query(text, &place.key("jq"), &[])?)
        } else if let Some(text) = &written.jsonpath {
            Subject::JsonPath(self.jsonpath(text, &place.key("jsonpath"))?)
        } else if let Some(name) = &written.header {
            Subject::Header(name.to_ascii_lowercase())
        } else if written.body.is_some() {
            Subject::Body
        } else if written.stdout.is_some() {
            Subject::Stdout
        } else {
            Subject::Stderr
        };
        if predicates.is_empty() && matches!(subject, Subject::Body | Subject::Stdout | Subject::Stderr) {
            self.tell(
                Diagnostic::error("bad-assertion", "nothing is said about the text", place)
                    .help("add `contains`, `matches` or `equals`"),
            );
        }
        Some(Assertion {
            place: place.clone(),
            text,
            claim: Claim::Query { subject, predicates, not: written.not.unwrap_or(false) },
            message,
        })
    }

    fn predicates(&mut self, written: &document::Assertion, place: &Place) -> Vec<Predicate> {
        let mut predicates = Vec::new();
        let mut add =
            |judge: &mut Self, json: &Option<Json>, key: &str, make: fn(crate::template::Template) -> Predicate| {
                if let Some(json) = json {
                    predicates.push(make(judge.template(json, &place.key(key))));
                }
            };
        add(self, &written.equals, "equals", Predicate::Equals);
        add(self, &written.not_equals, "not_equals", Predicate::NotEquals);
        add(self, &written.contains, "contains", Predicate::Contains);
        add(self, &written.in_, "in", Predicate::In);
        add(self, &written.count, "count", Predicate::Count);
        add(self, &written.lt, "lt", Predicate::Less);
        add(self, &written.le, "le", Predicate::LessOrEqual);
        add(self, &written.gt, "gt", Predicate::Greater);
        add(self, &written.ge, "ge", Predicate::GreaterOrEqual);
        predicates.extend(written.exists.map(Predicate::Exists));
        predicates.extend(written.is_empty.map(Predicate::IsEmpty));
        if let Some(text) = &written.matches {
            let at = place.key("matches");
            if text.contains("{{") {
                predicates.push(Predicate::Matches(MatchPattern::Rendered(self.text(text, &at))));
            } else if let Some(regex) = self.regex(text, &at) {
                predicates.push(Predicate::Matches(MatchPattern::Fixed(regex)));
            }
        }
        predicates
    }

    fn schema(&mut self, file: &str, place: &Place) -> Option<Claim> {
        let path = self.allowed_file(&self.source.folder().join(file), place, "the schema")?;
        let read = self.texts.read_named(&path).map_err(std::io::Error::from);
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                self.tell(Diagnostic::error("file-not-found", format!("the schema cannot be read: {error}"), place));
                return None;
            }
        };
        let judged = serde_json::from_slice::<Json>(&bytes)
            .map_err(|error| format!("`{file}` is not JSON: {error}"))
            .and_then(|json| {
                super::super::schema::judge(&json)
                    .map(|()| json)
                    .map_err(|fault| format!("`{file}` is no JSON Schema: {fault}"))
            });
        match judged {
            Ok(json) => Some(Claim::Schema { file: file.into(), validator: SchemaText(json) }),
            Err(message) => {
                self.tell(Diagnostic::error("bad-schema", message, place));
                None
            }
        }
    }

    fn jsonpath(&mut self, text: &str, place: &Place) -> Option<JsonPath> {
        match JsonPath::parse(text) {
            Ok(path) => Some(path),
            Err(mistake) => {
                let mut diagnostic =
                    Diagnostic::error("bad-jsonpath", mistake.message, place).at(Part::Within(mistake.span));
                diagnostic.help.extend(mistake.help);
                self.tell(diagnostic);
                None
            }
        }
    }

    /// `fields`: what a person is asked for, whether it is a secret, and where it says so.
    pub fn captures(
        &mut self,
        written: &document::Step,
        fields: &[(String, bool, Place)],
        place: &Place,
    ) -> Vec<Capture> {
        let at = place.key("capture");
        let answered = (!fields.is_empty()).then(|| self.sample_answers(fields));
        let captures: Vec<Capture> = written
            .capture
            .iter()
            .flatten()
            .filter_map(|(name, json)| self.capture(name, json, &at.key(name)))
            .collect();
        for capture in &captures {
            self.define(&capture.name, Kind::Capture, &capture.place);
            let query = match &capture.from {
                CaptureFrom::Jq(query) => Some(query),
                _ => None,
            };
            match &capture.secret {
                Some(mark) => self.sample_secret(&capture.name, mark.to.clone(), &capture.place, false),
                None => self.sample_capture(&capture.name, query, answered.as_ref()),
            }
        }
        captures
    }

    fn capture(&mut self, name: &str, json: &Json, place: &Place) -> Option<Capture> {
        if let Json::String(text) = json {
            let from = CaptureFrom::Jq(self.query(text, place, &[])?);
            return Some(Capture {
                name: name.into(),
                place: place.clone(),
                from,
                trim: false,
                secret: None,
                default: None,
            });
        }
        let written: document::Capture = match part(json, place) {
            Ok(written) => written,
            Err(found) => {
                self.found.extend(found);
                return None;
            }
        };
        let stream = match written.from.as_deref() {
            None => None,
            Some("body") => Some(Stream::Body),
            Some("stdout") => Some(Stream::Stdout),
            Some("stderr") => Some(Stream::Stderr),
            Some(other) => {
                let mut diagnostic = Diagnostic::error(
                    "unknown-word",
                    format!("`{other}` is nothing to capture from"),
                    &place.key("from"),
                )
                .help("`body`, `stdout` or `stderr`");
                if let Some(near) = nearest(other, ["body", "stdout", "stderr"]) {
                    diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
                }
                self.tell(diagnostic);
                return None;
            }
        };
        let from = match (&written.jq, &written.jsonpath, &written.header, &written.regex, stream) {
            (Some(text), None, None, None, None) => CaptureFrom::Jq(self.query(text, &place.key("jq"), &[])?),
            (None, Some(text), None, None, None) => CaptureFrom::JsonPath(self.jsonpath(text, &place.key("jsonpath"))?),
            (None, None, Some(header), None, None) => CaptureFrom::Header(header.to_ascii_lowercase()),
            (None, None, None, Some(text), stream) => CaptureFrom::Regex {
                pattern: self.regex(text, &place.key("regex"))?,
                from: stream.unwrap_or(Stream::Body),
            },
            (None, None, None, None, Some(stream)) => CaptureFrom::Text(stream),
            _ => {
                self.tell(
                    Diagnostic::error("bad-capture", "a capture has one source", place)
                        .at(Part::Key)
                        .help("one of: jq, jsonpath, header, regex (with `from`), or `from: stdout` alone"),
                );
                return None;
            }
        };
        let secret = match &written.secret {
            None | Some(Json::Bool(false)) => None,
            Some(Json::Bool(true)) => Some(SecretMark { to: None }),
            Some(json) => match part::<document::SecretCapture>(json, &place.key("secret")) {
                Ok(mark) => Some(SecretMark { to: self.targets(mark.to.as_deref(), &place.key("secret").key("to")) }),
                Err(found) => {
                    self.found.extend(found);
                    None
                }
            },
        };
        if secret.is_some() && written.default.as_ref().is_some_and(|default| !default.is_null()) {
            let message = format!("the secret `{name}` has a value in the playbook");
            self.tell(
                Diagnostic::error("secret-in-playbook", message, &place.key("default"))
                    .help("`default: null` says that there may be none"),
            );
        }
        Some(Capture {
            name: name.into(),
            place: place.clone(),
            from,
            trim: written.trim.unwrap_or(false),
            secret,
            default: written.default,
        })
    }
}

/// An assertion as written, on one line.
fn shown(json: &Json) -> String {
    let Some(map) = json.as_object() else { return crate::value::text_of(json) };
    map.iter()
        .filter(|(key, _)| *key != "message")
        .map(|(key, value)| format!("{key}: {}", crate::value::text_of(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

type Comparison = (Field, Operator, Json);

fn parse_comparison(text: &str) -> Result<Comparison, (String, String)> {
    let wanted =
        "`status`, `exit_code` or `duration` compared by == != < <= > >= in or not in; anything else is `{jq: …}`";
    let text = text.trim();
    let word_end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let field = match &text[..word_end] {
        "status" => Field::Status,
        "exit_code" => Field::ExitCode,
        "duration" => Field::Duration,
        other => {
            let mut help = wanted.to_string();
            if let Some(near) = nearest(other, ["status", "exit_code", "duration"]) {
                help = format!("did you mean `{near}`?");
            }
            return Err((format!("`{text}` is no comparison"), help));
        }
    };
    let rest = text[word_end..].trim_start();
    let operators = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
        ("not in", Operator::NotIn),
        ("in", Operator::In),
    ];
    let Some((sign, operator)) = operators.into_iter().find(|(sign, _)| rest.starts_with(sign)) else {
        return Err((format!("`{text}` has no operator"), wanted.into()));
    };
    let operand_text = rest[sign.len()..].trim();
    let many = matches!(operator, Operator::In | Operator::NotIn);
    if field == Field::Duration {
        return match crate::plan::duration::parse(operand_text) {
            Ok(duration) if !many => Ok((field, operator, Json::from(duration.as_secs_f64()))),
            Ok(_) => Err((format!("`{text}`: a duration is in no list"), wanted.into())),
            Err(message) => Err((message, wanted.into())),
        };
    }
    let operand: Json = serde_json::from_str(operand_text).map_err(|_| {
        (format!("`{operand_text}` is no number{}", if many { " list" } else { "" }), wanted.to_string())
    })?;
    let whole = |json: &Json| json.as_i64().is_some();
    let fits = if many {
        operand.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(whole))
    } else {
        whole(&operand)
    };
    if fits {
        Ok((field, operator, operand))
    } else {
        let want = if many { "a list of numbers, such as `[200, 201]`" } else { "a number" };
        Err((format!("`{operand_text}` is not {want}"), wanted.into()))
    }
}
