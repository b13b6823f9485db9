"""Load the landing zone into DuckDB, account for every row, build, publish."""
