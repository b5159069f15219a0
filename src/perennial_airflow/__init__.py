"""What Airflow itself has to import: operators and triggers. It lies beside ``perennial``, which knows of no Airflow.

A triggerer has no DAG folder on its path, so a trigger of ours has to be installed.
"""
