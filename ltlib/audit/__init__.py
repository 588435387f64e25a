"""What is in a set of one's own before anything is trained: counts, broken files, copies, leaks, poor images."""

from ltlib.audit.auditing import look
from ltlib.audit.findings import Audit, Finding

__all__ = ["Audit", "Finding", "look"]
