//! Identity's table of users may have any name and schema, see docs/domain.md#users.

use std::fmt;

/// The name of a table that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    /// `None`: wherever the database looks for tables without a schema.
    pub schema: Option<String>,
    /// As it is, without quotes.
    pub name: String,
}

impl TableName {
    /// A table without a schema.
    pub fn unqualified(name: &str) -> Self {
        Self {
            schema: None,
            name: name.to_owned(),
        }
    }

    /// As SQL, quoted.
    pub fn quoted(&self) -> String {
        let quoted = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
        match &self.schema {
            Some(schema) => format!("{}.{}", quoted(schema), quoted(&self.name)),
            None => quoted(&self.name),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(formatter, "{schema}.")?;
        }
        formatter.write_str(&self.name)
    }
}
