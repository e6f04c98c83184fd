"""What every chapter of the story is played on."""

from __future__ import annotations

from dataclasses import dataclass

from docs.demo.folder import DemoFolder
from docs.demo.scope import Scope
from docs.demo.teller import Teller
from sdk import Client, Project

SERVICE = "arrival_delay_v1"
"""The feature service that the model is trained on."""


@dataclass(frozen=True, slots=True)
class Stage:
    scope: Scope
    folder: DemoFolder
    project: Project
    teller: Teller

    @property
    def client(self) -> Client:
        return self.project.client
