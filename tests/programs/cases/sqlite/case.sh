# SQLite fills, indexes, joins and vacuums a table of a million rows.
# needs: sqlite3:/usr/bin/sqlite3
# preloaded: sqlite3
# limit: 60

prepare() { :; }

program() {
    sqlite3 -batch -bail rows.db <"$CASE/million.sql"
    sha256sum rows.db
}
