"""The servers around the lake: Airflow, MLflow, dbt docs and Data Docs, on loopback only."""
