// Alarm priorities (IEC 60601-1-8), highest first. PN is advisory: it is displayed and has no sound.

export const PRIORITIES = ["PH", "PM", "PL", "PN"];
export const PRIORITY_LABELS = { PH: "high", PM: "medium", PL: "low", PN: "advisory" };

const RANKS = new Map(PRIORITIES.map((priority, rank) => [priority, rank]));

// 0 is the highest. Null and unknown priorities come last.
export const rank = (priority) => RANKS.get(priority) ?? PRIORITIES.length;

export const outranks = (priority, other) => rank(priority) < rank(other);
