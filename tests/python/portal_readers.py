"""Four engines that read a Parquet file over HTTP by ranges, and CSV, into one form that can be compared: Arrow with the contract's types."""

from __future__ import annotations

import datetime
import functools
import io
from collections.abc import Callable

import duckdb
import fsspec
import pandas
import polars
import portal
import published
import pyarrow
import pyarrow.csv
import pyarrow.parquet

# What a reader takes at a time, so that a table takes several requests.
BLOCK = 64 * 1024


def tables() -> list[str]:
    """Every published table."""
    return [name.removesuffix(".parquet") for name in published.epoch()["files"]]


@functools.cache
def columns(table: str) -> dict[str, str]:
    """Columns and types as the contract beside the file has them."""
    return {column["name"]: column["type"] for column in published.sidecar(table)["columns"]}


def schema(table: str) -> pyarrow.Schema:
    return pyarrow.schema([(name, published.ARROW[kind]) for name, kind in columns(table).items()])


def conform(table: str, found: pyarrow.Table) -> pyarrow.Table:
    """The same with the contract's types; a column too many, too few or in another place is an error."""
    if found.column_names != list(columns(table)):
        raise AssertionError(f"{table}: {found.column_names}")
    return found.replace_schema_metadata(None).cast(schema(table)).combine_chunks()


class _File(fsspec.spec.AbstractBufferedFile):
    def _fetch_range(self, start, end):
        # DuckDB reads with several threads: each part is asked for by itself.
        return self.fs.ranges.part(start, end)


class _FileSystem(fsspec.AbstractFileSystem):
    """One file, for DuckDB, whose own HTTP reader is an extension that would have to be downloaded."""

    protocol = "rettidig"
    cachable = False

    def __init__(self, ranges: portal.Ranges):
        super().__init__()
        self.ranges = ranges

    def info(self, path, **kwargs):
        return {"name": path, "size": self.ranges.size, "type": "file"}

    def exists(self, path, **kwargs):
        return True

    def modified(self, path):
        # The file is one that never changes.
        return datetime.datetime.fromtimestamp(0, datetime.timezone.utc)

    def glob(self, path, **kwargs):
        return [path]

    def _open(self, path, mode="rb", block_size=None, **kwargs):
        return _File(self, path, mode, block_size=BLOCK, cache_type="readahead", size=self.ranges.size)


def with_duckdb(table: str, ranges: portal.Ranges) -> pyarrow.Table:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register_filesystem(_FileSystem(ranges))
        found = connection.sql("SELECT * FROM read_parquet('rettidig://table.parquet')").to_arrow_table()
    return conform(table, found)


def with_polars(table: str, ranges: portal.Ranges) -> pyarrow.Table:
    return conform(table, polars.read_parquet(io.BufferedReader(ranges, BLOCK)).to_arrow())


def with_pyarrow(table: str, ranges: portal.Ranges) -> pyarrow.Table:
    return conform(table, pyarrow.parquet.ParquetFile(pyarrow.PythonFile(ranges, mode="r")).read())


def with_pandas(table: str, ranges: portal.Ranges) -> pyarrow.Table:
    frame = pandas.read_parquet(io.BufferedReader(ranges, BLOCK), dtype_backend="pyarrow")
    return conform(table, pyarrow.Table.from_pandas(frame, preserve_index=False))


PARQUET: dict[str, Callable[[str, portal.Ranges], pyarrow.Table]] = {
    "DuckDB": with_duckdb,
    "Polars": with_polars,
    "PyArrow": with_pyarrow,
    "pandas": with_pandas,
}


def csv_with_duckdb(table: str, body: bytes, file) -> pyarrow.Table:
    file.write_bytes(body)
    types = {name: published.DUCKDB[kind] for name, kind in columns(table).items()}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        typed = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
        text = (
            f"SELECT * FROM read_csv('{file}', header = true, columns = {{{typed}}}, auto_detect = false, delim = ',', "
            "quote = '\"', escape = '\"', nullstr = '')"
        )
        return conform(table, connection.sql(text).to_arrow_table())


def csv_with_polars(table: str, body: bytes, file) -> pyarrow.Table:
    kinds = columns(table)
    # It has no reader for instants with a zone: they are text until then.
    as_read = {n: polars.String if k == published.INSTANT else published.POLARS[k] for n, k in kinds.items()}
    frame = polars.read_csv(body, schema=as_read)
    instants = [
        polars.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", time_zone="UTC")
        for name, kind in kinds.items()
        if kind == published.INSTANT
    ]
    return conform(table, frame.with_columns(instants).to_arrow())


def csv_with_pyarrow(table: str, body: bytes, file) -> pyarrow.Table:
    convert = pyarrow.csv.ConvertOptions(
        column_types=schema(table), null_values=[""], strings_can_be_null=True, true_values=["true"], false_values=["false"]
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return conform(table, pyarrow.csv.read_csv(io.BytesIO(body), parse_options=parse, convert_options=convert))


def csv_with_pandas(table: str, body: bytes, file) -> pyarrow.Table:
    kinds = columns(table)
    dtypes = {name: pandas.ArrowDtype(published.ARROW[kind]) for name, kind in kinds.items()}
    frame = pandas.read_csv(
        io.BytesIO(body), dtype=dtypes, keep_default_na=False, na_values=[""]
    )
    return conform(table, pyarrow.Table.from_pandas(frame, preserve_index=False))


CSV: dict[str, Callable] = {
    "DuckDB": csv_with_duckdb,
    "Polars": csv_with_polars,
    "PyArrow": csv_with_pyarrow,
    "pandas": csv_with_pandas,
}
