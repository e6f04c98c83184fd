"""The story: from definitions in Python files to a model that knows its features, in the order in which it is told.

Everything is done as a user would do it: `open_project` for the folder's owner, and its client for everyone else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from docs.demo import checking, filling, learning, serving
from docs.demo.facts import Applied, Audited, Leak, PromiseKept, Pulled, Rebuilt, Registered
from docs.demo.folder import create_project
from docs.demo.results import Results
from docs.demo.scope import Scope
from docs.demo.screen import Screen
from docs.demo.stage import Stage
from docs.demo.teller import Teller
from sdk import open_project


@dataclass(frozen=True, slots=True)
class Story:
    """What the whole story came to."""

    filled: Applied
    pulled: Pulled
    kept: PromiseKept
    leak: Leak
    registered: Registered
    audited: Audited
    rebuilt: Rebuilt

    def results(self) -> tuple[tuple[str, str], ...]:
        """The story in a few lines."""
        kept, leak = self.kept, self.leak
        return (
            ("stored offline", f"{self.filled.rows:,} rows in {len(self.filled.tables)} Delta tables"),
            ("training set", f"{self.pulled.rows:,} rows of {self.pulled.columns} columns, {self.pulled.id[:12]}"),
            ("the promise", f"{kept.cells:,} cells looked up and compared, {kept.differences} differ"),
            ("naive join", f"AUC {leak.naive_offline:.4f} offline, {leak.naive_served:.4f} as served"),
            ("point-in-time", f"AUC {leak.honest_offline:.4f} offline, {leak.honest_served:.4f} as served"),
            ("model", f"{self.registered.model}@{self.registered.version}, {self.registered.alias}"),
            ("audit", f"{self.audited.values:,} online values, {self.audited.differences} differ"),
            ("rebuild", "the same bytes"),
        )


def tell(scope: Scope, root: Path, screen: Screen) -> Story:
    """Tell the story in the project folder `root`. What is done stays done; after a killed run, the next goes on.

    Raises PromiseBroken where what was served is not what a model was trained on.
    """
    folder = create_project(root, scope)
    with open_project(folder.root) as project:
        stage = Stage(scope, folder, project, Teller(screen, Results(folder.results)))
        filling.prepare_sources(stage)
        filling.plan(stage)
        filled = filling.apply(stage)
        filling.plan_again(stage)
        pulled = learning.pull(stage)
        learning.train_model(stage, pulled)
        kept = learning.keep_the_promise(stage, pulled)
        leak = learning.show_the_leak(stage, pulled)
        registered = serving.register(stage, pulled, leak)
        serving.materialize(stage)
        serving.look_up(stage, registered)
        checking.lineage(stage, registered)
        audited = checking.audit(stage, registered)
        rebuilt = checking.rebuild(stage, pulled)
    return Story(filled, pulled, kept, leak, registered, audited, rebuilt)
