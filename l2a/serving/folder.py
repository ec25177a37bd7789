"""A model folder on disk as a server takes it: whether it is one, and a path that names its version."""

from __future__ import annotations

from pathlib import Path

from l2a.errors import UsageError
from l2a.llm.versions import version_of
from l2a.model_files import digest


def model_folder(path: Path) -> Path:
    """`path`, absolute, if a server can load a model from it. Raises UsageError where it cannot."""
    if not path.is_dir():
        raise UsageError(f"There is no model folder {path}. Give the path of a folder with config.json and weights.")
    if not (path / "config.json").is_file():
        adapter = ": it holds an adapter, which has to be merged into its base model first"
        why = adapter if (path / "adapter_config.json").is_file() else ""
        raise UsageError(f"{path} is no model folder, it has no config.json{why}.")
    return path.absolute()


def served_folder(folder: Path, name: str, scratch: Path, version: str | None = None) -> tuple[Path, str]:
    """The path to serve a model folder under, and the version of its weights. version: where it is known already.

    An endpoint tells the path that it loaded from. One that names a version (l2a.llm.versions) is taken as it is; for
    any other folder the path is a link in `scratch` that does, so that a client need not be told.
    """
    named = version_of({"root": str(folder)})
    if named is not None and version in (None, named):
        return folder, named
    version = version or digest(folder)
    link = scratch / f"{name.replace('/', '-')}@{version}"
    if not link.is_symlink():
        link.symlink_to(folder)
    return link, version
