//! The enums of the domain as columns: by their names.

use sea_orm::{
    ColIdx, DbErr, IntoActiveValue, QueryResult, TryGetError, TryGetable,
    sea_query::{ArrayType, ColumnType, Nullable, StringLen, Value, ValueType, ValueTypeErr},
};
use strum::VariantNames;

use crate::domain::{
    Account, CreditKind, JobStatus, MediaRole, MediaType, RequestStatus, ReservationState,
};

macro_rules! by_name {
    ($type:ident, $column:expr) => {
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                <&'static str>::from(value).into()
            }
        }

        impl TryGetable for $type {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                let name = String::try_get_by(row, index)?;
                let unknown = |_| DbErr::Type(format!("no {}: {name:?}", stringify!($type)));
                Ok(name.parse().map_err(unknown)?)
            }
        }

        impl ValueType for $type {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                let name = <String as ValueType>::try_from(value)?;
                name.parse().map_err(|_| ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($type).to_owned()
            }

            fn array_type() -> ArrayType {
                ArrayType::String
            }

            fn column_type() -> ColumnType {
                $column
            }
        }

        impl Nullable for $type {
            fn null() -> Value {
                String::null()
            }
        }

        impl IntoActiveValue<$type> for $type {
            fn into_active_value(self) -> sea_orm::ActiveValue<$type> {
                sea_orm::ActiveValue::Set(self)
            }
        }
    };
}

by_name!(
    JobStatus,
    one_of("generation_job_status_enum", JobStatus::VARIANTS)
);
by_name!(
    MediaType,
    one_of("generation_media_type_enum", MediaType::VARIANTS)
);
by_name!(RequestStatus, ColumnType::String(StringLen::N(32)));
by_name!(CreditKind, ColumnType::String(StringLen::N(20)));
by_name!(Account, ColumnType::String(StringLen::N(20)));
by_name!(ReservationState, ColumnType::String(StringLen::N(20)));
by_name!(MediaRole, ColumnType::String(StringLen::N(16)));

/// A type of the database that PostgreSQL must be told.
fn one_of(name: &'static str, variants: &[&'static str]) -> ColumnType {
    ColumnType::Enum {
        name: name.into(),
        variants: variants.iter().map(|name| (*name).into()).collect(),
    }
}
