"""Mappings: how a log's own fields, roles and words become dialogues."""

from l2a.mapping.model import Mapping, load, several, shipped

__all__ = ["Mapping", "load", "several", "shipped"]
