"""The story's chapters in their order, each with the reason for it."""

from __future__ import annotations

from enum import Enum


class Step(Enum):
    """A chapter: its title, and in a sentence why it is there."""

    PREPARE = (
        "Prepare the sources",
        "The year's files give local clock readings; a feature store needs the moment at which a thing was known.",
    )
    PLAN = (
        "Plan",
        "What applying the definitions would create and fill. Nothing is touched yet.",
    )
    APPLY = (
        "Apply, and fill the year",
        "Carries out that plan. Each interval is recorded when it is whole, so a killed run goes on where it stopped.",
    )
    PLAN_AGAIN = (
        "Plan again",
        "The definitions are what readers see now, so there must be nothing left to do.",
    )
    TRAINING_SET = (
        "Training set",
        "Every flight asks two hours before its scheduled departure, and gets what was known at that moment.",
    )
    TRAIN = (
        "Train",
        "Gradient boosting on the earlier months: will this flight arrive more than 15 minutes late?",
    )
    REPLAY = (
        "Keep the promise",
        "Time goes by hour by hour. Each flight is looked up at its moment; every cell must be its training row's.",
    )
    LEAK = (
        "The leak",
        "A join on the calendar date gives a flight all that its day knew by midnight, its own landing included.",
    )
    REGISTER = (
        "Register",
        "The honest model goes into the registry with the dataset it was trained on; an alias says that it is in use.",
    )
    MATERIALIZE = (
        "Materialize",
        "The newest values go into the project's own online store, up to where its clock stands.",
    )
    LOOK_UP = (
        "Look flights up by model",
        "The next flights to depart. The registry knows which features the champion needs; the artifact comes from it.",
    )
    LINEAGE = (
        "Lineage",
        "What the model is made of, up to source columns. It comes from the compiled queries, not from memory.",
    )
    AUDIT = (
        "Audit",
        "A sample of what is online against the point-in-time answer, value by value.",
    )
    REBUILD = (
        "Rebuild",
        "The training set once more, from the table versions that its manifest pins: the bytes must be the same.",
    )

    @property
    def title(self) -> str:
        return self.value[0]

    @property
    def why(self) -> str:
        return self.value[1]

    @property
    def number(self) -> int:
        return list(Step).index(self) + 1
