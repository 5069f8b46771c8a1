"""Choice of the ECG channels of a file: by label and unit, or by the names that the user gives.

All chosen channels have one sampling rate. Where the ECG channels of a file have several rates, the group with the
most of the twelve leads is taken, then the one with the highest rate; the others are named in a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from models.ecg import MAX_FS_HZ, MIN_FS_HZ
from models.leads import is_standard, lead_order
from models.record_formats.channels import Channel, RecordError
from models.record_formats.labels import ecg_lead, other_kind
from models.record_formats.units import MV_PER_UNIT, mv_per_unit

UNNAMED = "ECG"  # a WFDB signal without a description, where no other channel of the record is an ECG lead


@dataclass(frozen=True)
class Selection:
    """The channels that are analysed.

    Parameters
    ----------
    rows : tuple of int
        Their positions in the file, in the order of ``leads``.
    leads : tuple of str
        Lead names in canonical order, each once.
    mv_per_unit : tuple of float
        Millivolts of one unit of each.
    fs_hz : float
        Their common sampling rate.
    n_samples : int
        Samples of the longest one.
    notes : tuple of str
        Channels that are not analysed, each with the reason, and units that were assumed.
    """

    rows: tuple[int, ...]
    leads: tuple[str, ...]
    mv_per_unit: tuple[float, ...]
    fs_hz: float
    n_samples: int
    notes: tuple[str, ...]


@dataclass
class _Candidate:
    row: int
    channel: Channel
    lead: str
    factor: float


@dataclass
class _Choice:
    taken: list[_Candidate] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # "label (reason)"
    notes: list[str] = field(default_factory=list)


def select(path: Path, channels: Sequence[Channel], wanted: Sequence[str] = (), unit: str | None = None) -> Selection:
    """Choose the channels to analyse.

    Parameters
    ----------
    path : Path
        Of the file; named in errors.
    channels : sequence of Channel
        All channels of the file.
    wanted : sequence of str
        Labels, lead names or positions (1 is the first) that the user chose; empty: every ECG channel.
    unit : str, optional
        Unit of all channels, whatever the file says.

    Raises
    ------
    RecordError
        Nothing to analyse; the message names each channel and the reason.
    """
    if unit is not None and mv_per_unit(unit) is None:
        raise RecordError(f"unit {unit} is no voltage: give one of {', '.join(MV_PER_UNIT)}")
    choice = _by_name(path, channels, wanted, unit) if wanted else _by_label(channels, unit)
    usable = _one_rate(path, choice, bool(wanted))
    if not usable:
        there = "; ".join(choice.left_out) or "the file holds no signal"
        raise RecordError(
            f"{path}: no channel can be analysed as ECG: {there}. Choose with --channels A,B; give --unit mV or uV "
            "where the file names no unit"
        )
    by_name: dict[str, _Candidate] = {}
    for candidate in usable:
        by_name[_unused(candidate.lead, by_name)] = candidate
    leads = lead_order(list(by_name))
    notes = list(choice.notes)
    if choice.left_out:
        notes.append(f"not analysed: {'; '.join(choice.left_out)}")
    return Selection(
        tuple(by_name[lead].row for lead in leads),
        tuple(leads),
        tuple(by_name[lead].factor for lead in leads),
        usable[0].channel.fs_hz,
        max(c.channel.n_samples for c in usable),
        tuple(notes),
    )


def _by_label(channels: Sequence[Channel], unit: str | None) -> _Choice:
    """Every channel with the label of an ECG lead and a unit of voltage."""
    choice = _Choice()
    unnamed: list[_Candidate] = []
    for row, channel in enumerate(channels):
        lead = ecg_lead(channel.label) if channel.label else UNNAMED
        factor = mv_per_unit(channel.unit if unit is None else unit)
        reason = channel.fault or _refusal(channel, lead, factor)
        if reason or lead is None or factor is None:
            choice.left_out.append(f"{name_of(row, channel)} ({reason})")
        elif channel.label:
            choice.taken.append(_Candidate(row, channel, lead, factor))
        else:
            unnamed.append(_Candidate(row, channel, lead, factor))
    if choice.taken:
        choice.left_out += [f"{name_of(c.row, c.channel)} (has no label)" for c in unnamed]
    else:
        choice.taken = unnamed
    return choice


def _refusal(channel: Channel, lead: str | None, factor: float | None) -> str:
    """Reason why a channel is not taken; empty where it is."""
    if lead is None:
        kind = other_kind(channel.label)
        reason = "label is not known as an ECG lead" if kind is None else kind
        return reason if channel.unit else f"{reason}, no unit"
    if factor is None:
        return f"unit {channel.unit} is no voltage" if channel.unit else "no unit: give it with --unit mV or uV"
    return ""


def _by_name(path: Path, channels: Sequence[Channel], wanted: Sequence[str], unit: str | None) -> _Choice:
    """The channels that the user named, whatever their labels and units."""
    choice = _Choice()
    rows = dict.fromkeys(row for name in wanted for row in _rows_named(path, channels, name))
    for row in rows:
        channel = channels[row]
        if channel.fault:
            raise RecordError(f"{path}: channel {name_of(row, channel)}: {channel.fault}")
        factor = mv_per_unit(channel.unit if unit is None else unit)
        if factor is None:
            factor = 1.0
            named = f"unit {channel.unit} is no voltage" if channel.unit else "no unit"
            choice.notes.append(
                f"channel {name_of(row, channel)}: {named}, its values are taken as mV; give --unit mV or uV"
            )
        lead = ecg_lead(channel.label) or " ".join(channel.label.split()) or UNNAMED
        choice.taken.append(_Candidate(row, channel, lead, factor))
    return choice


def _rows_named(path: Path, channels: Sequence[Channel], name: str) -> list[int]:
    """Channels with that label, else that lead, else at that position."""
    plain = " ".join(name.split()).casefold()
    rows = [k for k, c in enumerate(channels) if " ".join(c.label.split()).casefold() == plain]
    if not rows:
        lead = ecg_lead(name)
        rows = [k for k, c in enumerate(channels) if lead is not None and ecg_lead(c.label) == lead]
    if not rows and plain.isdecimal() and 1 <= int(plain) <= len(channels):
        rows = [int(plain) - 1]
    if not rows:
        there = ", ".join(name_of(k, c) for k, c in enumerate(channels)) or "none"
        raise RecordError(f"{path}: no channel {name}; there are: {there}")
    return rows


def _one_rate(path: Path, choice: _Choice, by_user: bool) -> list[_Candidate]:
    """The taken channels of the rate that is analysed; the others are left out by name."""
    groups: dict[float, list[_Candidate]] = {}
    for candidate in choice.taken:
        fs = candidate.channel.fs_hz
        if MIN_FS_HZ <= fs <= MAX_FS_HZ:
            groups.setdefault(fs, []).append(candidate)
        else:
            reason = f"{fs:g} Hz is not in {MIN_FS_HZ:g}…{MAX_FS_HZ:g} Hz"
            choice.left_out.append(f"{name_of(candidate.row, candidate.channel)} ({reason})")
    if by_user and (len(groups) > 1 or choice.left_out):
        rates = ", ".join(f"{name_of(c.row, c.channel)} {c.channel.fs_hz:g} Hz" for c in choice.taken)
        raise RecordError(
            f"{path}: the chosen channels are sampled at {rates}: choose channels of one rate, "
            f"{MIN_FS_HZ:g} to {MAX_FS_HZ:g} Hz"
        )
    if not groups:
        return []
    best = max(groups, key=lambda fs: (len({c.lead for c in groups[fs] if is_standard(c.lead)}), fs))
    for fs, group in groups.items():
        if fs != best:
            choice.left_out += [
                f"{name_of(c.row, c.channel)} (sampled at {fs:g} Hz, the analysed channels at {best:g} Hz)"
                for c in group
            ]
    return groups[best]


def name_of(row: int, channel: Channel) -> str:
    """Label of a channel, or its position where it has none."""
    return " ".join(channel.label.split()) or f"channel {row + 1}"


def _unused(lead: str, by_name: dict[str, _Candidate]) -> str:
    """The lead's name, numbered where it is in use."""
    unique, k = lead, 2
    while unique in by_name:
        unique, k = f"{lead}-{k}", k + 1
    return unique
