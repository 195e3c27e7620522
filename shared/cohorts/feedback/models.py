"""Which outcome a prediction of a model is compared with, and how: `Feedback:Models` (cohorts §8.10). Pure."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from shared.cohorts.definition.durations import Duration
from shared.cohorts.evaluation.codes import CodeSet
from shared.cohorts.folding import fold

type ValueKind = Literal["Quantity", "CodeableConcept", "boolean", "integer", "string"]
type Value = float | bool | str
"""The value of a prediction, or of an outcome."""

_OFFERED = {"numeric": ("Quantity", "integer"), "equal": ("CodeableConcept", "boolean", "integer", "string")}


def _duration(text: str) -> str:
    Duration.parse(text)
    return text


class _Member(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True)


class _Coding(_Member):
    system: str
    code: Annotated[str, Field(min_length=1)]
    display: str = ""


class Selected(_Member):
    """A code, as in a cohort definition: codings, or texts that are compared folded (NL-19)."""

    codes: Annotated[list[_Coding], Field(max_length=100)] = []
    text: str | list[str] = []

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.codes and not self.texts:
            raise ValueError("it needs codes or a text")
        return self

    @property
    def texts(self) -> list[str]:
        """Its texts."""
        return [self.text] if isinstance(self.text, str) else self.text

    @property
    def code_set(self) -> CodeSet:
        """The key by which concepts are compared."""
        pairs = frozenset((each.system, each.code) for each in self.codes)
        return CodeSet(pairs, frozenset(map(fold, self.texts)))

    @property
    def searchable(self) -> bool:
        """Whether a server can be asked for it: a text is no search parameter."""
        return bool(self.codes) and not self.texts


class _Device(_Member):
    device_name: Annotated[str, Field(alias="deviceName", min_length=1, max_length=200)]


class _Prediction(_Member):
    code: Selected
    value: ValueKind


class _Outcome(_Member):
    resource: Literal["Observation", "Condition", "Procedure"] = "Observation"
    code: Selected
    within: Annotated[str, AfterValidator(_duration)]


class _Compare(_Member):
    kind: Literal["numeric", "equal", "presence"]
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    unit: str = ""


class FeedbackModel(_Member):
    """One entry of the setting."""

    model: _Device
    prediction: _Prediction
    outcome: _Outcome
    compare: _Compare

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        kind, value = self.compare.kind, self.prediction.value
        if kind == "presence":
            if value != "boolean":
                raise ValueError("presence compares a boolean prediction")
        elif self.outcome.resource != "Observation" or value not in _OFFERED[kind]:
            raise ValueError(f"{kind} compares values of Observations: {', '.join(_OFFERED[kind])}")
        return self

    @property
    def name(self) -> str:
        """The device name."""
        return self.model.device_name

    @property
    def reach(self) -> Duration:
        """How long after the prediction an outcome may be."""
        return Duration.parse(self.outcome.within)

    def value_of(self, observation: Mapping[str, Any], kind: ValueKind) -> Value | None:
        """The value of an Observation; None where it has none that can be compared, as in another unit."""
        value = observation.get(f"value{kind[:1].upper()}{kind[1:]}")
        match kind:
            case "Quantity":
                return self._amount(value)
            case "CodeableConcept":
                return _concept(value)
            case "integer":
                return float(value) if isinstance(value, int) and not isinstance(value, bool) else None
            case "boolean":
                return value if isinstance(value, bool) else None
            case _:
                return value if isinstance(value, str) else None

    def _amount(self, value: Any) -> float | None:
        if not isinstance(value, Mapping) or not isinstance(value.get("value"), int | float) or "comparator" in value:
            return None
        unit = self.compare.unit
        return float(value["value"]) if not unit or unit in (value.get("code"), value.get("unit")) else None


def _concept(value: Any) -> str | None:
    """`system|code` of the first coding, else the text."""
    if not isinstance(value, Mapping):
        return None
    codings = value.get("coding")
    for each in codings if isinstance(codings, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("code"), str):
            return f"{each.get('system', '')}|{each['code']}"
    text = value.get("text")
    return fold(text) if isinstance(text, str) else None


def comparison(model: FeedbackModel, prediction: Value, outcome: Value) -> dict[str, Any]:
    """`delta`, of numbers, and `agree`. A tolerance is met on its limit, to nine digits."""
    if model.compare.kind == "numeric":
        delta = round(float(outcome) - float(prediction), 9)
        return {"delta": delta, "agree": abs(delta) <= round(model.compare.tolerance, 9)}
    return {"agree": prediction == outcome}


_MODELS = TypeAdapter(list[FeedbackModel])


def models_of(value: Any) -> Sequence[FeedbackModel] | None:
    """The models of a JSON value; None where it has another form."""
    try:
        return tuple(_MODELS.validate_python(value))
    except ValidationError:
        return None
