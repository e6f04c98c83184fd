"""A registration as it arrives: plain values by name, checked all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry.errors import InvalidRegistration
from registry.records import RegistrationRequest, Signature, SignatureColumn

_PAIRS = ("params", "metrics", "environment", "tags")
_TEXTS = (
    "dataset", "no_dataset_reason", "code_commit", "run_id", "description", "registered_by", "key", "file_name",
)  # fmt: skip
_KNOWN = (*_PAIRS, *_TEXTS, "no_dataset", "signature")
_FLOATS = ("NaN", "Infinity", "-Infinity")


def registration_request(model: str, particulars: Mapping[str, object]) -> RegistrationRequest:
    """The request to register a version of `model`. Raises InvalidRegistration with everything that is wrong."""
    if problems := list(_problems(particulars)):
        raise InvalidRegistration(model, problems)
    values: dict[str, Any] = {name: value for name, value in particulars.items() if value is not None}
    for name in _PAIRS:
        values[name] = _pairs(name, values.get(name, {}))
    values["signature"] = _signature(values.get("signature"))
    values.setdefault("file_name", "")
    return RegistrationRequest(model=model, **values)


def _problems(particulars: Mapping[str, object]) -> Iterator[str]:
    for name, value in particulars.items():
        if name not in _KNOWN:
            yield f"it has '{name}', which a registration does not have: there is {', '.join(sorted(_KNOWN))}"
        elif value is None:
            continue
        elif name in _PAIRS and not isinstance(value, Mapping):
            yield f"{name} is {type(value).__name__}, expected names with their values"
        elif name in _TEXTS and not isinstance(value, str):
            yield f"{name} is {type(value).__name__}, expected a text"
        elif name == "no_dataset" and not isinstance(value, bool):
            yield f"no_dataset is {type(value).__name__}, expected true or false"
        elif name == "signature":
            yield from _signature_problems(value)


def _pairs(name: str, values: Mapping[str, object]) -> tuple[tuple[str, Any], ...]:
    """Whole numbers are fine as metrics, and what JSON can not write is spelled out."""
    if name != "metrics":
        return tuple(values.items())
    return tuple((key, _metric(value)) for key, value in values.items())


def _metric(value: object) -> object:
    if isinstance(value, str) and value in _FLOATS:
        return float(value)
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _signature_problems(value: object) -> Iterator[str]:
    if not isinstance(value, Mapping) or set(value) - {"inputs", "outputs"}:
        yield "signature is not a signature: expected inputs and outputs, each a list of columns with name and type"
        return
    for side in ("inputs", "outputs"):
        columns = value.get(side, [])
        if not isinstance(columns, list) or not all(_is_column(column) for column in columns):
            yield f"the signature's {side} are not a list of columns, each with name and type"


def _is_column(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == {"name", "type"}
        and all(isinstance(text, str) for text in value.values())
    )


def _signature(value: Mapping[str, list[Mapping[str, str]]] | None) -> Signature | None:
    if value is None:
        return None
    inputs, outputs = (
        tuple(SignatureColumn(column["name"], column["type"]) for column in value.get(side, []))
        for side in ("inputs", "outputs")
    )
    return Signature(inputs, outputs)
