"""Where a warehouse lies: its table folders, and how DuckDB reaches the files in them.

A local folder is read by DuckDB itself. Any other URL (s3://, abfss://, gs://, ...) is read through delta-rs's object
store, with the credentials that it finds in the environment, so that DuckDB needs no extension.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltalake import DeltaTable

from l2a.errors import EnvironmentProblem, TableError, UsageError
from l2a.places import from_root

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOG_FOLDER = "_delta_log"


@dataclass(frozen=True)
class Local:
    """A warehouse in a folder of this machine."""

    root: str

    def table_names(self) -> list[str]:
        with os.scandir(self.root) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(("_", "."))]
        return sorted(name for name in names if os.path.isdir(os.path.join(self.root, name, LOG_FOLDER)))

    def open(self, name: str) -> DeltaTable:
        return DeltaTable(os.path.join(self.root, name))

    def file(self, name: str, path: str) -> str:
        """The path by which DuckDB opens a data file of table `name` that lies at `path` in the table's folder."""
        return os.path.join(self.root, name, path)

    def allow(self, connection: DuckDBPyConnection) -> str:
        """Prepares the connection; returns the folder that queries may read."""
        return self.root


@dataclass(frozen=True)
class Remote:
    """A warehouse behind a URL."""

    root: str

    scheme = "l2a-warehouse://"

    def table_names(self) -> list[str]:
        from pyarrow.fs import FileSelector, FileType

        try:
            found = self._filesystem().get_file_info(FileSelector("", recursive=False))
        except (OSError, ValueError) as error:
            raise TableError(f"cannot list the warehouse {self.root}: {_first_line(error)}") from error
        folders = [entry.base_name for entry in found if entry.type == FileType.Directory]
        names = (name for name in folders if not name.startswith(("_", ".")))
        return sorted(name for name in names if DeltaTable.is_deltatable(f"{self.root}/{name}"))

    def open(self, name: str) -> DeltaTable:
        return DeltaTable(f"{self.root}/{name}")

    def file(self, name: str, path: str) -> str:
        return f"{self.scheme}{name}/{path}"

    def allow(self, connection: DuckDBPyConnection) -> str:
        try:
            from fsspec.implementations.arrow import ArrowFSWrapper
        except ImportError as error:
            raise EnvironmentProblem(f"SQL over {self.root} needs the package fsspec: pip install fsspec") from error
        scheme = self.scheme

        class Files(ArrowFSWrapper):
            """The warehouse's files for DuckDB: paths are relative to its root."""

            protocol = scheme.removesuffix("://")
            root_marker = ""

            @classmethod
            def _strip_protocol(cls, path: str | list[str]) -> str | list[str]:
                return path.removeprefix(scheme) if isinstance(path, str) else [p.removeprefix(scheme) for p in path]

        connection.register_filesystem(Files(fs=self._filesystem()))
        return self.scheme

    def _filesystem(self) -> Any:
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import PyFileSystem

        try:
            return PyFileSystem(DeltaStorageHandler(self.root))
        except (OSError, ValueError) as error:
            raise TableError(f"cannot reach the warehouse {self.root}: {_first_line(error)}") from error


def find(warehouse: str) -> Local | Remote:
    """The warehouse under a path or URL. Raises `UsageError` where a local path is no folder."""
    place = from_root(warehouse)
    if "://" in place:
        return Remote(place)
    if not os.path.isdir(place):
        raise UsageError(f"the warehouse {warehouse} is no folder: `l2a ingest` makes one, --warehouse names another")
    return Local(place)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
