"""No DAG: what is wrong in `sources.yml` or `carelake.yml`, as an import error of Airflow's.

The other DAG files go on with the configuration that was right last, so a slip of the pen stops no
schedule; this file fails in their place, and Airflow shows its error on every page.
"""

from __future__ import annotations

from dag_parts import configuration_fault

if (fault := configuration_fault()) is not None:
    raise fault
