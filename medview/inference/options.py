"""What a user may ask of a run beyond what the plugin does unasked."""

from __future__ import annotations

from dataclasses import dataclass

from medview.catalog.effort import Effort, effort_of
from medview.catalog.plugins import PluginRecord
from medview.core.errors import PluginUnavailableError
from medview.core.evidence import Evidence
from medview.core.geometry import Box
from medview.core.text import Text


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The user's wishes for a run; None leaves a matter to the plugin.

    Attributes:
        mirroring: Whether every window is also shown mirrored.
        ensemble: Whether the values of all its weights (folds) are averaged, or the first alone speaks.
        uncertainty: Whether a map of how unsure the model is comes with the labels.
        probability: The label whose probability comes as a map; 0: none.
        box: The part of the first image, (k, j, i), that the plugin gets to see; None: all of it.
        one_picture: Whether, of several pictures, only the one that is shown is looked at; the host makes a box of it.
        dropout: How many more times a classifier is asked with dropout left on, for an interval beside its answer.
        evidence: For which class a classifier's evidence comes as a map, and how it is asked for; None: for none.
    """

    mirroring: bool | None = None
    ensemble: bool | None = None
    uncertainty: bool = False
    probability: int = 0
    box: Box | None = None
    one_picture: bool = False
    dropout: int = 0
    evidence: Evidence | None = None

    @property
    def maps(self) -> int:
        """How many maps are wanted."""
        return int(self.uncertainty) + int(self.probability > 0)

    def calls(self, effort: Effort) -> int:
        """How many times a window is computed, at most."""
        mirrored = effort.mirrored_unasked if self.mirroring is None else self.mirroring
        averaged = effort.averaged_unasked if self.ensemble is None else self.ensemble
        once = (effort.mirrored if mirrored else 1) * (effort.weights if averaged else 1)
        return once * (1 + self.dropout)


def require_possible(record: PluginRecord, options: RunOptions) -> None:
    """Refuse wishes that a plugin cannot fulfil.

    Raises:
        PluginUnavailableError: It does not mirror, has no further weights, gives no values to make maps of, or does not
            find the structure whose probability is wanted.
    """
    effort = effort_of(record)
    if options.mirroring and effort.mirrored == 1:
        raise PluginUnavailableError(
            Text.of("{name} does not say along which axes its windows may be mirrored.", name=record.name),
            Text("Run it without mirroring, or let its author write mirror-axes into plugin.toml."),
        )
    if options.ensemble and effort.weights == 1:
        raise PluginUnavailableError(
            Text.of("{name} has no further weights to average.", name=record.name), Text("Run it without an ensemble.")
        )
    if options.dropout and not effort.has_dropout:
        raise PluginUnavailableError(
            Text.of("{name} has no dropout that could be left on.", name=Text(record.name)),
            Text("Run it without, or with mirrored images or further weights where it has them."),
        )
    if options.maps and not effort.gives_values:
        raise PluginUnavailableError(
            Text.of("{name} gives labels alone, and nothing to make a map of.", name=record.name),
            Text("Run it without maps of uncertainty and probability."),
        )
    if options.evidence is not None and options.evidence.method not in effort.evidence:
        raise PluginUnavailableError(
            Text.of("{name} cannot be asked where it looked in this way.", name=Text(record.name)),
            Text("Its author can offer it: see shows-evidence in the documentation of plugin.toml."),
        )
    labels = record.manifest.label if record.manifest is not None else ()
    if options.probability and options.probability not in {one.value for one in labels}:
        listed = ", ".join(f"{one.value} ({one.name})" for one in labels[:20])
        raise PluginUnavailableError(
            Text.of("{name} does not find the label {label}.", name=record.name, label=options.probability),
            Text.of("Choose one of {choices}.", choices=listed),
        )
