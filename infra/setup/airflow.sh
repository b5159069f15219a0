#!/bin/sh
# Airflow with its pages, for trying the DAGs by hand: everything under .local/airflow, bound to 127.0.0.1.
set -eu
cd "$(dirname "$0")/../.."
environment=$(.venv/bin/perennial env)
eval "$environment"
export AIRFLOW_HOME="$PWD/.local/airflow"
export AIRFLOW__CORE__DAGS_FOLDER="$PWD/airflow/dags"
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__API__HOST=127.0.0.1
export AIRFLOW__API__PORT="${PORT:-8080}"
export AIRFLOW__API__BASE_URL="http://127.0.0.1:${PORT:-8080}"
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL="http://127.0.0.1:${PORT:-8080}/execution/"
export PATH="$PWD/.local/envs/airflow/bin:$PATH"
echo "Airflow: http://127.0.0.1:${PORT:-8080} (its password is in .local/airflow)"
exec airflow standalone
