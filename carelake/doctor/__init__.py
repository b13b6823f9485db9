"""`carelake doctor`: look a home over, and say of each trouble what it is and what mends it."""

from carelake.doctor.examination import examine
from carelake.doctor.findings import Finding, Level, Patient

__all__ = ["Finding", "Level", "Patient", "examine"]
