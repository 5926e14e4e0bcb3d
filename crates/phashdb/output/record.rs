//! Owns [`Record`]: one result as an ordered list of named values, `type` first. Every machine-readable format prints
//! the same records; docs/cli.md names the fields.

use std::fmt::Write as _;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Count(u64),
    Real(f64),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// One result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The value of the field `type`.
    pub(crate) kind: &'static str,
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Record {
    pub(crate) fn new(kind: &'static str) -> Self {
        Self { kind, fields: Vec::new() }
    }

    /// Adds a field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The record as a JSON object on one line.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::from("{\"type\":");
        push_text(&mut out, self.kind);
        for (name, value) in &self.fields {
            out.push(',');
            push_text(&mut out, name);
            out.push(':');
            value.push_json(&mut out);
        }
        out.push('}');
        out
    }

    /// The record as name-value pairs with dotted names for what is nested; lists are joined with `; `.
    pub(crate) fn flatten(&self) -> Vec<(String, String)> {
        let mut flat = vec![("type".to_owned(), self.kind.to_owned())];
        for (name, value) in &self.fields {
            value.flatten_into(name, &mut flat);
        }
        flat
    }
}

impl Value {
    /// An object with these fields.
    pub(crate) fn object<K: Into<String>, V: Into<Value>>(fields: impl IntoIterator<Item = (K, V)>) -> Self {
        Value::Object(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// A list of these values.
    pub(crate) fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Self {
        Value::List(values.into_iter().map(Into::into).collect())
    }

    /// The value as JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.push_json(&mut out);
        out
    }

    fn push_json(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
            // Writing to a String cannot fail.
            Value::Count(count) => _ = write!(out, "{count}"),
            Value::Real(number) => out.push_str(&real(*number)),
            Value::Text(text) => push_text(out, text),
            Value::List(values) => {
                out.push('[');
                for (number, value) in values.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    value.push_json(out);
                }
                out.push(']');
            }
            Value::Object(fields) => {
                out.push('{');
                for (number, (name, value)) in fields.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    push_text(out, name);
                    out.push(':');
                    value.push_json(out);
                }
                out.push('}');
            }
        }
    }

    fn flatten_into(&self, name: &str, flat: &mut Vec<(String, String)>) {
        match self {
            Value::Object(fields) => {
                for (inner, value) in fields {
                    value.flatten_into(&format!("{name}.{inner}"), flat);
                }
            }
            other => flat.push((name.to_owned(), other.plain())),
        }
    }

    /// The value as bare text: empty for null, no quotes.
    fn plain(&self) -> String {
        match self {
            Value::Null => String::new(),
            Value::Text(text) => text.clone(),
            // Objects hold what would be taken for a joint: JSON as a whole.
            Value::List(values) if values.iter().any(|value| matches!(value, Value::Object(_))) => {
                self.to_json()
            }
            Value::List(values) => values.iter().map(Value::plain).collect::<Vec<_>>().join("; "),
            other => other.to_json(),
        }
    }
}

/// A finite number in the fewest digits that read back as the same number.
fn real(number: f64) -> String {
    serde_json::Number::from_f64(number).map_or_else(|| "null".to_owned(), |number| number.to_string())
}

fn push_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Value::Bool(yes)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Value::Count(count)
    }
}

impl From<u32> for Value {
    fn from(count: u32) -> Self {
        Value::Count(count.into())
    }
}

impl From<usize> for Value {
    fn from(count: usize) -> Self {
        Value::Count(count as u64)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Real(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record::new("match")
            .with("label", "a \"b\"\n, c")
            .with("id", 7u32)
            .with("e_value", 0.25)
            .with("views", Value::object([("energy", Value::from(3u32)), ("blocks", Value::Null)]))
            .with("also", Value::list(["x", "y"]))
            .with("weak", false)
    }

    #[test]
    fn json_is_read_back_as_it_was_with_the_type_first() {
        let line = sample().to_json();
        assert!(line.starts_with("{\"type\":\"match\",\"label\":"), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"type": "match", "label": "a \"b\"\n, c", "id": 7, "e_value": 0.25,
                "views": {"energy": 3, "blocks": null}, "also": ["x", "y"], "weak": false})
        );
    }

    #[test]
    fn flattening_names_what_is_nested_with_dots() {
        let flat = sample().flatten();
        let names: Vec<&str> = flat.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["type", "label", "id", "e_value", "views.energy", "views.blocks", "also", "weak"]);
        assert_eq!(flat[5].1, "");
        assert_eq!(flat[6].1, "x; y");
    }
}
