"""Errors of the command line itself.

KnownatError
├── FolderInUse                 a new project would have overwritten someone's files
└── AddressUnusable             the server can not listen there, as someone else does
"""

from __future__ import annotations

from featurestore.errors import KnownatError


class FolderInUse(KnownatError):
    code = "folder_in_use"


class AddressUnusable(KnownatError):
    code = "address_unusable"
