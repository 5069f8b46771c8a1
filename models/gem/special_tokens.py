"""The mark that stands for ECG and page in a prompt, as text and as id. Standard library alone."""

from __future__ import annotations

IMAGE_MARK = "<image>"
IMAGE_TOKEN = -200  # the reference's id for it; no vocabulary holds a negative id
