#!/bin/sh
# Airflow with its pages, for trying the DAGs by hand on the stack of `make up`: everything under .local/airflow,
# bound to 127.0.0.1. Its own `standalone` command would also serve logs to the whole network.
#   make airflow PORT=8081 PERENNIAL_SPECS=my/model.yaml
set -eu
cd "$(dirname "$0")/../.."
environment=$(.venv/bin/perennial env)
eval "$environment"
port=${PORT:-8080}
export PERENNIAL_PYTHON="$PWD/.venv/bin/python"
specs="${PERENNIAL_SPECS:-$PWD/examples}"
# Both would otherwise show minutes later, or never: as pages without a model, and as one part that died in silence.
PERENNIAL_SPECS=$(.venv/bin/python -B infra/setup/airflow_check.py "$specs" "$port")
export PERENNIAL_SPECS
export AIRFLOW_HOME="$PWD/.local/airflow"
export AIRFLOW__CORE__DAGS_FOLDER="$PWD/airflow/dags"
export AIRFLOW__CORE__LOAD_EXAMPLES=False
export AIRFLOW__CORE__PARALLELISM=4
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True
export AIRFLOW__CORE__EXECUTION_API_SERVER_URL="http://127.0.0.1:$port/execution/"
export AIRFLOW__API__BASE_URL="http://127.0.0.1:$port"
export PERENNIAL_AIRFLOW_URL="$AIRFLOW__API__BASE_URL"
export PATH="$PWD/.local/envs/airflow/bin:$PATH"

mkdir -p "$AIRFLOW_HOME"
echo "Preparing Airflow's database ..."
airflow db migrate >"$AIRFLOW_HOME/migrate.log" 2>&1
running=""
status=0
end() {
    trap - EXIT INT TERM HUP
    for part in $running; do
        kill "${part%%:*}" 2>/dev/null || true
    done
    wait
    echo "Ended."
    exit "$status"
}
trap end EXIT INT TERM HUP
start() {
    airflow "$@" >"$AIRFLOW_HOME/$1.log" 2>&1 &
    running="$running $!:$1"
}
start api-server --host 127.0.0.1 --port "$port" --workers 1
start dag-processor
start scheduler --skip-serve-logs
start triggerer --skip-serve-logs
echo "Airflow: $PERENNIAL_AIRFLOW_URL in about half a minute; its logs are in .local/airflow. Ctrl-C ends it."
echo "A DAG that is new is paused, which is Airflow's default: nothing runs before you switch it on, in the list of Dags."
echo "For perennial approve, in another shell: export PERENNIAL_AIRFLOW_URL=$PERENNIAL_AIRFLOW_URL"
while :; do
    for part in $running; do
        if ! kill -0 "${part%%:*}" 2>/dev/null; then
            status=1
            echo "Airflow's ${part#*:} has ended, so all of it ends; .local/airflow/${part#*:}.log ends with:" >&2
            tail -n 5 "$AIRFLOW_HOME/${part#*:}.log" >&2
            exit 1
        fi
    done
    sleep 1 &
    wait $! || true
done
