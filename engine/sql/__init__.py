"""One DuckDB SELECT over the table ``input`` as a map-reduce job."""
