// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Checks values against the schemas of the description, as much of JSON Schema 2020-12 as it uses. A
//! keyword that is not known here fails, so nothing is passed over.

use serde_json::Value;
use telesteer_control::ticket::TicketId;
use telesteer_control::ticket::ports::Ports;
use telesteer_control::ticket::protocol::Protocol;
use telesteer_control::ticket::stamp;

/// Those that say nothing about a value.
const WORDS: [&str; 4] = ["description", "examples", "default", "title"];

/// What is wrong with `value`, and where; empty if nothing is.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "$", &mut faults);
    faults
}

/// The schema that a `$ref` names, or the schema itself.
pub(crate) fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).expect(place),
        None => schema,
    }
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = resolve(document, schema);
    let mut fault = |so: bool, what: &str| {
        if !so {
            faults.push(format!("{at}: {what}: {value}"));
        }
    };
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        match word.as_str() {
            "type" => {
                let one = |kind: &Value| is(kind.as_str().unwrap(), value);
                let any = rule.as_array().map_or_else(|| one(rule), |all| all.iter().any(one));
                fault(any, &format!("not {rule}"));
            }
            "enum" => fault(rule.as_array().unwrap().contains(value), "not one of these"),
            "minimum" | "maximum" => {
                let (Some(value), Some(rule)) = (value.as_f64(), rule.as_f64()) else { continue };
                fault(if word == "minimum" { value >= rule } else { value <= rule }, word);
            }
            "maxLength" => {
                let most = rule.as_u64().unwrap() as usize;
                fault(value.as_str().is_none_or(|text| text.chars().count() <= most), word);
            }
            "minItems" => {
                let least = rule.as_u64().unwrap() as usize;
                fault(value.as_array().is_none_or(|list| list.len() >= least), word);
            }
            "pattern" => {
                fault(value.as_str().is_none_or(|text| fits(rule.as_str().unwrap(), text)), word)
            }
            "format" if rule == "date-time" => {
                fault(value.as_str().is_none_or(|text| stamp::parse(text).is_ok()), "no date-time");
            }
            "format" if rule == "uri-reference" => {}
            "required" => {
                for name in rule.as_array().unwrap() {
                    let there = value
                        .as_object()
                        .is_none_or(|own| own.contains_key(name.as_str().unwrap()));
                    fault(there, &format!("no {name}"));
                }
            }
            "additionalProperties" if *rule == false => {
                for name in value.as_object().into_iter().flat_map(|own| own.keys()) {
                    fault(
                        schema["properties"].get(name).is_some(),
                        &format!("{name} is not known"),
                    );
                }
            }
            "properties" | "items" | "additionalProperties" => {}
            word => assert!(WORDS.contains(&word), "{word} is not checked here"),
        }
    }
    for (at_item, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(items) = schema.get("items") {
            check(document, items, item, &format!("{at}[{at_item}]"), faults);
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let own = schema["properties"].get(name);
        let other = schema.get("additionalProperties").filter(|rule| rule.is_object());
        if let Some(rule) = own.or(other) {
            check(document, rule, inner, &format!("{at}.{name}"), faults);
        }
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        kind => panic!("{kind} is no type"),
    }
}

/// The patterns there are, each as who reads such a text in the program.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern {
        "^t(0|[1-9][0-9]*)$" => text.parse::<TicketId>().is_ok(),
        "^(any|[0-9]{1,5}(-[0-9]{1,5})?)$" => text.parse::<Ports>().is_ok(),
        "^(any|tcp|udp|dccp|sctp|udplite|[0-9]{1,3})$" => text.parse::<Protocol>().is_ok(),
        pattern => panic!("{pattern} is not checked here"),
    }
}

/// The check finds each kind of fault.
#[test]
fn faults_are_found() {
    use serde_json::json;
    let schema = json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {
            "a": {"type": ["integer", "null"], "minimum": 1},
            "b": {"type": "array", "minItems": 1, "items": {"type": "string", "enum": ["x"]}},
            "c": {"type": "string", "format": "date-time"},
            "d": {"type": "string", "pattern": "^t(0|[1-9][0-9]*)$", "maxLength": 3},
        },
    });
    let found = |value: Value| faults(&Value::Null, &schema, &value).len();
    assert_eq!(found(json!({"a": 1, "b": ["x"], "c": "2026-11-26T00:00:00Z", "d": "t1"})), 0);
    assert_eq!(found(json!({"a": null})), 0);
    for bad in [
        json!([]),
        json!({}),
        json!({"a": 0}),
        json!({"a": "1"}),
        json!({"a": 1, "e": 1}),
        json!({"a": 1, "b": []}),
        json!({"a": 1, "b": ["y"]}),
        json!({"a": 1, "c": "today"}),
        json!({"a": 1, "d": "1"}),
        json!({"a": 1, "d": "t123"}),
    ] {
        assert_eq!(found(bad.clone()), 1, "{bad}");
    }
}
