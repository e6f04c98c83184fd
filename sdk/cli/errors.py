"""Errors of the command line itself.

KnownatError
└── FolderInUse                 a new project would have overwritten someone's files
"""

from __future__ import annotations

from featurestore.errors import KnownatError


class FolderInUse(KnownatError):
    code = "folder_in_use"
