//! What a database says about its own schema, as sorted lines that can be compared.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// One line for each thing of the schema; bookkeeping of migrations and of SQLite is left out.
pub(super) type Catalogue = BTreeSet<String>;

/// Everything that PostgreSQL knows of the schema: columns, enum labels, constraints and indexes with their definitions.
///
/// Columns count from 1 without gaps, because a dropped column leaves one in `ordinal_position`.
pub(super) async fn of_postgres(db: &DatabaseConnection) -> Catalogue {
    lines(
        db,
        "SELECT format('column %s #%s %s %s %s(%s) null=%s default=%s', table_name,
                row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position),
                column_name, data_type, udt_name, character_maximum_length, is_nullable, column_default)
            FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name NOT IN ('seaql_migrations', 'atelier_migrations')
        UNION ALL
        SELECT format('enum %s %s', typname, string_agg(enumlabel, ',' ORDER BY enumsortorder))
            FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid GROUP BY typname
        UNION ALL
        SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
            FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND conrelid IS DISTINCT FROM to_regclass('seaql_migrations')
                AND conrelid IS DISTINCT FROM to_regclass('atelier_migrations')
        UNION ALL
        SELECT format('index %s %s', indexname, indexdef)
            FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT IN ('seaql_migrations', 'atelier_migrations')",
    )
    .await
}

/// Everything that SQLite knows of the schema: the statements that it keeps, with white space made equal.
pub(super) async fn of_sqlite(db: &DatabaseConnection) -> Catalogue {
    let statements = lines(
        db,
        "SELECT type || ' ' || name || ' ' || sql FROM sqlite_schema
            WHERE sql IS NOT NULL AND tbl_name NOT IN ('seaql_migrations', 'atelier_migrations', 'sqlite_sequence')",
    )
    .await;
    statements
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The part of the schema that both backends have in common, in the same words.
pub(super) async fn shared(db: &DatabaseConnection) -> Catalogue {
    let query = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT format('column %s.%s #%s null=%s', table_name, column_name,
                    row_number() OVER (PARTITION BY table_name ORDER BY ordinal_position), is_nullable)
                FROM information_schema.columns
                WHERE table_schema = 'public' AND table_name NOT IN ('seaql_migrations', 'atelier_migrations')
            UNION ALL
            SELECT format('foreign key %s.%s to %s on delete %s', conrelid::regclass, attname, confrelid::regclass,
                    CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'r' THEN 'RESTRICT' WHEN 'n' THEN 'SET NULL' END)
                FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
                WHERE contype = 'f'
            UNION ALL
            SELECT format('index %s on %s unique=%s', relname, indrelid::regclass, indisunique::int)
                FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
                WHERE relname LIKE 'idx%'"
        }
        _ => {
            "SELECT 'column ' || t.name || '.' || c.name || ' #' || (c.cid + 1) || ' null='
                    || iif(c.\"notnull\" OR c.pk, 'NO', 'YES')
                FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                WHERE t.type = 'table' AND t.name NOT IN ('seaql_migrations', 'atelier_migrations', 'sqlite_sequence')
            UNION ALL
            SELECT 'foreign key ' || t.name || '.' || f.\"from\" || ' to ' || f.\"table\" || ' on delete ' || f.on_delete
                FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f WHERE t.type = 'table'
            UNION ALL
            SELECT 'index ' || i.name || ' on ' || t.name || ' unique=' || i.\"unique\"
                FROM sqlite_schema t JOIN pragma_index_list(t.name) i
                WHERE t.type = 'table' AND i.name LIKE 'idx%'"
        }
    };
    lines(db, query).await
}

/// Fails with each line that only one of the two has.
pub(super) fn assert_same(expected: &Catalogue, actual: &Catalogue, what: &str) {
    assert!(!expected.is_empty(), "{what}: there is nothing to compare");
    let missing = expected.difference(actual).map(|line| format!("- {line}"));
    let unexpected = actual.difference(expected).map(|line| format!("+ {line}"));
    let differences: Vec<String> = missing.chain(unexpected).collect();
    assert!(
        differences.is_empty(),
        "{what}:\n{}",
        differences.join("\n")
    );
}

async fn lines(db: &DatabaseConnection, query: &str) -> Catalogue {
    let statement = Statement::from_string(db.get_database_backend(), query);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|row| row.try_get_by_index(0).unwrap())
        .collect()
}
