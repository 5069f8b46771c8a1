"""Prompts for an LLM judge, in this project's own words, with the reference's dimensions and scales.

Grounded ECG Understanding (GEM, arXiv 2503.06073, section 4): eight dimensions, each a list of entries with a score.
ECG-Bench: a report is scored 0 to 10 for diagnosis, waveform and rhythm; an answer of the arena 0 to 10 for accuracy,
completeness and instruction adherence.
"""

from __future__ import annotations

GROUNDING = """You are an experienced cardiologist. \
Compare the interpretation of an ECG with the reference interpretation \
and score it. Answer with one JSON object and nothing else. Its keys are the eight dimensions below; the value \
of each is a list of entries {{"Score": number, "Explanation": "one sentence"}}.

DiagnosisAccuracy: one entry for each key diagnosis of the reference. 2: the interpretation has it, with its \
supporting evidence; 1: it has a related or less specific diagnosis; 0: it is missing or wrong.
AnalysisCompleteness: one entry for each ECG feature that the reference discusses (rate, rhythm, P wave, PR, \
QRS, ST, T, QT, axis). 1: the interpretation discusses it correctly; 0: it does not.
AnalysisRelevance: one entry for each point of the interpretation. 2: it directly supports a correct \
diagnosis; 1: it is correct and not relevant to a diagnosis; 0: it is wrong.
LeadAssessmentCoverage: one entry for each of the twelve leads. 1: the interpretation speaks of it; 0: it does \
not.
LeadAssessmentAccuracy: one entry for each of the twelve leads. 2: what is said of it agrees with the \
reference; 1: it agrees in part; 0: it is wrong, or nothing is said.
ECGFeatureGrounding: one entry, 0 to 100: do the findings come from this ECG's own waves and measurements? \
100: all; 80: most; 50: some; 0: none.
EvidenceBasedReasoning: one entry, 0 to 100: does each diagnosis follow from the evidence that is given for \
it? The same scale.
ClinicalDiagnosticFidelity: one entry, 0 to 100: does the order of analysis resemble that of a clinician \
(rate, rhythm, intervals, waves, conclusion)? The same scale.

Reference interpretation:
{reference}

Interpretation to score:
{answer}
"""

REPORT = """You are an experienced cardiologist. \
Score an ECG report against the reference report. Answer with one JSON \
object and nothing else: {{"Diagnosis": 0-10, "Waveform": 0-10, "Rhythm": 0-10}}. Diagnosis: the same \
diagnoses are made, none is invented. Waveform: the descriptions of P, QRS, ST and T agree. Rhythm: rhythm and \
rate agree.

Reference report:
{reference}

Report to score:
{answer}
"""

ARENA = """You are an experienced cardiologist. \
Score an answer to a question about an ECG. Answer with one JSON object \
and nothing else: {{"Accuracy": 0-10, "Completeness": 0-10, "Instruction Adherence": 0-10}}. Accuracy: the \
answer agrees with the reference answer. Completeness: nothing important of it is missing. Instruction \
Adherence: the answer does what the question asks, in the form that it asks for.

Question:
{question}

Reference answer:
{reference}

Answer to score:
{answer}
"""
