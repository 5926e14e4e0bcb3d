//! Owns [`Header`]: what an export says of itself, as JSON: the first line of JSON lines, and the value of the key `phashdb` in
//! the metadata of a Parquet file. What must hold: a header that is accepted gives a valid schema.

use phash_core::Digest;
use phash_store::{Contents, Schema, ViewSpec};
use serde::{Deserialize, Serialize};

/// The version of the exchange format that this build writes and reads.
pub(crate) const VERSION: u32 = 1;
/// What the field `type` of a header is.
const TYPE: &str = "phashdb-export";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    r#type: String,
    version: u32,
    contents: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameters: Option<String>,
    views: Vec<View>,
    /// Models or raw codes; what is left of a file that was cut off at the end of a line has fewer.
    #[serde(default)]
    pub(crate) items: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct View {
    name: String,
    bits: u32,
}

impl Header {
    pub(crate) fn new(schema: &Schema, items: Option<u64>) -> Self {
        let view = |view: &ViewSpec| View { name: view.name.clone(), bits: view.words * 64 };
        Self {
            r#type: TYPE.to_owned(),
            version: VERSION,
            contents: schema.contents.to_string(),
            parameters: (schema.contents == Contents::Models).then(|| Digest(schema.parameters).to_string()),
            views: schema.views.iter().map(view).collect(),
            items,
        }
    }

    /// One line of JSON, without its end.
    pub(crate) fn to_json(&self) -> String {
        // Strings and numbers: nothing that could fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a header and the schema it tells of. An error is a pair of what is expected and what was found.
    pub(crate) fn parse(json: &[u8]) -> Result<(Self, Schema), (String, String)> {
        let expected = || format!("the header of an export ({{\"type\":\"{TYPE}\",...}})");
        let header: Self = serde_json::from_slice(json).map_err(|error| (expected(), error.to_string()))?;
        if header.r#type != TYPE {
            return Err((expected(), format!("an object of type {:?}", shown(&header.r#type))));
        }
        if header.version != VERSION {
            let expected = format!("version {VERSION} of the exchange format, which this build knows");
            return Err((expected, format!("version {}", header.version)));
        }
        let schema = header.schema()?;
        Ok((header, schema))
    }

    fn schema(&self) -> Result<Schema, (String, String)> {
        let contents = [Contents::Models, Contents::Codes];
        let Some(contents) = contents.into_iter().find(|known| known.to_string() == self.contents) else {
            let expected = "contents \"models\" or \"raw codes\"".to_owned();
            return Err((expected, format!("{:?}", shown(&self.contents))));
        };
        let mut parameters = [0; 32];
        if contents == Contents::Models {
            let text = self.parameters.as_deref().unwrap_or_default();
            if crate::raw::decode_hex(text.as_bytes(), &mut parameters).is_err() {
                let expected = "the hash parameters, 64 hexadecimal digits".to_owned();
                return Err((expected, format!("{:?}", shown(text))));
            }
        }
        let view = |view: &View| ViewSpec { name: view.name.clone(), words: words(view.bits) };
        let schema = Schema { contents, parameters, views: self.views.iter().map(view).collect() };
        match schema.validate() {
            Ok(()) => Ok(schema),
            Err(error) => Err(("views that a database can have".to_owned(), error.to_string())),
        }
    }
}

/// The words of a width; 0, which no view has, for widths that are no whole number of words.
fn words(bits: u32) -> u32 {
    if bits.is_multiple_of(64) { bits / 64 } else { 0 }
}

/// The beginning of a text, for messages.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
