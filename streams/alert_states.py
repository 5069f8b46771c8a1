"""States of an alert in the codes of other standards: FHIR R6 DeviceAlert and IHE PCD-04.

In: an alert, and for a phase the version before it. Out: codes of those standards, for views and gateways.

=============  ====================  ====================  =====================  ==============  ==================
state          FHIR status           FHIR condition        FHIR signal presence   PCD-04 state    PCD-04 inactivation
=============  ====================  ====================  =====================  ==============  ==================
on             in-progress           present               on                     active          enabled
latched        in-progress           not present           latched                latched         enabled
acknowledged   in-progress           present               ack                    active          alert-acknowledged
off            completed             not present           off                    inactive        enabled
=============  ====================  ====================  =====================  ==============  ==================

While the bed's audio is paused the inactivation is ``audio-paused`` and the FHIR activation state ``paused``, unless
the alert sounds all the same.

Sources: FHIR R6 ballot code systems devicealert-status, devicealert-presence and devicealert-activationState; IHE PCD
Alert Communication Management (PCD-04): event phase (tpoint, start, continue, update, escalate, de-escalate, end),
alarm state (inactive, active, latched) and inactivation state; IHE table B.8-4 for PH, PM, PL, PN and SP, ST.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.alert import Alert, Phase, State

FhirStatus = Literal["in-progress", "completed"]
FhirPresence = Literal["on", "latched", "ack", "off"]
FhirActivation = Literal["on", "off", "paused"]
Pcd04Phase = Literal["start", "continue", "update", "escalate", "de-escalate", "end"]
Pcd04State = Literal["active", "latched", "inactive"]
Pcd04Inactivation = Literal["enabled", "audio-paused", "alert-acknowledged"]

_PRIORITIES = ("PN", "PL", "PM", "PH")  # from least to most urgent


@dataclass(frozen=True, slots=True)
class FhirStates:
    """States of a FHIR R6 DeviceAlert.

    Attributes
    ----------
    status : str
        ``DeviceAlert.status``.
    present : bool
        ``DeviceAlert.condition.presence``.
    acknowledged : bool
        ``DeviceAlert.condition.acknowledged``.
    signal : str
        ``DeviceAlert.signal.presence``.
    activation : str
        ``DeviceAlert.signal.activationState`` of the audible signal.
    """

    status: FhirStatus
    present: bool
    acknowledged: bool
    signal: FhirPresence
    activation: FhirActivation


@dataclass(frozen=True, slots=True)
class Pcd04States:
    """The facets of a PCD-04 report.

    Attributes
    ----------
    phase : str
        EVENT_PHASE.
    state : str
        ALARM_STATE.
    inactivation : str
        INACTIVATION_STATE.
    flags : tuple of str
        OBX-8: priority, and SP (physiological) or ST (technical).
    """

    phase: Pcd04Phase
    state: Pcd04State
    inactivation: Pcd04Inactivation
    flags: tuple[str, ...]


_STATUS: dict[State, FhirStatus] = {
    State.ON: "in-progress",
    State.LATCHED: "in-progress",
    State.ACKNOWLEDGED: "in-progress",
    State.OFF: "completed",
}
_SIGNAL: dict[State, FhirPresence] = {
    State.ON: "on",
    State.LATCHED: "latched",
    State.ACKNOWLEDGED: "ack",
    State.OFF: "off",
}
_ALARM_STATE: dict[State, Pcd04State] = {
    State.ON: "active",
    State.LATCHED: "latched",
    State.ACKNOWLEDGED: "active",
    State.OFF: "inactive",
}


def fhir_states(alert: Alert, audio_paused: bool = False) -> FhirStates:
    """FHIR codes of one version; ``audio_paused``: the bed's audio pause is active."""
    activation: FhirActivation = "on" if alert.sounding else "off"
    if audio_paused and not alert.sounding and alert.state in (State.ON, State.LATCHED):
        activation = "paused"
    return FhirStates(
        status=_STATUS[alert.state],
        present=alert.state in (State.ON, State.ACKNOWLEDGED),
        acknowledged=alert.acknowledged is not None,
        signal=_SIGNAL[alert.state],
        activation=activation,
    )


def pcd04_states(alert: Alert, before: Alert | None, audio_paused: bool = False) -> Pcd04States:
    """PCD-04 codes of one version; ``before``: the version before it, None for the first."""
    inactivation: Pcd04Inactivation = "enabled"
    if alert.state is State.ACKNOWLEDGED:
        inactivation = "alert-acknowledged"
    elif audio_paused and not alert.sounding and alert.state is not State.OFF:
        inactivation = "audio-paused"
    source = {"physiological": ("SP",), "technical": ("ST",)}.get(alert.kind, ())
    return Pcd04States(
        phase=pcd04_phase(alert, before),
        state=_ALARM_STATE[alert.state],
        inactivation=inactivation,
        flags=(alert.priority, *source),
    )


def pcd04_phase(alert: Alert, before: Alert | None) -> Pcd04Phase:
    """The phase of a version: a reminder is ``continue``, another priority ``escalate`` or ``de-escalate``."""
    if alert.phase is Phase.START:
        return "start"
    if alert.phase is Phase.END:
        return "end"
    if before is not None:
        rise = _PRIORITIES.index(alert.priority) - _PRIORITIES.index(before.priority)
        if rise:
            return "escalate" if rise > 0 else "de-escalate"
        if alert.reminders > before.reminders and alert.state is before.state:
            return "continue"
    return "update"
