"""Samples and preference rows on disk: read row by row, the unreadable ones reported and put aside."""

from plaudit.records._groups import count_groups, group_digest, iter_windows
from plaudit.records._pairs import read_pairs
from plaudit.records._rejected import OnReject, Rejected, write_rejected
from plaudit.records._samples import Row, read_samples
from plaudit.records._source import Format, digest_file
from plaudit.records._whole import PARTIAL, replace_file
from plaudit.records._write import sample_columns, write_samples

__all__ = [
    "PARTIAL",
    "Format",
    "OnReject",
    "Rejected",
    "Row",
    "count_groups",
    "digest_file",
    "group_digest",
    "iter_windows",
    "read_pairs",
    "read_samples",
    "replace_file",
    "sample_columns",
    "write_rejected",
    "write_samples",
]
