#!/bin/sh
# Starts the application under the Lambda Web Adapter, which waits for it on AWS_LWA_PORT.
# The runtime adds the layers to sys.path only in its own bootstrap, which this script replaces.
# Lambda lays them out under /opt; a test of the built function has them elsewhere.
set -eu
layers="${LAYERS_DIR:-/opt}/python"
export PYTHONPATH="$LAMBDA_TASK_ROOT:$layers:$LAMBDA_RUNTIME_DIR${PYTHONPATH:+:$PYTHONPATH}"
exec python -m uvicorn --factory app:create_app \
  --host 127.0.0.1 --port "$AWS_LWA_PORT" \
  --no-access-log --no-server-header --timeout-keep-alive 905
