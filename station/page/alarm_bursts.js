// Auditory alarm signals after IEC 60601-1-8 (values from memory, to be checked against its tables 3 and 4):
// bursts of ten pulses for high priority, three for medium,
// two for low. Times are in seconds; a pulse lasts, and a spacing runs, between the points of 90 % of the amplitude.
//
// High: spacings x between pulses of a group, 2 x + pulse between the third and the fourth pulse, and 0.35 to 1.30 s
// between the fifth and the sixth; x is 0.05 to 0.125 s. Medium and low: spacings y of 0.125 to 0.25 s. A high pulse
// lasts 0.075 to 0.2 s, the others 0.125 to 0.25 s. Between bursts: 2.5 to 15 s, 2.5 to 30 s, and more than 15 s.

const X_S = 0.09;
const Y_S = 0.2;
const GROUP_GAP_S = 0.5; // between the fifth and the sixth pulse

const HIGH = { pulseS: 0.13, hz: 523.25 };
const MEDIUM = { pulseS: 0.2, hz: 440 };
const LOW = { pulseS: 0.2, hz: 349.23 };

const FIVE = [X_S, X_S, 2 * X_S + HIGH.pulseS, X_S];

// {onsetsS of the pulses, pulseS, hz, gapS: from the end of a burst to the next one}
export const BURSTS = {
  PH: { ...HIGH, onsetsS: onsets([...FIVE, GROUP_GAP_S, ...FIVE], HIGH.pulseS), gapS: 4 },
  PM: { ...MEDIUM, onsetsS: onsets([Y_S, Y_S], MEDIUM.pulseS), gapS: 12 },
  PL: { ...LOW, onsetsS: onsets([Y_S], LOW.pulseS), gapS: 22 },
};
export const ESCALATED_GAP_S = { PH: 2.5, PM: 5, PL: 16 }; // of alarms that nobody has answered

export const RISE_S = 0.025; // 10 to 40 % of the pulse
export const FALL_S = 0.03;

export const burstS = ({ onsetsS, pulseS }) => onsetsS[onsetsS.length - 1] + pulseS;

function onsets(spacingsS, pulseS) {
  const found = [0];
  for (const spacingS of spacingsS) found.push(found[found.length - 1] + pulseS + spacingS);
  return found;
}
