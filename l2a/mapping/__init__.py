"""Mappings: how a log's own fields, roles and words become dialogues."""

from l2a.mapping.model import Mapping, load, shipped

__all__ = ["Mapping", "load", "shipped"]
