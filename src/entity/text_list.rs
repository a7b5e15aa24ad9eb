use sea_orm::{
    ColIdx, DbBackend, DbErr, QueryResult, TryGetError, TryGetable, Value,
    sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr},
};

/// A list of texts: `TEXT[]` in PostgreSQL, a JSON array in a TEXT column of SQLite.
///
/// Both are written from a text that the statement casts to `text[]` (see the columns' `save_as`): an array literal for
/// PostgreSQL; JSON for SQLite, where that cast leaves a text as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextList {
    encoded: String,
    items: Vec<String>,
}

impl TextList {
    /// The list as `backend` stores it; `None` for an empty one.
    pub fn for_backend(items: Vec<String>, backend: DbBackend) -> Option<Self> {
        if items.is_empty() {
            return None;
        }
        let encoded = match backend {
            DbBackend::Postgres => array_literal(&items),
            _ => serde_json::Value::from(items.clone()).to_string(),
        };
        Some(Self { encoded, items })
    }

    /// The texts, whatever the database.
    pub fn items(&self) -> &[String] {
        &self.items
    }
}

/// PostgreSQL manual, 8.15.6: every element quoted, backslash and quote escaped.
fn array_literal(items: &[String]) -> String {
    let quoted: Vec<String> = items
        .iter()
        .map(|item| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

impl From<TextList> for Value {
    fn from(list: TextList) -> Self {
        list.encoded.into()
    }
}

impl TryGetable for TextList {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match Vec::<String>::try_get_by(row, index) {
            Ok(items) => Ok(Self {
                encoded: array_literal(&items),
                items,
            }),
            Err(TryGetError::Null(column)) => Err(TryGetError::Null(column)),
            Err(_) => {
                let encoded = String::try_get_by(row, index)?;
                let items = serde_json::from_str(&encoded)
                    .map_err(|error| DbErr::Type(format!("not a list of texts: {error}")))?;
                Ok(Self { encoded, items })
            }
        }
    }
}

impl ValueType for TextList {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        let encoded = <String as ValueType>::try_from(value)?;
        let items = serde_json::from_str(&encoded).map_err(|_| ValueTypeErr)?;
        Ok(Self { encoded, items })
    }

    fn type_name() -> String {
        "TextList".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::String
    }

    fn column_type() -> ColumnType {
        ColumnType::Text
    }
}

impl Nullable for TextList {
    fn null() -> Value {
        Value::String(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped_in_an_array_literal() {
        let items = vec!["a\"b".to_owned(), "c\\d".to_owned(), String::new()];
        assert_eq!(array_literal(&items), r#"{"a\"b","c\\d",""}"#);
    }
}
